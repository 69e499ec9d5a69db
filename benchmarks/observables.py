"""Observables against MDTraj, freud, MDAnalysis and tidynamics: time and peak memory."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from benchmarks.timing import Row, Worker, alternate, named, row, seconds
from benchmarks.water import Water, replicated
from dynmatch.observables.adf import adf_samples
from dynmatch.observables.msd import msd_samples
from dynmatch.observables.rdf import rdf_samples
from dynmatch.observables.scattering import scattering
from dynmatch.sites.trajectory import SiteTrajectory

FRAMES = 5000
TRIAL = 100
"""Frames on which it is found out which peer is the fastest."""
COPIES = 2
GOAL = 1.0
BIN = 0.005
"""Of the RDF, nm."""
SHELL = 0.35
"""Range of the ADF, nm."""
WAVE_NUMBERS = (8.0, 16.0, 24.0)
"""1/nm."""
MODULES = {
    "mdtraj": "mdtraj",
    "freud-analysis": "freud",
    "MDAnalysis": "MDAnalysis",
    "tidynamics": "tidynamics",
}


def bulk(water: Water) -> SiteTrajectory:
    """5000 frames of the reference in a box of 2 x 2 x 2 copies: 512 sites."""
    few = water.trajectory.replicas()[0].frames(slice(0, FRAMES))
    first = replicated(few, COPIES)
    moved = few.positions - few.positions[:1]
    # as `replicated` orders them: copy after copy
    positions = first.positions + np.tile(moved, (1, COPIES**3, 1))
    return SiteTrajectory(positions, few.time, first.masses, first.topology, first.box)


def ours_rdf(bulk: SiteTrajectory):
    return lambda: seconds(lambda: rdf_samples(bulk, BIN))


def ours_adf(bulk: SiteTrajectory):
    return lambda: seconds(lambda: adf_samples(bulk, SHELL))


def ours_msd(bulk: SiteTrajectory):
    return lambda: seconds(lambda: msd_samples(bulk, bulk.time[-1] / 2))


def ours_scattering(bulk: SiteTrajectory):
    """With time origins 1 ps apart, as in the workflow."""
    longest = bulk.time[-1] / 2
    return lambda: seconds(lambda: scattering(bulk, WAVE_NUMBERS, longest, 1.0))


def mdtraj_rdf(bulk: SiteTrajectory):
    import mdtraj

    lengths = np.tile(bulk.box, (bulk.n_frames, 1))
    trajectory = mdtraj.Trajectory(
        bulk.positions,
        bulk.topology.to_mdtraj(),
        unitcell_lengths=lengths,
        unitcell_angles=np.full_like(lengths, 90.0),
    )
    pairs = np.stack(np.triu_indices(bulk.n_sites, 1), 1)
    top = 0.5 * bulk.box.min()
    return lambda: seconds(lambda: mdtraj.compute_rdf(trajectory, pairs, (0.0, top), BIN))


def freud_rdf(bulk: SiteTrajectory):
    import freud

    freud.parallel.set_num_threads(1)
    box, top = freud.box.Box(*bulk.box), 0.499 * bulk.box.min()
    wrapped = [box.wrap(frame) for frame in bulk.positions]

    def compute():
        rdf = freud.density.RDF(round(top / BIN), top)
        for frame in wrapped:
            rdf.compute((box, frame), reset=False)
        return rdf.rdf

    return lambda: seconds(compute)


def mdanalysis_rdf(bulk: SiteTrajectory):
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF

    universe = MDAnalysis.Universe.empty(bulk.n_sites, trajectory=True)
    edges = np.append(10 * bulk.box, [90.0, 90.0, 90.0])
    universe.load_new(10 * bulk.positions, dimensions=edges)
    top = 5 * bulk.box.min()
    sites = universe.atoms

    def compute():
        InterRDF(sites, sites, round(0.1 * top / BIN), (0.0, top), exclusion_block=(1, 1)).run()

    return lambda: seconds(compute)


def freud_adf(bulk: SiteTrajectory):
    """Neighbours by freud, angles by NumPy."""
    import freud

    freud.parallel.set_num_threads(1)
    box = freud.box.Box(*bulk.box)
    wrapped = [box.wrap(frame) for frame in bulk.positions]

    def compute():
        counts = np.zeros(50)
        for frame in wrapped:
            query = freud.locality.AABBQuery(box, frame).query(
                frame, {"r_max": SHELL, "exclude_ii": True}
            )
            list_ = query.toNeighborList()
            unit = list_.vectors / list_.distances[:, None]
            sizes = list_.neighbor_counts
            width = sizes.max()
            slots = np.arange(len(unit)) - np.repeat(list_.segments, sizes)
            shell = np.full((len(frame), width, 3), np.nan, np.float32)
            shell[list_.query_point_indices, slots] = unit
            j, k = np.triu_indices(width, 1)
            cosine = np.einsum("ntx,ntx->nt", shell[:, j], shell[:, k])
            counts += np.histogram(cosine[np.isfinite(cosine)].clip(-1, 1), 50, (-1, 1))[0]
        return counts

    return lambda: seconds(compute)


def tidynamics_msd(bulk: SiteTrajectory):
    import tidynamics

    series = np.ascontiguousarray(bulk.positions.swapaxes(0, 1), dtype=np.float64)
    return lambda: seconds(lambda: np.mean([tidynamics.msd(x) for x in series], 0))


def tidynamics_scattering(bulk: SiteTrajectory):
    """F_s as the mean over the axes of the autocorrelation of exp(i k x), all origins."""
    import tidynamics

    series = np.ascontiguousarray(bulk.positions.swapaxes(0, 1), dtype=np.float64)

    def compute():
        for k in WAVE_NUMBERS:
            total = 0.0
            for x in series:
                phases = np.concatenate([np.cos(k * x), np.sin(k * x)], 1)
                total = total + tidynamics.acf(phases) / 3
            total = total / len(series)

    return lambda: seconds(compute)


CONTESTS: dict[str, tuple[Callable, dict[str, Callable]]] = {
    "RDF": (
        ours_rdf,
        {"mdtraj": mdtraj_rdf, "freud-analysis": freud_rdf, "MDAnalysis": mdanalysis_rdf},
    ),
    "ADF": (ours_adf, {"freud-analysis": freud_adf}),
    "MSD": (ours_msd, {"tidynamics": tidynamics_msd}),
    "F_s(k, t)": (ours_scattering, {"tidynamics": tidynamics_scattering}),
}


def compare(water: Water) -> list[Row]:
    trajectory = bulk(water)
    size = f"{trajectory.n_sites} sites x {trajectory.n_frames} frames"
    rows = []
    for name, (ours, peers) in CONTESTS.items():
        package = fastest(name, peers, trajectory.frames(slice(0, TRIAL)))
        if package is None:
            continue
        with Worker(ours, trajectory) as us, Worker(peers[package], trajectory) as them:
            measured = alternate({"ours": us, "peer": them}, repetitions=2)
            memory = us.peak_memory(), them.peak_memory()
        peer = named(package)
        rows.append(row(name, size, 1, measured["ours"], measured["peer"], peer, "s", GOAL))
        rows.append(row(f"{name}, peak memory", size, 1, *memory, peer, "MB"))
    return rows


def fastest(name: str, peers: dict[str, Callable], few: SiteTrajectory) -> str | None:
    """The peer that is fastest on few frames, the others being slower by minutes on many."""
    times = {}
    for package, make in peers.items():
        if find_spec(MODULES[package]) is None:
            print(f"skipped: {name} against {package}; install the bench extra")
            continue
        with Worker(make, few) as worker:
            times[package] = min(worker(), worker())
    print(f"{name} of {few.n_frames} frames, s: {times}")
    return min(times, key=times.get, default=None)
