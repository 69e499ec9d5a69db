"""All-atom trajectories of liquid methanol, for the example of docs/own-system.md.

    python examples/methanol/simulate.py FOLDER [--length PS] [--replicas N]

writes FOLDER/topology.pdb and FOLDER/run-1.xtc, run-2.xtc, ... with a frame every 0.1 ps. The force
field is TraPPE-UA (methanol.xml) at the experimental density of 300 K, with Ewald sums and a cutoff
of 0.8 nm; the runs are thermostatted as the water of this repository is (docs/method.md).
"""

import argparse
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit
from scipy.spatial.transform import Rotation

TEMPERATURE = 300.0
DENSITY = 0.784  # g/cm^3
MOLAR_MASS = 32.042  # g/mol
TIME_STEP = 0.002  # ps
FRAME_SPACING = 0.1  # ps
EQUILIBRATION = 100.0  # ps
MOLECULE = np.array([[0.0, 0.0, 0.0], [0.143, 0.0, 0.0], [0.173, 0.0896, 0.0]])  # C, O, H; nm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--length", type=float, default=1000.0, help="of each run, ps")
    parser.add_argument("--equilibration", type=float, default=EQUILIBRATION, help="ps")
    parser.add_argument("--replicas", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    edge = (arguments.molecules * MOLAR_MASS * 1.66053906660e-3 / DENSITY) ** (1 / 3)
    topology = methanol(arguments.molecules, edge)
    system = app.ForceField(str(Path(__file__).with_name("methanol.xml"))).createSystem(
        topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=min(0.8, 0.49 * edge) * unit.nanometer,
        constraints=app.AllBonds,
    )
    for number in range(1, arguments.replicas + 1):
        positions = lattice(arguments.molecules, edge, np.random.default_rng(number))
        run(topology, system, positions, arguments, number)


def run(topology, system, positions, arguments, number: int) -> None:
    """Equilibrate one replica, and write its production."""
    platform = openmm.Platform.getPlatformByName("CPU")
    threads = {"Threads": "1", "DeterministicForces": "true"}

    def simulation(integrator):
        return app.Simulation(topology, system, integrator, platform, threads)

    langevin = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, TIME_STEP)
    langevin.setRandomNumberSeed(number)
    start = simulation(langevin)
    start.context.setPositions(positions)
    start.context.applyConstraints(1e-5)
    start.minimizeEnergy()
    start.context.setVelocitiesToTemperature(TEMPERATURE, number)
    start.step(round(arguments.equilibration / TIME_STEP))
    state = start.context.getState(positions=True, velocities=True)

    production = simulation(openmm.NoseHooverIntegrator(TEMPERATURE, 1.0, TIME_STEP))
    production.context.setPositions(state.getPositions())
    production.context.setVelocities(state.getVelocities())
    if number == 1:
        with open(arguments.folder / "topology.pdb", "w", encoding="utf-8") as file:
            app.PDBFile.writeFile(topology, state.getPositions(), file)
    path = arguments.folder / f"run-{number}.xtc"
    path.unlink(missing_ok=True)
    production.reporters.append(app.XTCReporter(str(path), round(FRAME_SPACING / TIME_STEP)))
    production.step(round(arguments.length / TIME_STEP))


def methanol(count: int, edge: float) -> app.Topology:
    """`count` molecules in a cube of that edge, nm."""
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(count):
        residue = topology.addResidue("MOH", chain)
        carbon, oxygen, hydrogen = (
            topology.addAtom(name, app.element.Element.getBySymbol(name), residue) for name in "COH"
        )
        topology.addBond(carbon, oxygen)
        topology.addBond(oxygen, hydrogen)
    topology.setPeriodicBoxVectors(np.eye(3) * edge * unit.nanometer)
    return topology


def lattice(count: int, edge: float, rng: np.random.Generator) -> np.ndarray:
    """Positions (3 count, 3), nm: random orientations on nodes of a cubic lattice."""
    side = int(np.ceil(np.cbrt(count) - 1e-9))
    nodes = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:count]
    turned = Rotation.random(count, random_state=rng).as_matrix() @ MOLECULE.T
    return (nodes[:, None] * edge / side + turned.swapaxes(1, 2)).reshape(-1, 3)


if __name__ == "__main__":
    main()
