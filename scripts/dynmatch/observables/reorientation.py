"""Reorientation of bonds."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from dynmatch.observables.frames import lag_times, log_lags, origins, pieces, steps
from dynmatch.observables.observed import Observed
from dynmatch.sites.box import minimum_image
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import BLOCKS, block_slices, mean_and_error

ORDERS = (1, 2)
"""Of the Legendre polynomials; infrared spectra see the first, NMR the second."""
COLUMNS = ["types", "order", "lag_ps", "correlation", "error"]
CHUNK = 200_000
"""Vectors held at once."""


def reorientation(
    trajectory: SiteTrajectory, longest: float, origin_spacing: float
) -> pd.DataFrame:
    """C_l(t) = <P_l(u(0).u(t))> of the unit vectors u along every kind of bond, l = 1 and 2.

    Lags are spaced logarithmically from one frame to `longest` (ps) or half a replica, time origins
    `origin_spacing` (ps) apart; a block of origins in a replica is a sample. Columns types (ME-OH),
    order, lag_ps, correlation, error. No rows without bonds.
    """
    replicas = trajectory.replicas()
    stride = steps(origin_spacing, trajectory.frame_spacing, "structure_spacing")
    lags = log_lags(replicas, longest)
    # every lag has as many blocks as the longest one has origins for
    blocks = [min(BLOCKS, len(origins(replica, lags[-1], stride))) for replica in replicas]
    tables = [pd.DataFrame(columns=COLUMNS)]
    for along, sites in trajectory.topology.bonded_kinds.items():
        if len(along) != 2:
            continue
        samples = np.empty((sum(blocks), len(ORDERS), len(lags)))
        for at, lag in enumerate(lags):
            samples[:, :, at] = [
                means
                for replica, count in zip(replicas, blocks, strict=True)
                for means in _block_means(replica, sites, lag, stride, count)
            ]
        value, error = mean_and_error(samples)
        tables += [
            pd.DataFrame(
                {
                    "types": "-".join(along),
                    "order": order,
                    "lag_ps": lag_times(lags, trajectory.frame_spacing),
                    "correlation": value[number],
                    "error": error[number],
                }
            )
            for number, order in enumerate(ORDERS)
        ]
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _block_means(
    replica: SiteTrajectory, bonds: np.ndarray, lag: int, stride: int, blocks: int
) -> Iterator[tuple[float, float]]:
    """P_1 and P_2 of each of the time blocks of origins, over `bonds` (B, 2)."""
    all_origins = origins(replica, lag, stride)
    for block in block_slices(len(all_origins), blocks):
        first = second = count = 0.0
        for piece in pieces(block, max(1, CHUNK // len(bonds))):
            start = all_origins[piece]
            before, after = (_directions(replica, bonds, f) for f in (start, start + lag))
            cosine = np.einsum("obx,obx->ob", before, after)
            first += cosine.sum()
            second += np.sum(1.5 * cosine**2 - 0.5)
            count += cosine.size
        yield first / count, second / count


def _directions(replica: SiteTrajectory, bonds: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(F, B, 3) unit vectors."""
    positions = replica.positions[frames].astype(np.float64)
    vectors = minimum_image(positions[:, bonds[:, 1]] - positions[:, bonds[:, 0]], replica.box)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def observe_reorientation(observed: Observed) -> pd.DataFrame:
    settings = observed.settings
    return reorientation(observed.trajectory, settings.msd_length, settings.structure_spacing)
