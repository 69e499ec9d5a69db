"""The tables that figures are drawn from, and their means over seeds."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError, told
from dynmatch.observables.registry import OBSERVABLES, Columns
from dynmatch.plotting.registry import SUMMARY, TABLES, TRAINING_PART, columns_of
from dynmatch.plotting.style import MODELS, REFERENCE, method_of
from dynmatch.summary.verdicts import OK


@dataclass(frozen=True)
class Results:
    """What the figures of one system are drawn from.

    tables       name of a table -> its rows, with columns `model` and `seed` (see `collect`)
    lags         ps between successive frames of a training window
    temperature  K
    cutoff       nm, range of the pair term, None for a molecule by itself
    reference    what the reference is called in legends
    truth        true parameters by the names of model.yaml, None where they are not known
    planned      updates of the training of each trained model, as the config has them
    verdicts     of the summary, by the names of the trained models
    """

    tables: Mapping[str, pd.DataFrame]
    lags: tuple[float, ...]
    temperature: float
    cutoff: float | None
    reference: str = "AA"
    truth: Mapping[str, float] | None = None
    planned: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, str] = field(default_factory=dict)

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
        if not OBSERVABLES[name].dynamic:
            models = list({method_of(model): model for model in reversed(models)}.values())[::-1]
        return {model: means[means["model"] == model] for model in models}

    def floor(self, name: str) -> pd.DataFrame:
        """The reference's two parts against each other, where both have points.

        The observable's keys, `mean` of the part that models are compared with, and `error`: one
        standard error of the difference of the two.
        """
        card = OBSERVABLES[name]
        means = over_seeds(self.tables[name], card)
        scoring, training = (
            means[means["model"] == part].set_index(list(card.keys))
            for part in (REFERENCE, TRAINING_PART)
        )
        error = np.hypot(scoring["error"], training["error"]).dropna()
        return scoring.loc[error.index, ["mean"]].assign(error=error).reset_index()

    def warnings(self) -> list[str]:
        """What is wrong with the models that there are rows of, a line each."""
        shown = {model for table in self.tables.values() for model in table["model"]}
        return [
            f"{self.label(model)}: {verdict}"
            for model, verdict in self.verdicts.items()
            if model in shown and verdict != OK
        ]

    def without_baselines(self) -> "Results":
        """The same without the models that are there for comparison only."""
        tables = {
            name: table[~table["model"].map(is_baseline)] for name, table in self.tables.items()
        }
        return replace(self, tables=tables)

    def label(self, model: str) -> str:
        return self.reference if model == REFERENCE else MODELS[model].label


def is_baseline(model: str) -> bool:
    return model not in (REFERENCE, TRAINING_PART, *DYNAMICS)


def models_in(table: pd.DataFrame) -> list[str]:
    """The models of a table in the order of `style.MODELS`: the reference first."""
    present = set(table["model"])
    return [model for model in MODELS if model in present]


def over_seeds(table: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Mean over seeds, its standard error and the number of seeds, for every model and key.

    The variance of the mean of n seeds is max(s^2, <e^2>) / n, with s^2 the sample variance of the
    seeds and <e^2> the mean of their own squared standard errors: the variance between seeds is
    estimated as max(0, s^2 - <e^2>) (the moment estimator of a random-effects model, R. DerSimonian
    and N. Laird, doi:10.1016/0197-2456(86)90046-2, with equal weights), and adds to <e^2>. One seed
    keeps its own error.
    """
    own = table.assign(own_variance=table[columns.error] ** 2)
    groups = own.groupby(["model", *columns.keys], sort=True)
    seeds = groups[columns.value].count()
    between = groups[columns.value].var(ddof=1)
    variance = np.fmax(between, groups["own_variance"].mean()) / seeds
    means = pd.DataFrame(
        {"mean": groups[columns.value].mean(), "error": np.sqrt(variance), "seeds": seeds}
    )
    return means.reset_index()


def collect(name: str, paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read one table of the reference and of every model and seed, as rows with `model` and `seed`.

    Model and seed come from the results tree: `.../reference/...`, that of the training part below
    it, or `.../{model}/seed-{n}/...`.

    The summary is one table, and has them already.

    Raises DynmatchError, naming the file, when one is missing, unreadable or lacks a column.
    """
    if name == SUMMARY:
        (path,) = paths
        return _read(Path(path))
    rows = [_rows(name, Path(path)) for path in paths]
    filled = [table for table in rows if len(table)]
    return pd.concat(filled or rows[:1], ignore_index=True)


def _rows(name: str, path: Path) -> pd.DataFrame:
    table = _read(path)
    columns = columns_of(name)
    missing = [column for column in columns if column not in table]
    if missing:
        raise DynmatchError(
            f"{path}: lacks {', '.join(missing)}; a {name} table has {', '.join(columns)}"
        )
    of_some = TABLES[name].of_some if name in TABLES else ()
    absent = dict.fromkeys([column for column in of_some if column not in table], np.nan)
    model, seed = _origin(path)
    return table.assign(**absent, model=model, seed=seed)


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".yaml":
            return pd.DataFrame([yaml.safe_load(path.read_text())])
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise DynmatchError(f"{path}: missing; run the rule that makes it") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DynmatchError(
            f"{path}: cannot be read as a table ({told(error)}); "
            "delete it and run the rule that makes it again"
        ) from error


def _origin(path: Path) -> tuple[str, int]:
    """Model and seed of a file in the results tree; the parts of the reference have seed 0."""
    folder = path.parent.parent if path.parent.name == "observables" else path.parent
    if folder.name in (REFERENCE, TRAINING_PART):
        return folder.name, 0
    seed = re.fullmatch(r"seed-(\d+)", folder.name)
    if seed is None or folder.parent.name not in MODELS:
        known = ", ".join(model for model in MODELS if model != REFERENCE)
        raise DynmatchError(
            f"{path}: no model and seed in the path; expected .../{REFERENCE}/... "
            f"or .../MODEL/seed-N/... with MODEL one of {known}"
        )
    return folder.parent.name, int(seed.group(1))
