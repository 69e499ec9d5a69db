"""What a user's files hold, in figures and in words: what a config is begun or checked with."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from dynmatch.observables.frames import thinned
from dynmatch.observables.msd import msd
from dynmatch.observables.rdf import rdf
from dynmatch.sites.box import is_rectangular, lengths_and_angles, volume
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage import memmap
from dynmatch.systems.trajectory.atoms import Atoms, read_atoms
from dynmatch.systems.trajectory.card import HOW_TO_READ
from dynmatch.systems.trajectory.frames import Reading, frames_of
from dynmatch.systems.trajectory.projection import guessed, project_own

PAIRS = 100_000
"""Pairs of sites that a g(r) is estimated from, of each pair of types."""
FRAMES = 100
"""Frames likewise."""
SITES = 1000
"""Sites that an MSD is estimated from."""
BIN, SMOOTHED = 0.005, 3.0
"""Of a g(r): nm, and bins over which it is smoothed before its extrema are looked for."""
RISE = 0.05
"""Least difference of g at a maximum and the minimum after it."""
NOT_DIFFUSIVE = 0.07
"""How far the slope of ln MSD over ln lag may be off 1 where motion counts as diffusion."""


@dataclass(frozen=True)
class Survey:
    """trajectory  of the sites
    atoms       that they are made of
    minima      distances (nm) of the minima of g(r) by pair of types, in order
    spacing     mean distance of the first maxima of g(r), nm
    lag         ps, from which motion is diffusion; None where the runs do not reach it
    diffusion   nm^2/ps, from the MSD at a tenth of a run
    """

    trajectory: SiteTrajectory
    atoms: Atoms
    minima: Mapping[str, list[float]]
    spacing: float
    lag: float | None
    diffusion: float

    @property
    def runs(self) -> list[float]:
        """Lengths of the runs, ps."""
        frames = [replica.n_frames for replica in self.trajectory.replicas()]
        return [count * self.trajectory.frame_spacing for count in frames]


def survey(
    reference: Mapping[str, Any],
    temperature: float,
    where: str = "reference",
    atoms: Atoms | None = None,
) -> Survey:
    """Of the files in a config's section `reference`, with the defaults filled in.

    temperature  K
    atoms        those of its topology, where they have been read already

    Raises DynmatchError, naming the key or the file, for all that the projection refuses.
    """
    atoms = atoms or read_atoms(reference["topology"], where)
    reading = {key: reference[key] for key in HOW_TO_READ}
    if reading.pop("bonds") == "guess":
        kept = {key: reading[key] for key in ("periodic", "edges", "lammps_units")}
        atoms = guessed(atoms, reference["trajectories"][0], Reading(**kept, where=where))
    trajectory = project_own(
        atoms,
        reference["trajectories"],
        reference["frame_spacing"],
        temperature,
        reference["sites"],
        where=where,
        **reading,
    )
    curves = _structure(trajectory)
    found = {name: _extrema(*curve) for name, curve in curves.items()}
    first = [maxima[0] for maxima, _ in found.values() if maxima]
    lag, diffusion = _motion(trajectory)
    return Survey(
        trajectory=trajectory,
        atoms=atoms,
        minima={name: minima for name, (_, minima) in found.items()},
        spacing=float(np.mean(first)) if first else 0.3,
        lag=lag,
        diffusion=diffusion,
    )


def spacing_in(path: str, atoms: Atoms) -> float | None:
    """Time between the first two frames of a file, ps; None where it has no times."""
    # of a large system, frames come one by one
    some = list(islice(frames_of(path, atoms), 2))
    if any(frames.time is None for frames in some):
        return None
    time = np.concatenate([frames.time for frames in some]) if some else []
    if len(time) < 2 or time[1] == time[0]:
        return None
    return float(f"{time[1] - time[0]:.5g}")


def described(found: Survey) -> list[str]:
    """What there is and what is missing, a line each."""
    trajectory, topology = found.trajectory, found.trajectory.topology
    runs, spacing = found.runs, trajectory.frame_spacing
    lengths, angles = lengths_and_angles(trajectory.box)
    shape = "rectangular" if is_rectangular(trajectory.box) else f"angles {_listed(angles)} degrees"
    mass = dict(zip(topology.names, trajectory.masses, strict=True))
    names = Counter(topology.names)
    kinds = Counter(
        "-".join(topology.names[site] for site in molecule) for molecule in topology.molecules
    )
    lines = [
        f"atoms: {found.atoms.topology.n_atoms}, {len(found.atoms.bonds)} bonds",
        "sites: " + ", ".join(f"{names[name]} {name} of {mass[name]:.5g} amu" for name in names),
        "molecules: " + ", ".join(f"{count} {_short(kind)}" for kind, count in kinds.items()),
        f"box: {_listed(lengths)} nm, {shape}, {topology.n_sites / volume(trajectory.box):.4g} "
        "sites/nm^3",
        f"runs: {len(runs)}, of {_listed(runs)} ps, frames {spacing:g} ps apart",
        "velocities: "
        + (
            "no; the VACF has no curve of the reference" if trajectory.velocities is None else "yes"
        ),
        "forces: "
        + (
            "no; force matching cannot be asked for"
            if trajectory.forces is None
            else "yes; baselines.methods may have fm"
        ),
        f"D: about {found.diffusion:.2g} nm^2/ps",
    ]
    if trajectory.scale is not None:
        low, high = trajectory.scale.min(), trajectory.scale.max()
        lines.append(f"constant pressure: scaled to the mean box, by {low:.4f} to {high:.4f}")
    for name, minima in found.minima.items():
        lines.append(f"minima of g(r), {name}: {_listed(minima[:3]) or 'none'} nm")
    lines.append(
        f"motion is diffusion from {found.lag:.2g} ps"
        if found.lag
        else "motion is no diffusion yet within a tenth of a run: longer runs are needed"
    )
    return lines


def _listed(numbers) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers)


def _short(kind: str) -> str:
    return kind if len(kind) <= 40 else kind[:37] + "..."


def _structure(trajectory: SiteTrajectory) -> dict[str, tuple[np.ndarray, ...]]:
    """r (nm), g(r) and its standard error for each pair of types, of some pairs and frames."""
    step = max(1, trajectory.n_frames // FRAMES)
    some = thinned(trajectory, step * trajectory.frame_spacing)
    curves = {}
    for name, pairs in _some_pairs(trajectory.topology).items():
        if len(pairs):
            table = rdf(some, BIN, pairs)
            curves[name] = tuple(table[key].to_numpy() for key in ("r_nm", "rdf", "error"))
    return curves


def _some_pairs(topology: SiteTopology) -> dict[str, np.ndarray]:
    """At most `PAIRS` pairs (P, 2) of sites more than three bonds apart, by pair of types."""
    rng = np.random.default_rng(0)
    linked = set(map(tuple, topology.linked.tolist()))
    names = topology.type_names
    members = [np.flatnonzero(topology.types == number) for number in range(len(names))]
    found = {}
    for a, b in combinations_with_replacement(range(len(names)), 2):
        if len(members[a]) * len(members[b]) <= 4 * PAIRS:
            pairs = np.stack(np.meshgrid(members[a], members[b], indexing="ij"), -1).reshape(-1, 2)
        else:
            pairs = np.stack([rng.choice(members[a], PAIRS), rng.choice(members[b], PAIRS)], 1)
        if a == b:
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        kept = [tuple(pair) not in linked for pair in pairs.tolist()]
        found[f"{names[a]}-{names[b]}"] = pairs[kept][:PAIRS]
    return found


def _extrema(r: np.ndarray, g: np.ndarray, error: np.ndarray) -> tuple[list[float], list[float]]:
    """Distances, nm, of the maxima of g(r) and of the minimum after each, as far as they stand out
    of its noise."""
    rise = max(RISE, 2 * float(np.median(error)))
    g = gaussian_filter1d(g, SMOOTHED)
    maxima, minima, low, high, rising = [], [], 0, 0, True
    for n in range(1, len(g)):
        if rising:
            high = n if g[n] > g[high] else high
            if g[high] - g[n] > rise and g[high] - g[low] > rise:
                maxima.append(float(r[high]))
                low, rising = n, False
        else:
            low = n if g[n] < g[low] else low
            if g[n] - g[low] > rise:
                minima.append(float(r[low]))
                high, rising = n, True
    return maxima, minima


def _motion(trajectory: SiteTrajectory) -> tuple[float | None, float]:
    """The lag (ps) from which the MSD grows with time, or None; and D, nm^2/ps."""
    chosen = np.unique(np.linspace(0, trajectory.n_sites - 1, SITES).astype(int))
    some = SiteTrajectory(
        positions=memmap.of_sites(trajectory.positions, chosen),
        time=trajectory.time,
        masses=trajectory.masses[chosen],
        topology=trajectory.topology.chosen(chosen.tolist()),
    )
    shortest = min(replica.n_frames for replica in some.replicas()) * some.frame_spacing
    table = msd(some, shortest / 4)
    lag, value = table["lag_ps"].to_numpy(), table["msd_nm2"].to_numpy()
    # over a doubling of the lag: 2 in free flight, less than 1 in a cage
    later = lag[2 * lag <= lag[-1]]
    slope = np.log2(np.interp(2 * later, lag, value) / np.interp(later, lag, value))
    noise = np.interp(2 * later, lag, table["error_nm2"].to_numpy() / value)
    off = np.abs(slope - 1) > NOT_DIFFUSIVE + 2 * noise
    begun = later[np.flatnonzero(off)[-1] + 1 :] if off.any() else later
    at = np.argmin(np.abs(lag - shortest / 10))
    return float(begun[0]) if len(begun) else None, float(value[at] / (6 * lag[at]))
