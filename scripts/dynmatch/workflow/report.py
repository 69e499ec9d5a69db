"""Tables and texts as HTML pages that stand alone, for the report."""

import base64
import html
import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from dynmatch.summary.bars import BARS, REFERENCE, VERDICT, Bar
from dynmatch.summary.verdicts import MEAN, OK

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px sans-serif; margin: 1.5em; }}
table {{ border-collapse: collapse; margin-bottom: 2em; }}
th, td {{ padding: 0.2em 0.8em; border-bottom: 1px solid #ddd; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
.within {{ background: #d9efdc; }}
.outside {{ background: #f8d7d7; }}
.verdict td {{ max-width: 14em; text-align: left; vertical-align: top; }}
</style></head><body><h1>{title}</h1>{content}</body></html>
"""
LEGEND = (
    "<p>Value ± one standard error; of several seeds their mean. Green: within its bar; red: "
    "outside. Floor: what a perfect model would show; null: a model without structure or memory. "
    "Rows with a bar come first. All seeds and columns: summary.csv.</p>"
)
OF_TRAINING = ("training", "model")
"""Observables of rows that compare nothing."""


def summary(table: pd.DataFrame) -> str:
    """A page with a table for each system: a row for each metric, a column for each model.

    table  the summary, see `summary.rows.summary` and `summary.bars.with_verdicts`
    """
    parts = [LEGEND]
    for system, rows in table[table["model"] != REFERENCE].groupby("system", sort=False):
        parts += [f"<h2>{html.escape(str(system))}</h2>", _compared(_over_seeds(rows))]
    return PAGE.format(title="Models against the reference", content="\n".join(parts))


def _over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each model the mean over its seeds, or the rows of its only one."""
    several = rows.loc[rows["seed"] == MEAN, "model"].unique()
    return rows[(rows["seed"] == MEAN) | ~rows["model"].isin(several)]


def _compared(rows: pd.DataFrame) -> str:
    models = list(dict.fromkeys(rows["model"]))
    bars = {
        (bar.observable, bar.metric): bar
        for some in BARS.values()
        for bar in some
        if not bar.models or set(bar.models) & set(models)
    }
    by_metric = dict(tuple(rows.groupby(["observable", "metric"], sort=False)))
    verdict = by_metric.pop(VERDICT).set_index("model")["status"]
    cells = [
        _cell(verdict[name], "within" if verdict[name] == OK else "outside") for name in models
    ]
    lines = [
        _line(["metric", *models, "floor", "null", "bar"], "th"),
        f'<tr class="verdict"><td>verdict</td>{"".join(cells)}<td></td><td></td><td></td></tr>',
    ]
    compared = [key for key in by_metric if key[0] not in OF_TRAINING]
    for key in sorted(compared, key=lambda key: key not in bars):
        own, bar = by_metric[key].set_index("model"), bars.get(key)
        common = [number(own[column].max()) for column in ("floor", "null")]
        limit = _limit(bar, own["floor"].max()) if bar else ""
        cells = [
            _value(own.loc[model], bar if bar and model in (bar.models or [model]) else None)
            if model in own.index
            else "<td></td>"
            for model in models
        ]
        name = html.escape(" ".join(key))
        lines.append(
            f"<tr><td>{name}</td>{''.join(cells)}{''.join(map(_cell, [*common, limit]))}</tr>"
        )
    return f"<table>{''.join(lines)}</table>"


def _value(row: pd.Series, bar: Bar | None) -> str:
    if np.isnan(row["value"]):
        return _cell(row["status"])
    state = ""
    if bar:
        off = abs(row["value"] - bar.target)
        state = "within" if off <= bar.half_width(row["floor"]) else "outside"
    return _cell(number(row["value"], row["error"]), state)


def _limit(bar: Bar, floor: float) -> str:
    width = number(bar.half_width(floor))
    limit = f"{bar.target:g} ± {width}" if bar.target else f"below {width}"
    return f"{limit} ({', '.join(bar.models)})" if bar.models else limit


def number(value: float, error: float = math.nan) -> str:
    """With its error to two digits of that, or to three of its own; "" where there is none."""
    if not math.isfinite(value):
        return ""
    if not error > 0 or not math.isfinite(error):
        return f"{value:.3g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _cell(text: str, state: str = "") -> str:
    mark = f' class="{state}"' if state else ""
    return f"<td{mark}>{html.escape(text)}</td>"


def _line(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def bullets(lines: Iterable[str]) -> str:
    """Lines of plain text as a list in reStructuredText, which a browser wraps."""
    return "\n".join(["* " + re.sub(r"([^\w\s])", r"\\\1", line) for line in lines] + ["", ""])


def pictures(paths: Iterable[Path]) -> str:
    """PNG files as directives of reStructuredText that hold them."""
    lines = []
    for path in paths:
        content = base64.b64encode(path.read_bytes()).decode()
        # docutils takes no lines above 10000 characters
        address = textwrap.wrap(f"data:image/png;base64,{content}", 100)
        lines += [".. image:: " + address[0], *(f"   {each}" for each in address[1:])]
        lines += [f"   :alt: {path.stem}", "   :width: 100%", ""]
    return "\n".join(lines)


def table(title: str, content: pd.DataFrame) -> str:
    """A page with `content` as a table; empty cells stay empty."""
    cells = content.to_html(index=False, na_rep="", border=0, float_format=lambda x: f"{x:.4g}")
    return PAGE.format(title=html.escape(title), content=cells)


def text(title: str, content: str) -> str:
    """A page with `content` as it is."""
    return PAGE.format(title=html.escape(title), content=f"<pre>{html.escape(content)}</pre>")


def as_yaml(config: Mapping) -> str:
    """`config` in the order of its keys."""
    return yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True)


def _plain(value):
    """Plain dictionaries and lists out of what looks like them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def versions(models: Iterable[tuple[tuple, Mapping]]) -> pd.DataFrame:
    """One row for each run (system, model, seed): how it ended, and with which code."""
    rows = []
    for (system, model, seed), record in models:
        row = {"system": system, "model": model, "seed": seed}
        row |= {key: record.get(key) for key in ("ended_by", "updates", "minutes")}
        row["commit"] = (record.get("git_commit") or "")[:10]
        rows.append(row | dict(record["library_versions"]))
    return pd.DataFrame(rows)


def run_times(benchmarks: Path) -> pd.DataFrame:
    """Seconds and peak memory (MB) of every job with a benchmark file below `benchmarks`."""
    rows = []
    for path in sorted(benchmarks.rglob("*.tsv")):
        first = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
        job = path.relative_to(benchmarks).with_suffix("").as_posix()
        rows.append({"job": job, "seconds": first["s"], "peak memory, MB": first["max_rss"]})
    return pd.DataFrame(rows, columns=["job", "seconds", "peak memory, MB"])
