"""All-atom reference: equilibration, then production in segments that a killed run goes on from."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from openmm import app, unit
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.files import replacing
from dynmatch.platforms import make_context
from dynmatch.segments import Segment, count_good, read_segment, write_segment
from dynmatch.water import WaterBox

logger = logging.getLogger(__name__)

ENERGY_SPACING = 1.0
"""Time between two energies, ps: each costs a force evaluation, about as much as a time step."""


@dataclass(frozen=True)
class ReferenceSettings:
    """How the box is simulated; times in ps, rates in 1/ps, temperature in K.

    `where` is the section of the config that messages name.
    """

    temperature: float
    time_step: float
    friction: float
    thermostat_frequency: float
    equilibration: float
    length: float
    frame_spacing: float
    segment: float
    platform: str
    threads: int
    seed: int
    where: str = "reference"

    @property
    def steps_per_frame(self) -> int:
        return round(self.frame_spacing / self.time_step)

    @property
    def frames(self) -> int:
        """Frames of the whole production."""
        return round(self.length / self.frame_spacing)

    @property
    def frames_per_segment(self) -> int:
        return min(round(self.segment / self.frame_spacing), self.frames)

    @property
    def segments(self) -> int:
        """Segments that hold at least all frames; the last one is simulated to its end as well."""
        return -(-self.frames // self.frames_per_segment)


def check(settings: ReferenceSettings) -> None:
    """Raise DynmatchError, naming the key, for a setting that cannot be simulated."""
    where = settings.where
    for key in ("time_step", "friction", "thermostat_frequency", "equilibration", "length"):
        value = getattr(settings, key)
        if not value > 0:
            raise DynmatchError(f"{where}.{key}: {value} must be positive")
    for key, unit_key in (
        ("frame_spacing", "time_step"),
        ("segment", "frame_spacing"),
        ("length", "frame_spacing"),
    ):
        value, step = getattr(settings, key), getattr(settings, unit_key)
        if round(value / step) < 1 or abs(value / step - round(value / step)) > 1e-6:
            raise DynmatchError(
                f"{where}.{key}: {value} ps must be a multiple of {where}.{unit_key}, {step} ps"
            )


def produce(box: WaterBox, settings: ReferenceSettings, folder: Path) -> list[Path]:
    """Simulate the segments that `folder` lacks; return the paths of all of them, in order.

    Each segment starts in a new OpenMM context from the state that the one before ended with, so a
    run that was interrupted and one that was not go through the same states: on one thread of the
    CPU or Reference platform their trajectories are equal bit for bit. Without any segment the box
    is equilibrated first.

    Raises DynmatchError for settings that cannot be simulated, a platform that is not there, and a
    simulation that blows up.
    """
    check(settings)
    fingerprint = _fingerprint(box.system, settings)
    paths = [folder / f"segment-{index:03d}.h5" for index in range(settings.segments)]
    done = count_good(paths, fingerprint)
    if done == 0:
        logger.info("equilibration: %g ps", settings.equilibration)
        state = equilibrate(box, settings)
    else:
        logger.info("continuing after %d of %d segments in %s", done, len(paths), folder)
        state = read_segment(paths[done - 1], fingerprint).end_state
    frames = settings.frames_per_segment
    with _SimulationBar("production", len(paths) * frames, done * frames, settings) as bar:
        for path in paths[done:]:
            segment = simulate_segment(box.system, state, settings, bar.update)
            write_segment(path, segment, fingerprint)
            state = segment.end_state
    return paths


def equilibrate(box: WaterBox, settings: ReferenceSettings) -> str:
    """Minimise, draw velocities, and run Langevin dynamics; return the final state as XML.

    Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019), doi:10.1021/acs.jpca.9b02771.
    """
    integrator = openmm.LangevinMiddleIntegrator(
        settings.temperature, settings.friction, settings.time_step
    )
    integrator_seed, velocity_seed = _seeds(settings.seed)
    integrator.setRandomNumberSeed(integrator_seed)
    context = _context(box.system, integrator, settings)
    context.setPositions(box.positions)
    context.computeVirtualSites()
    context.applyConstraints(integrator.getConstraintTolerance())
    openmm.LocalEnergyMinimizer.minimize(context)
    context.setVelocitiesToTemperature(settings.temperature, velocity_seed)
    frames = round(settings.equilibration / settings.frame_spacing)
    with _SimulationBar("equilibration", frames, 0, settings) as bar, _blow_up(settings):
        for _ in range(frames):
            integrator.step(settings.steps_per_frame)
            bar.update()
    return openmm.XmlSerializer.serialize(context.getState(positions=True, velocities=True))


def simulate_segment(
    system: openmm.System,
    state: str,
    settings: ReferenceSettings,
    report: Callable[[], object] = lambda: None,
) -> Segment:
    """Run one segment from an XML state with a Nose-Hoover chain; `report` is called every frame.

    The chain scales the velocities of all atoms by one common factor (G. J. Martyna et al.,
    J. Chem. Phys. 97, 2635 (1992), doi:10.1063/1.463940). As OpenMM's leapfrog has it, velocities
    are those half a time step before the positions.
    """
    integrator = openmm.NoseHooverIntegrator(
        settings.temperature, settings.thermostat_frequency, settings.time_step
    )
    context = _context(system, integrator, settings)
    context.setState(openmm.XmlSerializer.deserialize(state))
    frames = settings.frames_per_segment
    positions = np.empty((frames, system.getNumParticles(), 3), np.float32)
    velocities = np.empty_like(positions)
    every = max(round(ENERGY_SPACING / settings.frame_spacing), 1)
    potential, conserved = [], []
    with _blow_up(settings):
        for frame in range(frames):
            integrator.step(settings.steps_per_frame)
            with_energy = frame % every == 0
            now = context.getState(positions=True, velocities=True, energy=with_energy)
            positions[frame] = now.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
            velocities[frame] = now.getVelocities(asNumpy=True).value_in_unit(_SPEED)
            if with_energy:
                potential.append(now.getPotentialEnergy().value_in_unit(_ENERGY))
                kinetic = now.getKineticEnergy().value_in_unit(_ENERGY)
                bath = integrator.computeHeatBathEnergy().value_in_unit(_ENERGY)
                conserved.append(potential[-1] + kinetic + bath)
            report()
        end = context.getState(positions=True, velocities=True, integratorParameters=True)
        if not np.isfinite(potential).all() or not np.isfinite(positions[-1]).all():
            raise openmm.OpenMMException("energy or position is not a number")
    return Segment(
        positions=positions,
        velocities=velocities,
        energy_frames=np.arange(0, frames, every),
        potential=np.array(potential),
        conserved=np.array(conserved),
        end_state=openmm.XmlSerializer.serialize(end),
    )


def segments(
    paths: Sequence[Path], box: WaterBox, settings: ReferenceSettings
) -> Iterator[Segment]:
    """Read what `produce` wrote, one segment at a time.

    Raises DynmatchError when a segment is damaged.
    """
    fingerprint = _fingerprint(box.system, settings)
    return (read_segment(path, fingerprint) for path in paths)


def write_box(
    box: WaterBox, positions: np.ndarray, system_path: str | Path, topology_path: str | Path
) -> None:
    """Write the OpenMM system (XML) and the topology with positions (n, 3), nm (PDB)."""
    with replacing(system_path) as temporary:
        temporary.write_text(openmm.XmlSerializer.serialize(box.system), encoding="utf-8")
    with replacing(topology_path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        app.PDBFile.writeFile(box.topology, positions * unit.nanometer, file)


def assemble(
    parts: Iterable[Segment], box: WaterBox, settings: ReferenceSettings, path: str | Path
) -> None:
    """Join segments into one trajectory of MDTraj's HDF5 layout, atomically.

    It holds all particles: positions (nm, not wrapped), velocities (nm/ps), time (ps, 0 at the
    first frame) and box. Frames beyond the length asked for are left out.
    """
    with replacing(path) as temporary:
        with mdtraj.formats.HDF5TrajectoryFile(str(temporary), "w", compression=None) as file:
            file.topology = mdtraj.Topology.from_openmm(box.topology)
            first = 0
            for segment in parts:
                count = min(len(segment.positions), settings.frames - first)
                file.write(
                    coordinates=segment.positions[:count],
                    velocities=segment.velocities[:count],
                    time=((first + np.arange(count)) * settings.frame_spacing).astype(np.float32),
                    cell_lengths=np.full((count, 3), box.edge, np.float32),
                    cell_angles=np.full((count, 3), 90.0, np.float32),
                )
                first += count


_SPEED = unit.nanometer / unit.picosecond
_ENERGY = unit.kilojoule_per_mole


def _fingerprint(system: openmm.System, settings: ReferenceSettings) -> str:
    """A digest of all that decides the course of a simulation, its length and machine left out."""
    decisive = asdict(settings)
    for key in ("length", "segment", "platform", "threads", "where"):
        del decisive[key]
    decisive["frames_per_segment"] = settings.frames_per_segment
    text = openmm.XmlSerializer.serialize(system) + json.dumps(decisive, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _seeds(seed: int) -> list[int]:
    """Two positive seeds: OpenMM takes 0 for "choose one at random"."""
    return [int(word >> 2) + 1 for word in np.random.SeedSequence(seed).generate_state(2)]


def _context(
    system: openmm.System, integrator: openmm.Integrator, settings: ReferenceSettings
) -> openmm.Context:
    return make_context(system, integrator, settings.platform, settings.threads, settings.where)


@contextmanager
def _blow_up(settings: ReferenceSettings) -> Iterator[None]:
    """Turn OpenMM's complaint about a particle at NaN into one for the user."""
    try:
        yield
    except openmm.OpenMMException as error:
        raise DynmatchError(
            f"the all-atom simulation blew up ({error}): make {settings.where}.time_step "
            f"({settings.time_step} ps) shorter, or check {settings.where}.density"
        ) from error


class _SimulationBar(tqdm):
    """A progress bar over frames that shows ps and ns/day."""

    def __init__(self, title: str, frames: int, done: int, settings: ReferenceSettings):
        self._spacing = settings.frame_spacing
        super().__init__(
            desc=title,
            total=frames,
            initial=done,
            mininterval=1,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {time} [{elapsed}<{remaining}, {speed}]",
        )

    @property
    def format_dict(self) -> dict:
        values = super().format_dict
        new = (self.n - self.initial) * self._spacing
        speed = 86.4 * new / values["elapsed"] if new else 0
        return values | {
            "time": f"{self.n * self._spacing:.0f} of {self.total * self._spacing:.0f} ps",
            "speed": f"{speed:.0f} ns/day",
        }
