"""What can be seen to be wrong with a user's trajectory, told in a line that names the file or the
key: numbers that no file means, units, order of atoms, bonds that are missing, times, cutoffs.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import mdtraj
import numpy as np
from scipy.spatial import KDTree

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import heights, points_for_tree
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.mapping import Site
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage import memmap
from dynmatch.systems.trajectory.frames import Frames
from dynmatch.units import BOLTZMANN

NEIGHBOUR = (0.05, 0.8)
"""Range of the mean distance of an atom to its nearest neighbour, nm: a bond of hydrogen is 0.1, a
coarse bead's neighbour at 0.5."""
LONGEST_BOND = 3.0
"""Mean length of the bonds over that distance: 1 to 1.5 in a molecule."""
BONDED = 0.17
"""Distance, nm, below which two atoms other than hydrogen are bonded: C-C is 0.154, and atoms that
are not bonded come no nearer than 0.23."""
DIFFUSION = (3e-6, 0.3)
"""Range of a liquid's diffusion constant, nm^2/ps (water: 2e-3, an ionic liquid: 1e-5)."""
LONGEST_GROUP = 0.9
"""Of half the box: how far an atom without bonds may be from the first of its group."""
BALLISTIC = 1.5
"""Largest mean squared displacement between two frames, over that of free flight."""
KINETIC = (0.4, 1.6)
"""Range of the sites' kinetic energy over 3/2 kB T each: constraints between sites take some."""
ALIKE = 1.25
"""Largest root mean square step of one run over that of another: twice the frame spacing makes 1.41
where motion is diffusion."""
JUDGED = 300
"""Sites that motion is judged by."""
LONGEST_LOOK = 500
"""Frames of each run that its steps are compared in."""


def refuse_not_finite(path: Path, some: Frames, done: int) -> None:
    for name in ("positions", "velocities", "forces"):
        values = getattr(some, name)
        if values is not None and not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values).all((1, 2)))[0]
            raise DynmatchError(f"{path}: {name} of frame {done + bad} are not finite numbers")


def refuse_repeated(path: Path, x: np.ndarray, before: np.ndarray | None, done: int) -> None:
    """Raise DynmatchError where a frame is that before it: nothing stands still."""
    pairs = pairwise(x if before is None else [before, *x])
    for number, (one, other) in enumerate(pairs, done - (before is not None)):
        if np.array_equal(one, other):
            raise DynmatchError(
                f"{path}: frames {number} and {number + 1} are the same, as where a run was "
                "restarted; leave out what is double, or give the parts as files of their own"
            )


def check_lengths(
    positions: np.ndarray, box: np.ndarray, bonds: Sequence[tuple[int, int]], path: Path
) -> None:
    """Raise DynmatchError where the atoms' distances are plainly in other units than nm, or atoms
    that `bonds` join are far apart."""
    points, _, size = points_for_tree(positions, box, NEIGHBOUR[1])
    nearest = KDTree(points, boxsize=size).query(points[: len(positions)], 2)[0][:, 1].mean()
    if not NEIGHBOUR[0] <= nearest <= NEIGHBOUR[1]:
        raise DynmatchError(
            f"{path}: the nearest neighbour of an atom is {nearest:.2g} nm away on average, which "
            f"no substance has ({NEIGHBOUR[0]:g} to {NEIGHBOUR[1]:g} nm): are its units those that "
            "are usual in this format, or is the topology another's?"
        )
    if len(bonds):
        length = coordinate(positions, np.array(bonds), box).mean()
        if length > LONGEST_BOND * nearest:
            raise DynmatchError(
                f"{path}: atoms that the topology bonds are {length:.2g} nm apart on average, and "
                f"an atom's nearest neighbour {nearest:.2g} nm: are its atoms in another order "
                "than those of the topology?"
            )


