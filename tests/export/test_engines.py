"""A short run in each engine is our own run: the same structure and the same diffusion.

A fluid of 64 sites in which every term of the potential acts. Each run is 48 ps, from one
configuration of our own; D is that of the workflow, from lags of 2.4 to 4.8 ps. A friction that is
wrong by a factor of 1.5 changes it by a third.
"""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import ase
import mdtraj
import numpy as np
import openmm
import pytest
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from openmm import XmlSerializer

from dynmatch.api import load_model
from dynmatch.export import lammps, openmm_files
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.model import Model
from dynmatch.observables.msd import diffusion, msd_samples
from dynmatch.observables.rdf import rdf
from dynmatch.simulation import run as simulation
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from tests.export.test_export import kept, trained
from tests.helpers.fluids import jittered_lattice

SITES = 64
EDGE = 1.3 * 4 / 3
LENGTH, SPACING = 48.0, 0.4
REPLICAS = 2
TIME_STEP = 0.008


@dataclass(frozen=True)
class Liquid:
    """A model, the folder it is kept in, and our own run of it."""

    model: Model
    folder: Path
    run: SiteTrajectory

    @property
    def start(self) -> SiteTrajectory:
        """The configuration that the engines start from."""
        return self.run.frames(slice(-1, None))


@pytest.fixture(scope="module")
def liquids(tmp_path_factory):
    """Our own runs of the Brownian and the Langevin model."""
    rng = np.random.default_rng(5)
    positions = np.stack([jittered_lattice(rng, EDGE, 0.02, 4) for _ in range(REPLICAS)])
    lattice = trajectory_of(positions.astype(np.float32))

    def liquid(kind):
        folder = tmp_path_factory.mktemp(kind)
        model = replace(trained(kind), time_step=TIME_STEP)
        run = load_model(kept(folder, model)).simulate(
            lattice,
            length=LENGTH,
            frame_spacing=SPACING,
            equilibration=10.0,
            replicas=REPLICAS,
            seed=2,
        )
        return Liquid(model, folder, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "FRAMES_PER_CHUNK", 20)  # no more frames than are asked for
        return {kind: liquid(kind) for kind in ("bd", "ld")}


def trajectory_of(positions: np.ndarray) -> SiteTrajectory:
    """Positions (F, N, 3), nm, of successive frames."""
    return SiteTrajectory(
        positions,
        SPACING * np.arange(len(positions)),
        np.full(SITES, 25.0),
        independent_sites(["W"] * SITES, "SOL"),
        np.full(3, EDGE),
    )


def d(run: SiteTrajectory) -> tuple[float, float]:
    """D and its standard error, nm^2/ps."""
    (row,) = diffusion(*msd_samples(run, LENGTH / 10), LENGTH).itertuples()
    return row.d_nm2_per_ps, row.error_nm2_per_ps


def assert_the_same(run: SiteTrajectory, ours: SiteTrajectory) -> None:
    """D within 4 sigma, which is 20 %, and g(r) within 2 sigma, root mean square over its bins.

    The errors of an engine's g(r) come from ten blocks, so that the mean square is 1.3 on average;
    with some 15 independent bins its standard deviation is 0.6, and 4 is 4.5 sigma.
    """
    (value, error), (expected, own) = d(run), d(ours)
    assert abs(value - expected) < 4 * np.hypot(error, own)
    found, wanted = (rdf(each, 0.02) for each in (run, ours))
    inside = wanted["rdf"] > 0.02
    difference = (found["rdf"] - wanted["rdf"])[inside]
    variance = (found["error"] ** 2 + wanted["error"] ** 2)[inside]
    assert np.mean(difference**2 / variance) < 4


@pytest.mark.parametrize(
    ("kind", "scheme"), [("ld", "gjf"), ("ld", "langevin"), ("bd", "gjf"), ("bd", "brownian")]
)
def test_lammps(tmp_path, liquids, kind, scheme):
    """The files of the export, as a user runs them; the two schemes of first order take ten steps
    for one of ours."""
    liquid = liquids[kind]
    lammps.write(tmp_path, liquid.model, liquid.start, "test")
    refined = 1 if scheme == "gjf" else 10
    settings = {
        "steps": round(LENGTH / TIME_STEP) * refined,
        "every": round(SPACING / TIME_STEP) * refined,
        "scheme": scheme,
    }
    options = [word for item in settings.items() for word in ("-var", *map(str, item))]
    command = [Path(sys.prefix) / "bin" / "lmp", "-in", "in.lammps", "-screen", "none", *options]
    subprocess.run(command, cwd=tmp_path, check=True)
    frames = mdtraj.load(
        tmp_path / "trajectory.lammpstrj", top=liquid.run.topology, unit_set="real"
    )
    assert_the_same(trajectory_of(frames.xyz), liquid.run)


@pytest.mark.parametrize("kind", ["ld", "bd"])
def test_openmm(tmp_path, liquids, kind):
    """System and integrator from the XML files of the export."""
    liquid = liquids[kind]
    openmm_files.write(tmp_path, liquid.model, liquid.start)
    system, integrator = (
        XmlSerializer.deserialize((tmp_path / f"{name}.xml").read_text())
        for name in ("system", "integrator")
    )
    integrator.setRandomNumberSeed(5)
    platform = openmm.Platform.getPlatform("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(liquid.start.positions[0].astype(float))
    if kind == "ld":
        context.setVelocitiesToTemperature(liquid.model.temperature, 6)
    frames = []
    for _ in range(round(LENGTH / SPACING) + 1):
        frames.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
        integrator.step(round(SPACING / TIME_STEP))
    assert_the_same(trajectory_of(np.array(frames, np.float32)), liquid.run)


def test_ase(liquids):
    """ASE's Langevin dynamics with our calculator."""
    liquid = liquids["ld"]
    model, start = liquid.model, liquid.start
    known = model.identifiable()
    friction, mass = known["gamma_over_alpha"], known["mass_over_alpha2"]
    atoms = ase.Atoms(["O"] * SITES, 10 * start.positions[0], cell=10 * start.box, pbc=True)
    atoms.set_masses([mass] * SITES)
    atoms.calc = DynmatchCalculator(liquid.folder / "model.yaml")
    rng = np.random.RandomState(5)
    MaxwellBoltzmannDistribution(atoms, temperature_K=model.temperature, rng=rng)
    fs = ase.units.fs
    dynamics = Langevin(
        atoms,
        1000 * TIME_STEP * fs,
        temperature_K=model.temperature,
        friction=friction / mass / (1000 * fs),
        fixcm=False,
        rng=rng,
    )
    frames = []
    every = round(SPACING / TIME_STEP)
    dynamics.attach(lambda: frames.append(atoms.positions / 10), interval=every)
    dynamics.run(round(LENGTH / TIME_STEP))
    assert_the_same(trajectory_of(np.array(frames, np.float32)), liquid.run)
