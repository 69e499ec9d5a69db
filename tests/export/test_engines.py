"""A short run in each engine is our own run: the same structure and the same diffusion.

A fluid of 64 sites in which every term of the potential acts. Each run is 48 ps, from one
configuration of our own; D is that of the workflow, from lags of 2.4 to 4.8 ps. A friction that is
wrong by a factor of 1.5 changes it by a third. Models with velocities have their autocorrelation
compared as well.
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
from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.export import lammps, lammps_script, openmm_files
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.model import Model
from dynmatch.observables.msd import diffusion, msd_samples
from dynmatch.observables.rdf import rdf
from dynmatch.observables.vacf import vacf
from dynmatch.simulation import run as simulation
from dynmatch.sites.trajectory import SiteTrajectory
from tests.export.test_export import in_order, started, trained, with_step
from tests.helpers.exported import kept
from tests.helpers.fluids import jittered_lattice, unbonded

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


class Made(dict):
    """What a function makes of a key, made once."""

    def __init__(self, make):
        super().__init__()
        self._make = make

    def __missing__(self, key):
        self[key] = self._make(key)
        return self[key]


@pytest.fixture(scope="module")
def liquids(tmp_path_factory):
    """Our own runs of models by the name of their dynamics, made when they are asked for."""
    rng = np.random.default_rng(5)
    positions = np.stack([jittered_lattice(rng, EDGE, 0.02, 4) for _ in range(REPLICAS)])
    lattice = trajectory_of(positions.astype(np.float32))

    def liquid(kind):
        folder = tmp_path_factory.mktemp(kind)
        model = with_step(trained(kind), TIME_STEP)
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
        yield Made(liquid)


EVERY = 3
"""Steps between frames with velocities."""
COUNT = 1001
"""Of frames with velocities."""


def moving(velocities: list[np.ndarray]) -> SiteTrajectory:
    """Velocities (F, N, 3), nm/ps, of successive frames EVERY steps apart."""
    still = np.zeros((len(velocities), SITES, 3), np.float32)
    run = trajectory_of(still)
    return replace(
        run, time=EVERY * TIME_STEP * np.arange(len(still)), velocities=np.array(velocities)
    )


@pytest.fixture(scope="module")
def with_velocities(liquids):
    """Our own run of the model with memory, with frames close enough for its velocities."""
    liquid = liquids["gle"]
    return load_model(liquid.folder / "model.yaml").simulate(
        liquid.run,
        length=(COUNT - 1) * EVERY * TIME_STEP,
        frame_spacing=EVERY * TIME_STEP,
        replicas=4,
        seed=3,
    )


def assert_the_same_velocities(run: SiteTrajectory, ours: SiteTrajectory) -> None:
    """The normalised VACF to 0.6 ps, which swings, within 2 sigma (root mean square over its lags,
    as g(r) above), and kT/m, of which that of velocities on the step is 1 % low, within 3 %."""
    found, wanted = (vacf(each, 0.6) for each in (run, ours))
    assert wanted["vacf"].min() < -0.2
    difference = (found["vacf"] - wanted["vacf"])[1:]
    variance = (found["error"] ** 2 + wanted["error"] ** 2)[1:]
    assert np.mean(difference**2 / variance) < 4
    assert np.abs(difference).max() < 0.03
    ratio = np.mean(run.velocities**2) / np.mean(ours.velocities**2)
    assert ratio == pytest.approx(1.0, abs=0.03)


def test_velocities_with_memory_in_lammps(tmp_path, liquids, with_velocities):
    liquid = liquids["gle"]
    lammps.write(tmp_path, liquid.model, liquid.start, "test")
    lmp = started(tmp_path)
    velocities = []
    for _ in range(COUNT):
        velocities.append(100 * in_order(lmp, "v"))
        lmp.command(f"run {EVERY * lammps_script.MOTIONS['gle'].refined} post no")
    assert_the_same_velocities(moving(velocities), with_velocities)


def test_velocities_with_memory_in_openmm(tmp_path, liquids, with_velocities):
    liquid = liquids["gle"]
    context, integrator = in_openmm(tmp_path, liquid)
    velocities = []
    for _ in range(COUNT):
        velocities.append(context.getState(velocities=True).getVelocities(asNumpy=True)._value)
        integrator.step(EVERY)
    assert_the_same_velocities(moving(velocities), with_velocities)


def trajectory_of(positions: np.ndarray) -> SiteTrajectory:
    """Positions (F, N, 3), nm, of successive frames."""
    return SiteTrajectory(
        positions,
        SPACING * np.arange(len(positions)),
        np.full(SITES, 25.0),
        unbonded("W" * SITES),
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
    ("kind", "scheme"),
    [("ld", "gjf"), ("ld", "langevin"), ("bd", "gjf"), ("bd", "brownian"), ("gle", "")],
)
def test_lammps(tmp_path, liquids, kind, scheme):
    """The files of the export, as a user runs them; the two schemes of first order take ten steps
    for one of ours, memory two."""
    liquid = liquids[kind]
    lammps.write(tmp_path, liquid.model, liquid.start, "test")
    refined = 10 if scheme in ("langevin", "brownian") else lammps_script.MOTIONS[kind].refined
    settings = {
        "steps": round(LENGTH / TIME_STEP) * refined,
        "every": round(SPACING / TIME_STEP) * refined,
        **({"scheme": scheme} if scheme else {}),
    }
    options = [word for item in settings.items() for word in ("-var", *map(str, item))]
    command = [Path(sys.prefix) / "bin" / "lmp", "-in", "in.lammps", "-screen", "none", *options]
    subprocess.run(command, cwd=tmp_path, check=True)
    frames = mdtraj.load(
        tmp_path / "trajectory.lammpstrj", top=liquid.run.topology.to_mdtraj(), unit_set="real"
    )
    assert_the_same(trajectory_of(frames.xyz), liquid.run)


def in_openmm(tmp_path, liquid: Liquid):
    """Context and integrator from the XML files of the export, at the liquid's last frame."""
    openmm_files.write(tmp_path, liquid.model, liquid.start, "test")
    system, integrator = (
        XmlSerializer.deserialize((tmp_path / f"{name}.xml").read_text())
        for name in ("system", "integrator")
    )
    integrator.setRandomNumberSeed(5)
    platform = openmm.Platform.getPlatform("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(liquid.start.positions[0].astype(float))
    if DYNAMICS[liquid.model.equation.name].velocities:
        context.setVelocitiesToTemperature(liquid.model.temperature, 6)
    return context, integrator


@pytest.mark.parametrize("kind", DYNAMICS)
def test_openmm(tmp_path, liquids, kind):
    liquid = liquids[kind]
    context, integrator = in_openmm(tmp_path, liquid)
    frames = []
    for _ in range(round(LENGTH / SPACING) + 1):
        frames.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
        integrator.step(round(SPACING / TIME_STEP))
    assert_the_same(trajectory_of(np.array(frames, np.float32)), liquid.run)


def test_ase(liquids):
    """ASE's Langevin dynamics with our calculator."""
    liquid = liquids["ld"]
    model, start = liquid.model, liquid.start
    known = model.columns(0)
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
