"""Files as GROMACS has them, where there is no GROMACS: conf.gro and run.trr of liquid ethane.

    python examples/gromacs/simulate.py FOLDER [PICOSECONDS]

OpenMM reads topol.top and simulates 108 molecules at 180 K, with positions, velocities and forces
every 0.1 ps.
"""

import sys
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from MDAnalysis.lib.formats.libmdaxdr import TRRFile
from openmm import app, unit
from tqdm import tqdm

HERE = Path(__file__).parent
TEMPERATURE, EDGE, MOLECULES = 180.0, 2.139, 108
SPACING, TIME_STEP, EQUILIBRATION = 0.1, 0.002, 40.0
BOX = EDGE * np.eye(3)


def main(folder: Path, length: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    top = app.GromacsTopFile(str(HERE / "topol.top"), periodicBoxVectors=BOX * unit.nanometer)
    system = top.createSystem(nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=1.0)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 0.2, TIME_STEP)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(_start())
    openmm.LocalEnergyMinimizer.minimize(context)
    context.setVelocitiesToTemperature(TEMPERATURE, 2)
    integrator.step(round(EQUILIBRATION / TIME_STEP))
    _save_gro(folder / "conf.gro", top.topology, context)
    with TRRFile(str(folder / "run.trr"), "w") as file:
        for number in tqdm(range(round(length / SPACING)), unit=" frames"):
            integrator.step(round(SPACING / TIME_STEP))
            state = context.getState(positions=True, velocities=True, forces=True)
            x, v, f = (
                value.value_in_unit_system(unit.md_unit_system).astype(np.float32)
                for value in (
                    state.getPositions(asNumpy=True),
                    state.getVelocities(asNumpy=True),
                    state.getForces(asNumpy=True),
                )
            )
            step = (number + 1) * round(SPACING / TIME_STEP)
            file.write(x, v, f, BOX.astype(np.float32), step, step * TIME_STEP, 0.0, len(x))


def _start() -> np.ndarray:
    """Molecules on a lattice, (n, 3) nm."""
    nodes = np.stack(np.meshgrid(*[np.arange(5)] * 3), -1).reshape(-1, 3)[:MOLECULES]
    centres = (nodes + 0.5) * EDGE / 5
    turned = np.eye(3)[np.arange(MOLECULES) % 3] * 0.077
    return np.stack([centres - turned, centres + turned], 1).reshape(-1, 3)


def _save_gro(path: Path, topology: app.Topology, context: openmm.Context) -> None:
    state = context.getState(positions=True)
    frame = mdtraj.Trajectory(
        state.getPositions(asNumpy=True).value_in_unit(unit.nanometer),
        mdtraj.Topology.from_openmm(topology),
        unitcell_lengths=[EDGE] * 3,
        unitcell_angles=[90.0] * 3,
    )
    frame.save_gro(str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 600.0)
