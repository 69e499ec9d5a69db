"""The tables that figures are drawn from, and their means over seeds."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from dynmatch.errors import DynmatchError
from dynmatch.plotting.style import MODELS, REFERENCE, is_baseline, method_of


@dataclass(frozen=True)
class Layout:
    """Columns of an observable: what it is a function of, its value and standard error."""

    keys: tuple[str, ...]
    value: str
    error: str


OBSERVABLES = {
    "rdf": Layout(("r_nm",), "rdf", "error"),
    "adf": Layout(("cos_theta",), "density", "error"),
    "tetrahedral": Layout(("q",), "density", "error"),
    "msd": Layout(("lag_ps",), "msd_nm2", "error_nm2"),
    "diffusion": Layout((), "d_nm2_per_ps", "error_nm2_per_ps"),
    "vacf": Layout(("lag_ps",), "vacf", "error"),
    "van_hove": Layout(("lag_ps", "r_nm"), "density_per_nm", "error_per_nm"),
    "scattering": Layout(("k_per_nm", "lag_ps"), "fs", "error"),
    "survival": Layout(("lag_ps",), "survival", "error"),
    "pmf": Layout(("r_nm",), "w_kj_per_mol", "error_kj_per_mol"),
    "free_energy_q": Layout(("q",), "f_kj_per_mol", "error_kj_per_mol"),
    "free_energy_r_theta": Layout(("r_nm", "cos_theta"), "f_kj_per_mol", "error_kj_per_mol"),
    "rdf_by_type": Layout(("types", "r_nm"), "rdf", "error"),
    "bonded": Layout(("types", "coordinate", "value"), "density", "error"),
    "ramachandran": Layout(("phi_deg", "psi_deg"), "f_kj_per_mol", "error_kj_per_mol"),
    "torsion_free_energy": Layout(("torsion", "angle_deg"), "f_kj_per_mol", "error_kj_per_mol"),
    "populations": Layout(("basin",), "probability", "error"),
    "torsion_correlation": Layout(("function", "lag_ps"), "correlation", "error"),
    "timescales": Layout(("torsion",), "timescale_ps", "error"),
}
"""Tables that the reference and every model have, with vacf empty where there are no velocities."""
DYNAMIC = (
    "msd",
    "diffusion",
    "vacf",
    "van_hove",
    "scattering",
    "survival",
    "torsion_correlation",
    "timescales",
)
"""Observables that differ between models with the same potential."""

COLUMNS = {
    name: (*layout.keys, layout.value, layout.error) for name, layout in OBSERVABLES.items()
} | {
    "history": (
        "update",
        "score_gap",
        "gap_floor",
        "d0_nm2_per_ps",
        "gamma_over_alpha",
        "mass_over_alpha2",
        "gradient_norm",
        "classifier_loss",
        "heldout_loss",
        "roughness",
    ),
    "summary": ("system", "model", "seed", "observable", "metric", "value", "error"),
    "start": ("update", "rdf_error"),
    "model": (
        "d0_nm2_per_ps",
        "gamma_over_alpha",
        "mass_over_alpha2",
        "converged",
        "ended_by",
        "updates",
        "minutes",
    ),
}
"""Columns that each table must have, by the table's name."""


