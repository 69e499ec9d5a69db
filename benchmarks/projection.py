"""Projection of a large file of water against MDTraj's and MDAnalysis's own loops, from files to
centres of mass: topologies are read anew each time."""

import resource
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import mdtraj
import numpy as np

from benchmarks.timing import Row, Worker, alternate, named, row, seconds

MOLECULES = 33_333
FRAMES = 400
FEW = 10
"""Frames that the slowest is timed on."""
EDGE = 10.0
"""nm"""
GOAL = 1.0
MEMORY = 2000.0
"""MB"""
SHAPE = np.array([[0.0, 0.0, 0.0], [0.0957, 0.0, 0.0], [-0.024, 0.0927, 0.0]])


def make_files(folder: Path, frames: int = FRAMES) -> tuple[Path, Path]:
    """A GRO and an XTC file of water that walks at random, wrapped atom by atom."""
    rng = np.random.default_rng(1)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(MOLECULES):
        residue = topology.add_residue("HOH", chain)
        for name in ("O", "H1", "H2"):
            topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
    nodes = np.stack(np.meshgrid(*[np.arange(33)] * 3), -1).reshape(-1, 3)[:MOLECULES]
    centres = (nodes + 0.5) * EDGE / 33
    centres = np.concatenate([centres, centres[: MOLECULES - len(centres)] + 0.15])[:MOLECULES]
    gro, xtc = folder / "water.gro", folder / "water.xtc"
    box = np.full((1, 3), EDGE), np.full((1, 3), 90.0)
    with mdtraj.formats.XTCTrajectoryFile(str(xtc), "w") as file:
        for number in range(frames):
            centres = centres + rng.normal(0, 0.01, centres.shape)
            x = np.mod((centres[:, None] + SHAPE).reshape(1, -1, 3), EDGE).astype(np.float32)
            file.write(
                x,
                time=np.array([0.1 * number], np.float32),
                step=np.array([number], np.int32),
                box=EDGE * np.eye(3, dtype=np.float32)[None],
            )
            if not number:
                mdtraj.Trajectory(x, topology, 0.0, *box).save_gro(str(gro))
    return gro, xtc


def ours(gro: Path, xtc: Path):
    from dynmatch.systems.trajectory.projection import project_own

    return lambda: seconds(lambda: project_own(gro, [xtc], 0.1, 300.0))


def by_mdtraj(gro: Path, xtc: Path):
    """Molecules made whole by MDTraj, and their centres of mass as weighted sums."""

    def loop():
        topology = mdtraj.load_topology(str(gro))
        mass = np.array([atom.element.mass for atom in topology.atoms])
        for chunk in mdtraj.iterload(str(xtc), top=topology, chunk=20):
            chunk.make_molecules_whole(inplace=True)
            weighted = np.add.reduceat(mass[:, None] * chunk.xyz, range(0, len(mass), 3), axis=1)
            weighted / mass[:3].sum()

    return lambda: seconds(loop)


def by_mdanalysis(gro: Path, xtc: Path):
    """Centres of mass of whole residues."""
    import MDAnalysis

    warnings.simplefilter("ignore")

    def opened():
        universe = MDAnalysis.Universe(gro, xtc)
        first = np.arange(0, len(universe.atoms), 3)
        bonds = np.concatenate([np.stack([first, first + k], 1) for k in (1, 2)])
        universe.add_TopologyAttr("bonds", bonds)
        return universe

    def loop(universe):
        for _ in universe.trajectory[:FEW]:
            universe.atoms.center_of_mass(compound="residues", unwrap=True)

    def measure():
        begun = time.perf_counter()
        universe = opened()
        return time.perf_counter() - begun + FRAMES / FEW * seconds(lambda: loop(universe))

    return measure


def compare() -> list[Row]:
    size = f"{3 * MOLECULES} atoms x {FRAMES} frames"
    rows = []
    with tempfile.TemporaryDirectory() as name:
        files = make_files(Path(name))
        for package, make in {"mdtraj": by_mdtraj, "MDAnalysis": by_mdanalysis}.items():
            if find_spec(package) is None:
                continue
            with Worker(ours, *files) as us, Worker(make, *files) as them:
                measured = alternate({"ours": us, "peer": them}, repetitions=2)
                memory = us.peak_memory()
            speed = {who: FRAMES / times for who, times in measured.items()}
            peer = named(package)
            rows.append(
                row(
                    "projection",
                    size,
                    1,
                    speed["ours"],
                    speed["peer"],
                    peer,
                    "frames/s",
                    GOAL,
                    more_is_better=True,
                )
            )
        rows.append(row("projection, peak memory", size, 1, memory, MEMORY, "limit", "MB", GOAL))
    return rows


def _size(frames: int) -> None:
    """Print what a file of so many frames, 380 kB each, takes from topology to projected.h5."""
    from dynmatch.sites.trajectory import write
    from dynmatch.systems.trajectory.projection import project_own

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gro, xtc = make_files(folder, frames)

        def project():
            write(folder / "projected.h5", project_own(gro, [xtc], 0.1, 300.0))

        duration = seconds(project)
        print(f"{3 * MOLECULES} atoms x {frames} frames, {xtc.stat().st_size / 1e9:.2f} GB")
    # of Linux, in kB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{frames / duration:.3g} frames/s, {peak:.0f} MB at most")


if __name__ == "__main__":
    _size(int(sys.argv[1]))
