r"""The two torsions of a molecule: free energy, populations, memory and slowest timescales.

They are the first two of `zmatrix` that turn, phi and psi of a single amino acid between its caps.
Samples are time blocks: some forty of all replicas, and at least one of each.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.signal import fftconvolve

from dynmatch.errors import DynmatchError
from dynmatch.observables.observed import Observed
from dynmatch.sites.internal_coordinates import coordinate, coordinates_of
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import (
    block_slices,
    jackknife_error,
    mean_and_error,
    ratio_samples,
)
from dynmatch.units import BOLTZMANN

NAMES = ("phi", "psi")
BINS = 36
"""Over each torsion."""
STATES = 36
"""Of the Markov model on one torsion."""
SAMPLES = 40
BASINS = {
    "C5": ((-180, -110), (50, 240)),
    "PII_C7eq": ((-110, 0), (50, 240)),
    "alpha_R": ((-240, 0), (-120, 50)),
    "phi_positive": ((0, 120), (-180, 180)),
}
"""Ranges of phi and psi, degrees, modulo 360; what is left over is counted with none."""


CORES = {"phi": ((-160, -50), (30, 90)), "psi": ((110, 180), (-70, 0))}
"""Ranges, degrees, between which a torsion has crossed its barrier."""


def torsion_angles(trajectory: SiteTrajectory) -> list[np.ndarray]:
    """phi and psi (F, 2), radian, of every replica.

    Raises DynmatchError where the sites are not one molecule with two torsions.
    """
    chain = coordinates_of(trajectory)
    if len(chain.torsions) < 2:
        raise DynmatchError(
            f"reference.sites: {len(chain.torsions)} torsions of the molecule turn, and two are "
            "analysed; take more sites of its chain, or a longer trajectory"
        )
    sites = np.array(chain.torsions[:2])
    return [
        coordinate(replica.positions, sites, trajectory.box) for replica in trajectory.replicas()
    ]


def torsion_blocks(replicas: list[np.ndarray]) -> list[np.ndarray]:
    """phi and psi (F, 2), radian, of successive time blocks of the replicas."""
    count = max(1, round(SAMPLES / len(replicas)))
    return [angles[block] for angles in replicas for block in block_slices(len(angles), count)]


def ramachandran_samples(blocks: list[np.ndarray]) -> np.ndarray:
    """Probability of each of BINS x BINS bins of phi and psi, (S, BINS, BINS)."""
    edges = np.linspace(-np.pi, np.pi, BINS + 1)
    return np.stack(
        [np.histogram2d(*block.T, bins=[edges, edges])[0] / len(block) for block in blocks]
    )


def ramachandran(samples: np.ndarray, temperature: float) -> pd.DataFrame:
    """Columns phi_deg, psi_deg, probability of the bin and f_kj_per_mol, with their errors.

    f is -kB T ln of the probability, its lowest value 0, and NaN where nothing was sampled.
    """
    phi, psi = np.meshgrid(bin_centres(), bin_centres(), indexing="ij")
    columns = {"phi_deg": phi.ravel(), "psi_deg": psi.ravel()}
    return pd.DataFrame(columns | _free_energy(samples.reshape(len(samples), -1), temperature))


def torsion_free_energy(samples: np.ndarray, temperature: float) -> pd.DataFrame:
    """The same for phi and for psi alone, columns torsion and angle_deg, of the joint samples."""
    tables = []
    for axis, name in enumerate(NAMES):
        columns = {"torsion": name, "angle_deg": bin_centres()}
        tables.append(pd.DataFrame(columns | _free_energy(samples.sum(axis=2 - axis), temperature)))
    return pd.concat(tables, ignore_index=True)


def bin_centres() -> np.ndarray:
    """Of the bins of a torsion, degrees."""
    return -180 + (np.arange(BINS) + 0.5) * 360 / BINS


def _free_energy(samples: np.ndarray, temperature: float) -> dict[str, np.ndarray]:
    kT = BOLTZMANN * temperature
    p, error = mean_and_error(samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "probability": p,
            "probability_error": error,
            "f_kj_per_mol": np.where(p > 0, -kT * np.log(p / p.max()), np.nan),
            "error_kj_per_mol": np.where(p > 0, kT * error / p, np.nan),
        }


def population_samples(blocks: list[np.ndarray]) -> np.ndarray:
    """Probability of each of BASINS, (S, basins)."""
    return np.stack(
        [[np.mean(_inside(block, *ranges)) for ranges in BASINS.values()] for block in blocks]
    )


def _inside(angles: np.ndarray, *ranges: tuple[float, float]) -> np.ndarray:
    degrees = np.degrees(angles)
    within = [
        np.mod(degrees[:, axis] - low, 360) < high - low for axis, (low, high) in enumerate(ranges)
    ]
    return np.logical_and(*within)


def populations(samples: np.ndarray) -> pd.DataFrame:
    """Columns basin, probability, error."""
    value, error = mean_and_error(samples)
    return pd.DataFrame({"basin": list(BASINS), "probability": value, "error": error})


def correlation_samples(blocks: list[np.ndarray], lags: int) -> dict[str, np.ndarray]:
    """Autocorrelation functions C(t)/C(0) of cos phi, sin phi, cos psi and sin psi.

    At lags of 0 to `lags` frames, or as many as a block has, (S, lags + 1) each, with
    C(t) = <da(0) da(t)> and the mean over all blocks taken off.
    """
    lags = min(lags, *(len(block) - 1 for block in blocks))
    found = {}
    for axis, name in enumerate(NAMES):
        for label, function in (("cos", np.cos), ("sin", np.sin)):
            series = [function(block[:, axis]).astype(np.float64) for block in blocks]
            mean = np.mean([one.mean() for one in series])
            found[f"{label}_{name}"] = np.stack([_covariance(one - mean, lags) for one in series])
    return {name: ratio_samples(c, c[:, :1]) for name, c in found.items()}


def _covariance(series: np.ndarray, lags: int) -> np.ndarray:
    """<a(0) a(t)> at 0 to `lags` frames over all origins of a series (F,)."""
    full = fftconvolve(series, series[::-1])[len(series) - 1 :]
    return full[: lags + 1] / np.arange(len(series), len(series) - lags - 1, -1)


def correlation(samples: Mapping[str, np.ndarray], spacing: float) -> pd.DataFrame:
    """Columns function, lag_ps, correlation, error; frames `spacing` ps apart."""
    tables = []
    for name, values in samples.items():
        value, error = mean_and_error(values)
        lag = np.arange(len(value)) * spacing
        columns = {"function": name, "lag_ps": lag, "correlation": value, "error": error}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def transition_samples(blocks: list[np.ndarray], lag: int) -> dict[str, np.ndarray]:
    """Transitions between STATES equal ranges of a torsion within `lag` frames, (S, STATES^2).

    All origins count; divided by their number, for each torsion by its name.

    Raises DynmatchError where a block is no longer than `lag`.
    """
    shortest = min(map(len, blocks))
    if shortest <= lag:
        raise DynmatchError(
            f"observables.timescale_lag: {lag} frames are not shorter than a time block, "
            f"{shortest} frames; take a shorter lag or longer replicas"
        )
    found = {}
    for axis, name in enumerate(NAMES):
        states = [
            np.minimum(((block[:, axis] + np.pi) * STATES / (2 * np.pi)).astype(int), STATES - 1)
            for block in blocks
        ]
        found[name] = np.stack(
            [
                np.bincount(one[:-lag] * STATES + one[lag:], minlength=STATES**2) / (len(one) - lag)
                for one in states
            ]
        )
    return found


def slowest_timescale(transitions: np.ndarray, lag: float) -> float:
    """-lag / ln(lambda_2), of the units of `lag`, of the Markov model with these transitions.

    They (n^2,) are made symmetric, which detailed balance allows, and their second eigenvalue is
    that of the symmetric matrix C_ij / sqrt(c_i c_j). NaN where no state is left or it is 0.
    J.-H. Prinz et al., J. Chem. Phys. 134, 174105 (2011), doi:10.1063/1.3565032.
    """
    size = round(np.sqrt(transitions.size))
    c = transitions.reshape(size, size)
    c = 0.5 * (c + c.T)
    seen = c.sum(0) > 0
    c = c[np.ix_(seen, seen)]
    root = np.sqrt(c.sum(0))
    if len(root) < 2:
        return np.nan
    second = np.linalg.eigvalsh(c / np.outer(root, root))[-2]
    return float(-lag / np.log(second)) if 0 < second < 1 else np.nan


def timescales(samples: Mapping[str, np.ndarray], lag: float) -> pd.DataFrame:
    """Columns torsion, timescale_ps, error (a jackknife over the samples); `lag` in ps."""

    def of(mean):
        return slowest_timescale(mean, lag)

    rows = [
        (name, of(values.mean(axis=0)), jackknife_error(of, [values]))
        for name, values in samples.items()
    ]
    return pd.DataFrame(rows, columns=["torsion", "timescale_ps", "error"])


def crossings(replicas: list[np.ndarray]) -> pd.DataFrame:
    """Columns torsion, crossings: how often each of phi and psi (F, 2), radian, of the replicas
    passes from one CORES to the other."""
    counts = dict.fromkeys(NAMES, 0)
    for angles in replicas:
        degrees = np.degrees(angles)
        for axis, name in enumerate(NAMES):
            first, second = (
                np.mod(degrees[:, axis] - low, 360) < high - low for low, high in CORES[name]
            )
            visited = np.where(first, 1, np.where(second, 2, 0))
            visited = visited[visited > 0]
            counts[name] += int(np.count_nonzero(np.diff(visited)))
    return pd.DataFrame({"torsion": list(counts), "crossings": list(counts.values())})


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    """Divergence (natural logarithm) of two distributions where the second is not 0.

    Both are normalised over that region. J. Lin, IEEE Trans. Inf. Theory 37, 145 (1991).
    """
    seen = second > 0
    p, q = (one[seen] / one[seen].sum() for one in (first, second))
    m = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(0.5 * np.nansum(p * np.log(p / m)) + 0.5 * np.nansum(q * np.log(q / m)))


def observe_ramachandran(observed: Observed) -> pd.DataFrame:
    return ramachandran(observed.once(_densities), observed.temperature)


def observe_torsion_free_energy(observed: Observed) -> pd.DataFrame:
    return torsion_free_energy(observed.once(_densities), observed.temperature)


def observe_populations(observed: Observed) -> pd.DataFrame:
    return populations(observed.once(_populations))


def observe_torsion_correlation(observed: Observed) -> pd.DataFrame:
    spacing = observed.trajectory.frame_spacing
    lags = round(observed.settings.correlation_length / spacing)
    return correlation(correlation_samples(observed.once(_blocks), lags), spacing)


def observe_timescales(observed: Observed) -> pd.DataFrame:
    """Columns torsion, timescale_ps, error, crossings."""
    table = timescales(observed.once(_transitions), observed.settings.timescale_lag)
    return table.merge(crossings(observed.once(_angles)))


def samples_of_ramachandran(observed: Observed) -> dict[str, np.ndarray]:
    """`ramachandran` (S, BINS, BINS)."""
    return {"ramachandran": observed.once(_densities)}


def samples_of_populations(observed: Observed) -> dict[str, np.ndarray]:
    """`populations` (S, basins)."""
    return {"populations": observed.once(_populations)}


def samples_of_transitions(observed: Observed) -> dict[str, np.ndarray]:
    """`transitions_phi` and `transitions_psi` (S, STATES^2) within `timescale_lag`."""
    transitions = observed.once(_transitions)
    return {f"transitions_{name}": values for name, values in transitions.items()}


def _angles(observed: Observed) -> list[np.ndarray]:
    return torsion_angles(observed.trajectory)


def _blocks(observed: Observed) -> list[np.ndarray]:
    return torsion_blocks(observed.once(_angles))


def _densities(observed: Observed) -> np.ndarray:
    return ramachandran_samples(observed.once(_blocks))


def _populations(observed: Observed) -> np.ndarray:
    return population_samples(observed.once(_blocks))


def _transitions(observed: Observed) -> dict[str, np.ndarray]:
    lag = round(observed.settings.timescale_lag / observed.trajectory.frame_spacing)
    return transition_samples(observed.once(_blocks), lag)