@dataclass(frozen=True)
class Results:
    """What the figures of one system are drawn from.

    tables       name of a table -> its rows, with columns `model` and `seed` (see `collect`)
    lags         ps between successive frames of a training window
    temperature  K
    cutoff       nm, range of the pair term, None for a molecule by itself
    reference    what the reference is called in legends
    """

    tables: Mapping[str, pd.DataFrame]
    lags: tuple[float, ...]
    temperature: float
    cutoff: float | None
    reference: str = "AA"

    @property
    def window(self) -> float:
        """Length of a training window, ps."""
        return sum(self.lags)

    def curves(self, name: str) -> dict[str, pd.DataFrame]:
        """Mean over seeds of an observable for each model that has it, in drawing order.

        Each frame has the observable's keys, `mean`, `error` and `seeds`. Of the baselines of one
        method only the first is given where the motion makes no difference.
        """
        means = over_seeds(self.tables[name], OBSERVABLES[name])
        models = models_in(means)
        if name not in DYNAMIC:
            models = list({method_of(model): model for model in reversed(models)}.values())[::-1]
        return {model: means[means["model"] == model] for model in models}

    def without_baselines(self) -> "Results":
        """The same without the models that are there for comparison only."""
        tables = {
            name: table[~table["model"].map(is_baseline)] for name, table in self.tables.items()
        }
        return replace(self, tables=tables)

    def label(self, model: str) -> str:
        return self.reference if model == REFERENCE else MODELS[model].label


def models_in(table: pd.DataFrame) -> list[str]:
    """The models of a table in the order of `style.MODELS`: the reference first."""
    present = set(table["model"])
    return [model for model in MODELS if model in present]


def over_seeds(table: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Mean over seeds, its standard error and the number of seeds, for every model and key.

    The variance of the mean of n seeds is max(s^2, <e^2>) / n, with s^2 the sample variance of the
    seeds and <e^2> the mean of their own squared standard errors: the variance between seeds is
    estimated as max(0, s^2 - <e^2>) (the moment estimator of a random-effects model, R. DerSimonian
    and N. Laird, doi:10.1016/0197-2456(86)90046-2, with equal weights), and adds to <e^2>. One seed
    keeps its own error.
    """
    own = table.assign(own_variance=table[layout.error] ** 2)
    groups = own.groupby(["model", *layout.keys], sort=True)
    seeds = groups[layout.value].count()
    between = groups[layout.value].var(ddof=1)
    variance = np.fmax(between, groups["own_variance"].mean()) / seeds
    means = pd.DataFrame(
        {"mean": groups[layout.value].mean(), "error": np.sqrt(variance), "seeds": seeds}
    )
    return means.reset_index()


def collect(name: str, paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read one table of the reference and of every model and seed, as rows with `model` and `seed`.

    Model and seed come from the results tree: `.../reference/...` or `.../{model}/seed-{n}/...`.

    The summary is one table, and has them already.

    Raises DynmatchError, naming the file, when one is missing, unreadable or lacks a column.
    """
    if name == "summary":
        (path,) = paths
        return _read(Path(path))
    rows = [_rows(name, Path(path)) for path in paths]
    filled = [table for table in rows if len(table)]
    return pd.concat(filled or rows[:1], ignore_index=True)


def _rows(name: str, path: Path) -> pd.DataFrame:
    table = _read(path)
    missing = [column for column in COLUMNS[name] if column not in table]
    if missing:
        raise DynmatchError(
            f"{path}: lacks {', '.join(missing)}; a {name} table has {', '.join(COLUMNS[name])}"
        )
    model, seed = _origin(path)
    return table.assign(model=model, seed=seed)


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".yaml":
            return pd.DataFrame([yaml.safe_load(path.read_text())])
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise DynmatchError(f"{path}: missing; run the rule that makes it") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DynmatchError(
            f"{path}: cannot be read as a table ({str(error).splitlines()[0]}); "
            "delete it and run the rule that makes it again"
        ) from error


def _origin(path: Path) -> tuple[str, int]:
    """Model and seed of a file in the results tree; the reference has seed 0."""
    folder = path.parent.parent if path.parent.name == "observables" else path.parent
    if folder.name == REFERENCE:
        return REFERENCE, 0
    seed = re.fullmatch(r"seed-(\d+)", folder.name)
    if seed is None or folder.parent.name not in MODELS:
        known = ", ".join(model for model in MODELS if model != REFERENCE)
        raise DynmatchError(
            f"{path}: no model and seed in the path; expected .../{REFERENCE}/... "
            f"or .../MODEL/seed-N/... with MODEL one of {known}"
        )
    return folder.parent.name, int(seed.group(1))
