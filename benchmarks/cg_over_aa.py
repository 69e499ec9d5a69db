"""Physical time per day: the coarse-grained model against the all-atom one, on one core."""

from pathlib import Path

import openmm
from openmm import app

from benchmarks import cg_simulation
from benchmarks.timing import Row, Worker, alternate, named, row, seconds
from benchmarks.water import Water
from dynmatch.systems.all_atom.platforms import make_context

AA_STEPS = 2000
WARM_UP = 500
NS_PER_DAY = 86.4
"""ns per day of 1 ps per s."""
GOAL = 20.0


def all_atom(folder: Path, settings: dict, temperature: float):
    """A measurement of ps/s of the reference's system, thermostatted as its production is."""
    system = openmm.XmlSerializer.deserialize((folder / "system.xml").read_text())
    integrator = openmm.NoseHooverIntegrator(
        temperature, settings["thermostat_frequency"], settings["time_step"]
    )
    context = make_context(system, integrator, settings["platform"], 1)
    context.setPositions(app.PDBFile(str(folder / "topology.pdb")).positions)
    context.applyConstraints(1e-6)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=100)
    context.setVelocitiesToTemperature(temperature, 1)
    integrator.step(WARM_UP)

    def run():
        integrator.step(AA_STEPS)
        context.getState(positions=True)

    return lambda: AA_STEPS * settings["time_step"] / seconds(run)


def compare(water: Water, folder: Path) -> list[Row]:
    """`folder`: the all-atom reference, with system.xml and topology.pdb."""
    start = water.trajectory.frames(slice(0, 1))
    arguments = folder, water.system["reference"], water.system["temperature"]
    with (
        Worker(cg_simulation.ours, water.model, start, 1) as cg,
        Worker(all_atom, *arguments) as aa,
    ):
        measured = alternate({"cg": cg, "aa": aa})
    ps_per_atom_step = water.model.time_step / start.n_sites
    return [
        row(
            "physical time, CG over AA",
            f"{start.n_sites} molecules",
            1,
            measured["cg"] * ps_per_atom_step * NS_PER_DAY,
            measured["aa"] * NS_PER_DAY,
            f"{named('openmm')}, {water.system['reference']['platform']}",
            "ns/day",
            GOAL,
            more_is_better=True,
        )
    ]
