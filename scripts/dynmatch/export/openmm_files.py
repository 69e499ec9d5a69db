"""A trained model as files for OpenMM.

initial.pdb      one configuration, with the box
integrator.xml   the learned dynamics
sites.json       topology and box, for forces that dynmatch computes
system.xml       the System with its forces; for a linear three-body term, and no molecules with
                 sites more than three bonds apart
run_openmm.py    a run from these files, with nothing but OpenMM where there is a system.xml
"""

import json
from pathlib import Path

import mdtraj
import numpy as np
from openmm import XmlSerializer

from dynmatch.export import openmm_system
from dynmatch.model import Model
from dynmatch.sites.box import lengths_and_angles, wrap
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage.atomic import replacing

SCRIPT = '''\
"""{name}: runs the exported model for 100 ps and writes trajectory.dcd, a frame every 0.5 ps."""

{standard}import os
import sys

from openmm import XmlSerializer
from openmm.app import DCDReporter, PDBFile, Simulation, StateDataReporter

{imports}
# its files are beside it
os.chdir(os.path.dirname(os.path.abspath(__file__)))
picoseconds = float(sys.argv[1]) if len(sys.argv) > 1 else 100.0
pdb = PDBFile("initial.pdb")
{system}
with open("integrator.xml") as file:
    integrator = XmlSerializer.deserialize(file.read())
simulation = Simulation(pdb.topology, system, integrator)
simulation.context.setPositions(pdb.positions)
{velocities}every = {every}
simulation.reporters = [
    DCDReporter("trajectory.dcd", every, enforcePeriodicBox=False),
    StateDataReporter(sys.stdout, 10 * every, time=True, potentialEnergy=True, speed=True),
]
simulation.step(round(picoseconds / {time_step!r}))
'''
FROM_XML = """\
with open("system.xml") as file:
    system = XmlSerializer.deserialize(file.read())"""
FROM_MODEL = """\
# OpenMM has no formula for the potential of this model: dynmatch computes it at every step
model = load("../../model.yaml")
with open("sites.json") as file:
    record = json.load(file)
sites = SiteTopology.of_record(record)
system = openmm_system.system(model, record["box_nm"], sites)"""


def write(folder: str | Path, model: Model, start: SiteTrajectory, name: str) -> list[Path]:
    """Write the files of `model` into `folder`; its configuration is the last frame of `start`.

    `name` is what the model is called in comments. Returns the files.

    Raises DynmatchError, naming the dynamics, where OpenMM cannot move it.
    """
    texts = {
        "integrator.xml": XmlSerializer.serialize(openmm_system.integrator(model, start.topology)),
        "run_openmm.py": script(model, start.topology, name),
    }
    sites = start.topology.record() | {"box_nm": np.asarray(start.box).tolist()}
    texts["sites.json"] = json.dumps(sites)
    if openmm_system.has_formula(model, start.topology):
        system = openmm_system.system(model, start.box, start.topology)
        texts["system.xml"] = XmlSerializer.serialize(system)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    positions = start.positions[-1].astype(float)
    lengths, angles = lengths_and_angles(start.box)
    frame = mdtraj.Trajectory(
        wrap(positions, start.box)[None],
        start.topology.to_mdtraj(),
        unitcell_lengths=lengths[None],
        unitcell_angles=angles[None],
    )
    with replacing(folder / "initial.pdb") as path:
        frame.save_pdb(str(path))
    for file, text in texts.items():
        with replacing(folder / file) as path:
            path.write_text(text, encoding="utf-8")
    return [folder / file for file in ("initial.pdb", *texts)]


def script(model: Model, topology: SiteTopology, name: str) -> str:
    """The script run_openmm.py of `model`, called `name` in its first line."""
    computed = not openmm_system.has_formula(model, topology)
    imports = (
        "from dynmatch.export import openmm_system\nfrom dynmatch.model_file import load\n"
        "from dynmatch.sites.topology import SiteTopology\n"
    )
    velocities = f"simulation.context.setVelocitiesToTemperature({model.temperature!r})\n"
    return SCRIPT.format(
        name=name,
        standard="import json\n" if computed else "",
        imports=imports if computed else "",
        system=FROM_MODEL if computed else FROM_XML,
        velocities=velocities if openmm_system.motion_of(model).velocities else "",
        every=round(0.5 / model.time_step),
        time_step=model.time_step,
    )