def check_bonded(
    path: Path,
    positions: np.ndarray,
    box: np.ndarray,
    topology: mdtraj.Topology,
    molecule: np.ndarray,
    where: str,
) -> None:
    """Raise DynmatchError where atoms of two molecules are, and stay, as near as only bonds hold
    them: their sites would be taken for ones that attract each other.

    positions (F, n, 3), nm; molecule (n,), number of each atom's, -1 of atoms in no site. Atoms
    that are a molecule by themselves are left out, as in a melt of silica.
    """
    heavy = [atom.element is not None and atom.element.mass > 2 for atom in topology.atoms]
    several = np.bincount(molecule + 1)[molecule + 1] > 1
    chosen = np.flatnonzero(heavy & several & (molecule >= 0))
    if not len(chosen):
        return
    points, index, size = points_for_tree(positions[0, chosen], box, BONDED)
    near = KDTree(points, boxsize=size).query_pairs(BONDED, output_type="ndarray")
    pairs = chosen[index[near]]
    pairs = pairs[molecule[pairs[:, 0]] != molecule[pairs[:, 1]]]
    for x in positions[1:]:
        pairs = (
            pairs[coordinate(x.astype(np.float64), pairs, box) < BONDED] if len(pairs) else pairs
        )
    if len(pairs):
        one, other = pairs[0]
        raise DynmatchError(
            f"{path}: {topology.atom(one)} and {topology.atom(other)} (atoms {one} and {other}) "
            f"stay nearer than {BONDED:g} nm, as bonded atoms do, and there is no bond between "
            f"their sites; give {where}.topology a file with bonds, {where}.molecules with bonds, "
            f"or {where}.bonds: guess"
        )


def refuse_long(path: Path, whole: np.ndarray, sites: Sequence[Site], box: np.ndarray) -> None:
    """Raise DynmatchError where atoms of a site without bonds are so far from its first that
    another image of them may be the right one.

    whole (F, n, 3), nm, with the atoms of a site together
    """
    farthest = LONGEST_GROUP * heights(box).min() / 2
    for site in sites:
        reach = np.sqrt(np.sum((whole[:, site.atoms] - whole[:, site.atoms[:1]]) ** 2, -1)).max()
        if reach > farthest:
            raise DynmatchError(
                f"{path}: atoms of a site {site.name} are {reach:.2g} nm apart, about half the "
                "box, and the topology has no bonds that would tell which of their images belong "
                "together; give a topology with bonds, or the key bonds: guess"
            )


def check_clock(
    path: Path, time: np.ndarray | None, steps: np.ndarray | None, spacing: float, where: str
) -> None:
    """Raise DynmatchError where frames are missing or repeated by the file's own `steps` (F,) or
    `time` (F,), ps, or these contradict the config."""
    if steps is not None:
        for number, (before, after) in enumerate(pairwise(steps.tolist())):
            if after - before != steps[1] - steps[0]:
                raise DynmatchError(
                    f"{path}: frames are missing or repeated after TIMESTEP {before} (frame "
                    f"{number}), which {after} follows; leave out what is double, or give the "
                    "parts as files of their own"
                )
    if time is not None:
        _check_times(path, time, spacing, where)


def _check_times(path: Path, time: np.ndarray, spacing: float, where: str) -> None:
    """Raise DynmatchError where the file's own times are uneven or contradict the config."""
    if not np.isfinite(time).all():
        raise DynmatchError(
            f"{path}: the time of frame {np.argmin(np.isfinite(time))} is no number"
        )
    steps = np.diff(time)
    if not steps.any():
        # 0 throughout: the program that wrote them had none
        return
    # times are kept in single precision
    tolerance = 0.01 * abs(steps[0]) + 4 * np.spacing(np.float32(np.abs(time).max()))
    uneven = np.flatnonzero(np.abs(steps - steps[0]) > tolerance)
    if len(uneven):
        raise DynmatchError(
            f"{path}: frames are missing or repeated after {time[uneven[0]]:g} ps, where the frame "
            f"spacing changes from {steps[0]:g} to {steps[uneven[0]]:g} ps; leave out what is "
            "double, or give the parts as files of their own"
        )
    measured = (time[-1] - time[0]) / (len(time) - 1)
    if abs(measured - spacing) > 0.01 * spacing:
        raise DynmatchError(
            f"{where}.frame_spacing is {spacing:g} ps, but the frames of {path} are "
            f"{measured:g} ps apart by its own times"
        )


