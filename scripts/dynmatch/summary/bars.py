"""Bars: how close a model has to come to its reference, and whether it does.

A bar means something between the floor, below which nothing can be told from noise, and the null,
which a model without any structure or memory reaches as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynmatch.summary.rows import COLUMNS
from dynmatch.summary.verdicts import MEAN, OK

FURTHER = 2.0
"""Of several seeds the mean meets a bar as it is, and each one a bar this many times as wide."""
REFERENCE = "reference"
VERDICT = ("model", "verdict")
"""Observable and metric of the rows that say whether a model is to be trusted."""


@dataclass(frozen=True)
class Bar:
    """A bar for one metric.

    label   what the metric is called where there is little room
    within  distance from `target` up to which a model is right
    floors  the same in multiples of the row's floor, where that is larger
    target  the value that is right
    models  names of the models that it is for, of all where there are none
    """

    observable: str
    metric: str
    label: str
    within: float = 0.0
    floors: float = 0.0
    target: float = 0.0
    models: tuple[str, ...] = ()

    def half_width(self, floor: float) -> float:
        """Distance from the target up to which a row with this floor is right."""
        return float(np.fmax(self.within, self.floors * floor))


LIQUID = (
    Bar("diffusion", "ratio", "D", within=0.03, target=1.0),
    Bar("msd", "log_rmse 10-200 ps", "MSD 10-200 ps", within=0.03),
    Bar("rdf", "mae", "RDF", floors=2.0),
    Bar("adf", "mae", "ADF", floors=2.0),
    Bar("vacf", "mae", "VACF", within=0.004, models=("gle",)),
    Bar("vacf", "largest", "VACF, largest", within=0.015, models=("gle",)),
    Bar("msd", "log_largest 0.02-200 ps", "MSD, largest", within=0.02, models=("gle",)),
    Bar("recovery", "gamma_over_alpha_ratio", "gamma/alpha", within=0.03, target=1.0),
    Bar("recovery", "mass_over_alpha2_ratio", "m/alpha^2", within=0.03, target=1.0),
)
MOLECULE = (
    Bar("fes", "jsd", "F(phi, psi)", within=0.05),
    Bar("population_difference", "C5", "C5", within=0.05),
    Bar("population_difference", "PII_C7eq", "PII, C7eq", within=0.05),
    Bar("population_difference", "alpha_R", "alpha_R", within=0.05),
    Bar("population_difference", "phi_positive", "phi > 0", within=0.05),
    Bar("timescale_ratio", "psi", "time of psi", within=0.23, target=1.0),
    Bar("timescale_ratio", "phi", "time of phi", within=0.5, target=1.0),
)
BARS = {"liquid": LIQUID, "molecule": MOLECULE}
"""Bars of an analysis."""


def with_verdicts(table: pd.DataFrame, analyses: Mapping[str, str]) -> pd.DataFrame:
    """The summary with a row VERDICT for every model and seed, and for the mean of several seeds.

    Its value is 1 or 0, its status "ok" or what is wrong: how the training ended, and each bar that
    the model is outside of, with the number.

    table     from `rows.summary`
    analyses  name of the analysis of each system
    """
    rows = []
    models = table[table["model"] != REFERENCE]
    for (system, model), of_model in models.groupby(["system", "model"], sort=False):
        bars = [bar for bar in BARS[analyses[system]] if model in (bar.models or [model])]
        several, of_seeds = MEAN in set(of_model["seed"]), []
        for seed, own in of_model.groupby("seed", sort=False):
            wrong = _ended(own)
            outside = _outside(own, bars, FURTHER if several and seed != MEAN else 1.0)
            if seed == MEAN:
                outside += of_seeds
            of_seeds += [f"seed {seed} {each}" for each in outside]
            wrong += outside
            numbers = float(not wrong), np.nan, np.nan, np.nan
            rows.append((system, model, seed, *VERDICT, *numbers, "; ".join(wrong) or OK))
    return pd.concat([table, pd.DataFrame(rows, columns=COLUMNS)], ignore_index=True)


def _ended(own: pd.DataFrame) -> list[str]:
    """What the training says of itself, unless all is well."""
    said = own.loc[(own["observable"] == "training") & (own["metric"] == "converged"), "status"]
    return [status for status in said if status not in ("", OK)]


def _outside(own: pd.DataFrame, bars: Sequence[Bar], further: float) -> list[str]:
    """The bars that the rows of a model miss, with the number; those without a row are left out."""
    missed, unknown = [], []
    rows = own.set_index(["observable", "metric"])
    for bar in bars:
        if (bar.observable, bar.metric) not in rows.index:
            continue
        row = rows.loc[(bar.observable, bar.metric)]
        if np.isnan(row["value"]):
            unknown.append(f"{bar.label} not known: {row['status']}")
        elif abs(row["value"] - bar.target) > further * bar.half_width(row["floor"]):
            missed.append(f"{bar.label} {row['value']:.3g}")
    return [f"outside: {', '.join(missed)}"] * bool(missed) + unknown
