"""Simulation of coarse-grained models by size and number of cores: against LAMMPS, which has a like
model or the exported one, and with memory against without."""

from functools import partial

from benchmarks import lammps, liquids
from benchmarks.timing import Row, Worker, alternate, row, seconds
from benchmarks.water import Water, replicated
from dynmatch.model import Model
from dynmatch.simulation.replicas import Replicas
from dynmatch.sites.trajectory import SiteTrajectory

COPIES = (1, 2, 4, 8)
ATOM_STEPS = 400_000
"""Of one measurement and core, about."""
STEPS_PER_FRAME = 20
"""Few, because a site that moves by half the box between two frames counts as an explosion."""
LESS = 8
"""Times fewer steps for an exported model, whose triplets LAMMPS takes its time for."""
GOAL = 1.0
LINEAR = 0.9
"""Speed at the largest size over that at 512 sites, from which we call it linear."""
MEMORY = 1 / 1.5
"""Speed with memory over that without."""
GOAL_EXPORTED = 0.5
GOAL_UF3 = 0.4
"""Speed of the exported model in LAMMPS over that of LAMMPS's own table and sw."""

_row = partial(row, unit="atom-steps/s", more_is_better=True)


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
    return [
        *against_lammps(water),
        *with_memory(water),
        *exported_water(water),
        *(row for name in liquids.PRESETS for row in liquid(name)),
    ]


def against_lammps(water: Water) -> list[Row]:
    """By size and number of cores, and the largest size against 512 sites."""
    rows, per_core = [], {}
    for copies in COPIES:
        start = replicated(water.trajectory, copies)
        n = start.n_sites
        for cores in (1, 2):
            like = lammps.like(water.model, start, steps_for(n))
            with Worker(ours, water.model, start, cores, cores=cores) as worker:
                measured = alternate({"ours": worker} | lammps.competitors(like, cores))
            own = per_core[n, cores] = measured.pop("ours")
            if measured:
                peer, name = lammps.fastest(measured)
                rows.append(_row("CG simulation", f"{n} sites", cores, own, peer, name, goal=GOAL))
    small, large = (water.trajectory.n_sites * copies**3 for copies in (COPIES[1], COPIES[-1]))
    rows.append(
        _row(
            "CG simulation, linear in N",
            f"{large} sites",
            1,
            per_core[large, 1],
            per_core[small, 1],
            f"dynmatch, {small} sites",
            goal=LINEAR,
        )
    )
    return rows


def with_memory(water: Water) -> list[Row]:
    """The model with memory against the Langevin model, on the same potential."""
    start = water.trajectory.frames(slice(0, 1))
    with (
        Worker(ours, water.with_memory, start, 1) as memory,
        Worker(ours, water.model, start, 1) as plain,
    ):
        measured = alternate({"gle": memory, "ld": plain})
    size = f"{start.n_sites} sites"
    return [
        _row(
            "CG simulation, GLE",
            size,
            1,
            measured["gle"],
            measured["ld"],
            "dynmatch, LD",
            goal=MEMORY,
        )
    ]


def exported_water(water: Water) -> list[Row]:
    """The exported model in LAMMPS against LAMMPS's own table and sw."""
    start = replicated(water.trajectory, COPIES[1])
    n = start.n_sites
    model = lammps.competitors(lammps.exported(water.model, start, steps_for(n) // LESS), 1)
    like = lammps.competitors(lammps.like(water.model, start, steps_for(n)), 1)
    if not like:
        return []
    measured = alternate(model | like)
    own, _ = lammps.fastest({name: measured[name] for name in model})
    peer, name = lammps.fastest({name: measured[name] for name in like})
    return [_row("exported water in LAMMPS", f"{n} sites", 1, own, peer, name, goal=GOAL_UF3)]


def liquid(name: str) -> list[Row]:
    """A liquid of molecules, in our engine against its exported model in LAMMPS."""
    model, start = liquids.make(name)
    steps = steps_for(start.n_sites) // LESS
    peers = lammps.competitors(lammps.exported(model, start, steps), 1)
    if not peers:
        return []
    with Worker(ours, model, start, 1) as worker:
        measured = alternate({"ours": worker} | peers)
    own = measured.pop("ours")
    peer, called = lammps.fastest(measured)
    task, size = f"CG simulation, {name}", f"{start.n_sites} sites"
    return [_row(task, size, 1, own, peer, called, goal=GOAL_EXPORTED)]
