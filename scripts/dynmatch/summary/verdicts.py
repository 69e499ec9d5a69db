"""What a summary.csv says of every model in one line, for the terminal and the report.

It reads the file with Python alone: the workflow's own process need not have pandas.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

OK, MEAN = "ok", "mean"
SHOWN = {
    ("diffusion", "ratio"): "D ratio",
    ("msd", "log_rmse 10-200 ps"): "MSD",
    ("rdf", "mae"): "RDF",
    ("adf", "mae"): "ADF",
    ("tetrahedral", "mae"): "P(q)",
    ("vacf", "mae"): "VACF",
    ("fes", "jsd"): "F(phi, psi)",
    ("timescale_ratio", "phi"): "time of phi",
    ("timescale_ratio", "psi"): "time of psi",
}
"""Metrics that are told, and what they are called."""

Rows = dict[tuple[str, str, str], dict[tuple[str, str], dict[str, str]]]


def verdicts(path: str | Path) -> dict[tuple[str, str], str]:
    """The verdict on each model of each system, on the mean over its seeds where there are several.

    Models without a verdict, the references, are left out.
    """
    return {
        key: rows["model", "verdict"]["status"]
        for key, rows in _models(path).items()
        if ("model", "verdict") in rows
    }


def lines(path: str | Path) -> Iterator[str]:
    """One line for each model: its numbers with their floors, and the verdict."""
    found = verdicts(path)
    for (system, model), rows in _models(path).items():
        if (system, model) in found:
            numbers = [
                _number(name, rows[metric])
                for metric, name in SHOWN.items()
                if rows.get(metric, {}).get("value")
            ]
            yield f"{system}, {model}: {', '.join(numbers)}: {found[system, model]}"


def _number(name: str, row: dict[str, str]) -> str:
    error = f" ± {float(row['error']):.1g}" if row["error"] else ""
    floor = f" (floor {float(row['floor']):.2g})" if row["floor"] else ""
    return f"{name} {float(row['value']):.3g}{error}{floor}"


def _models(path: str | Path) -> dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]]:
    """Rows by metric, of the mean over seeds where there is one, of each system and model."""
    by_seed: Rows = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows = by_seed.setdefault((row["system"], row["model"], row["seed"]), {})
            rows[row["observable"], row["metric"]] = row
    models = {}
    for (system, model, seed), rows in by_seed.items():
        if seed == MEAN or (system, model) not in models:
            models[system, model] = rows
    return models