def judged(trajectory: SiteTrajectory) -> np.ndarray:
    """Numbers of the sites that motion is judged by."""
    return np.unique(np.linspace(0, trajectory.n_sites - 1, JUDGED).astype(int))


def check_units(
    trajectory: SiteTrajectory, temperature: float, where: str, liquid: bool = True
) -> None:
    """Raise DynmatchError where the motion of the sites is that of no substance in nm and ps, or,
    for a `liquid`, their diffusion."""
    replica = trajectory.replicas()[0]
    spacing = replica.frame_spacing
    some = judged(replica)
    masses = replica.masses[some]
    x = memmap.of_sites(replica.positions, some).astype(np.float64)
    # a few sites would take their own mean motion off with the drift
    everyone = np.average(
        [replica.positions[0], replica.positions[-1]], axis=1, weights=replica.masses
    )
    x -= np.linspace(0, 1, len(x))[:, None, None] * (everyone[1] - everyone[0])
    step = np.mean(np.sum((x[1:] - x[:-1]) ** 2, -1))
    free = 3 * BOLTZMANN * temperature * np.mean(1 / masses) * spacing**2
    if step > BALLISTIC * free:
        raise DynmatchError(
            f"{where}.frame_spacing: within {spacing:g} ps the sites move {np.sqrt(step):.2g} nm, "
            f"farther than free flight at {temperature:g} K would take them "
            f"({np.sqrt(free):.2g} nm); is it in ps, and the temperature right?"
        )
    if replica.velocities is not None:
        v = memmap.of_sites(replica.velocities, some).astype(np.float64)
        ratio = np.mean(np.sum(v**2, -1) @ masses) / len(some) / (3 * BOLTZMANN * temperature)
        if not KINETIC[0] <= ratio <= KINETIC[1]:
            raise DynmatchError(
                f"{where}: by their velocities the sites have {ratio:.3g} times the kinetic energy "
                f"of {temperature:g} K; is the temperature right, and, for dumps of LAMMPS, "
                f"{where}.lammps_units?"
            )
    if not liquid:
        return
    lag = max(1, len(x) // 10)
    d = np.mean(np.sum((x[lag:] - x[:-lag]) ** 2, -1)) / (6 * lag * spacing)
    if not DIFFUSION[0] <= d <= DIFFUSION[1]:
        raise DynmatchError(
            f"{where}.frame_spacing: the sites diffuse with D = {d:.2g} nm^2/ps, which no liquid "
            f"does ({DIFFUSION[0]:g} to {DIFFUSION[1]:g}); is it in ps?"
        )


def check_alike(paths: Sequence[Path], trajectory: SiteTrajectory, where: str) -> None:
    """Raise DynmatchError where sites of one run, the first part of which is at its path, move much
    farther within a frame than those of another."""
    some, moved = judged(trajectory), []
    for replica in trajectory.replicas():
        x = memmap.of_sites(replica.positions[:LONGEST_LOOK], some).astype(np.float64)
        moved.append(np.sqrt(np.mean(np.sum(np.diff(x, axis=0) ** 2, -1))))
    least, most = np.argmin(moved), np.argmax(moved)
    # of so few steps, the mean says little
    known = trajectory.n_sites * min(r.n_frames for r in trajectory.replicas()) >= JUDGED
    if known and moved[most] > ALIKE * moved[least]:
        raise DynmatchError(
            f"{where}.frame_spacing: within a frame, the sites of {paths[most]} move "
            f"{moved[most]:.2g} nm and those of {paths[least]} {moved[least]:.2g} nm; all files "
            "have one frame spacing and one temperature: leave one of them out"
        )


def check_cutoffs(cutoffs: Mapping[str, float], box: np.ndarray) -> None:
    low = heights(box).min()
    for key, cutoff in cutoffs.items():
        if cutoff > low / 2:
            raise DynmatchError(
                f"{key}: {cutoff:g} nm is beyond half the box of the trajectory; take at most "
                f"{np.floor(500 * low) / 1000:g} nm"
            )
