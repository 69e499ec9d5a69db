"""All-atom reference: independent replicas, side by side, that a killed run goes on from.

Each replica has a start of its own and is equilibrated, and then produced in segments; after each
of them is a checkpoint. A small box gains nothing from a second thread: cores serve best with one
replica each.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import tables
from openmm import app, unit
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.runtime.processes import in_turns, report, stay_on_this_core
from dynmatch.storage.atomic import replacing
from dynmatch.storage.hdf5 import replacing_hdf5
from dynmatch.systems.all_atom.base import AllAtomSystem
from dynmatch.systems.all_atom.platforms import make_context
from dynmatch.systems.all_atom.segments import Segment, count_good, read_segment, write_segment

logger = logging.getLogger(__name__)

ENERGY_SPACING = 1.0
"""Time between two energies, ps: each costs a force evaluation, about as much as a time step."""


@dataclass(frozen=True)
class ReferenceSettings:
    """How the box is simulated; times in ps, rates in 1/ps, temperature in K.

    `equilibration` and `length` are those of each replica; `threads` is the number of cores for all
    of them together; `where` is the section of the config that messages name. Without a
    `thermostat_frequency`, production too is Langevin dynamics, whose `friction` is the solvent's.
    """

    temperature: float
    time_step: float
    friction: float
    thermostat_frequency: float | None
    replicas: int
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
    def equilibration_frames(self) -> int:
        """Time of the equilibration, in frames."""
        return round(self.equilibration / self.frame_spacing)

    @property
    def frames(self) -> int:
        """Frames in the production of a replica."""
        return round(self.length / self.frame_spacing)

    @property
    def frames_per_segment(self) -> int:
        return min(round(self.segment / self.frame_spacing), self.frames)

    @property
    def frames_per_energy(self) -> int:
        return max(round(ENERGY_SPACING / self.frame_spacing), 1)

    @property
    def segments(self) -> int:
        """Segments of a replica that hold all its frames; the last too is simulated to its end."""
        return -(-self.frames // self.frames_per_segment)

    @property
    def workers(self) -> int:
        """Replicas that are simulated at the same time."""
        return min(self.threads, self.replicas)

    @property
    def threads_per_replica(self) -> int:
        return self.threads // self.workers


def check(settings: ReferenceSettings) -> None:
    """Raise DynmatchError, naming the key, for a setting that cannot be simulated."""
    where = settings.where
    for key in ("time_step", "friction", "thermostat_frequency", "equilibration", "length"):
        value = getattr(settings, key)
        if value is not None and not value > 0:
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


def produce(box: AllAtomSystem, settings: ReferenceSettings, folder: Path) -> list[list[Path]]:
    """Simulate the segments that `folder` lacks; return the paths of all, in order, by replica.

    Each segment starts in a new OpenMM context from the state that the one before ended with, so a
    run that was interrupted and one that was not go through the same states: with a thread for each
    replica on the CPU or Reference platform their trajectories are equal bit for bit. A replica
    without any segment is equilibrated first.

    Raises DynmatchError for settings that cannot be simulated, a platform that is not there, a
    simulation that blows up, and one whose process is killed.
    """
    check(settings)
    paths = [
        [
            folder / f"replica-{replica}" / f"segment-{index:03d}.h5"
            for index in range(settings.segments)
        ]
        for replica in range(settings.replicas)
    ]
    fingerprints = _fingerprints(box.system, settings)
    done = [count_good(*each) for each in zip(paths, fingerprints, strict=True)]
    for replica, count in enumerate(done):
        if count:
            logger.info(
                "replica %d continues after %d of %d segments", replica, count, settings.segments
            )
    chains = [
        [
            (box, settings, replica, paths[replica], index, fingerprints[replica])
            for index in range(done[replica], settings.segments)
        ]
        for replica in range(settings.replicas)
    ]
    with _SimulationBar(settings, done) as bar:
        in_turns(_produce_segment, chains, settings.workers, bar)
    return paths


def _produce_segment(
    box: AllAtomSystem,
    settings: ReferenceSettings,
    replica: int,
    paths: Sequence[Path],
    index: int,
    fingerprint: str,
) -> None:
    """Simulate and write the segment `index` of a replica, which goes on from the one before."""
    if settings.threads_per_replica == 1:
        stay_on_this_core()
    if index == 0:
        state = equilibrate(box, settings, replica, report)
    else:
        state = read_segment(paths[index - 1], fingerprint).end_state
    segment = simulate_segment(box, state, settings, replica, report)
    write_segment(paths[index], segment, fingerprint)


def equilibrate(
    box: AllAtomSystem,
    settings: ReferenceSettings,
    replica: int = 0,
    report: Callable[[], object] = lambda: None,
) -> str:
    """Take the positions to start from, minimise, draw velocities, and run Langevin dynamics.

    Positions, velocities and noise are those of the replica. Returns the final state as XML;
    `report` is called after every time in which production will write a frame.
    Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019), doi:10.1021/acs.jpca.9b02771.
    """
    integrator = openmm.LangevinMiddleIntegrator(
        settings.temperature, settings.friction, settings.time_step
    )
    start_seed, velocity_seed, noise_seed = _seeds(settings.seed, replica)
    integrator.setRandomNumberSeed(noise_seed)
    system = box.equilibrated_in(settings.temperature, noise_seed)
    context = _context(system, integrator, settings)
    context.setPositions(box.start(start_seed))
    context.computeVirtualSites()
    context.applyConstraints(integrator.getConstraintTolerance())
    openmm.LocalEnergyMinimizer.minimize(context)
    context.setVelocitiesToTemperature(settings.temperature, velocity_seed)
    energies = []
    with _blow_up(settings, replica, context, energies):
        for frame in range(settings.equilibration_frames):
            if frame % settings.frames_per_energy == 0:
                energy = context.getState(energy=True).getPotentialEnergy()
                energies.append(energy.value_in_unit(_ENERGY))
            integrator.step(settings.steps_per_frame)
            report()
    return openmm.XmlSerializer.serialize(context.getState(positions=True, velocities=True))


def simulate_segment(
    box: AllAtomSystem,
    state: str,
    settings: ReferenceSettings,
    replica: int = 0,
    report: Callable[[], object] = lambda: None,
) -> Segment:
    """Run one segment of a replica from an XML state with a Nose-Hoover chain or in a solvent.

    `report` is called every frame. In a solvent nothing is conserved: it is given as NaN. Positions
    and velocities are those of the first `box.recorded` particles.

    The chain scales the velocities of all atoms by one common factor (G. J. Martyna et al.,
    J. Chem. Phys. 97, 2635 (1992), doi:10.1063/1.463940). As OpenMM's leapfrog has it, velocities
    are those half a time step before the positions.
    """
    start = openmm.XmlSerializer.deserialize(state)
    if settings.thermostat_frequency is None:
        integrator = openmm.LangevinMiddleIntegrator(
            settings.temperature, settings.friction, settings.time_step
        )
        integrator.setRandomNumberSeed(_seeds(settings.seed, replica, start.getStepCount())[0])
    else:
        integrator = openmm.NoseHooverIntegrator(
            settings.temperature, settings.thermostat_frequency, settings.time_step
        )
    context = _context(box.system, integrator, settings)
    context.setState(start)
    frames, kept = settings.frames_per_segment, slice(box.recorded)
    positions = np.empty((frames, box.recorded, 3), np.float32)
    velocities = np.empty_like(positions)
    every = settings.frames_per_energy
    potential, conserved = [], []
    with _blow_up(settings, replica, context, potential):
        for frame in range(frames):
            integrator.step(settings.steps_per_frame)
            with_energy = frame % every == 0
            now = context.getState(positions=True, velocities=True, energy=with_energy)
            positions[frame] = now.getPositions(asNumpy=True).value_in_unit(unit.nanometer)[kept]
            velocities[frame] = now.getVelocities(asNumpy=True).value_in_unit(_SPEED)[kept]
            if with_energy:
                potential.append(now.getPotentialEnergy().value_in_unit(_ENERGY))
                kinetic = now.getKineticEnergy().value_in_unit(_ENERGY)
                bath = _bath_energy(integrator)
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
    paths: Sequence[Sequence[Path]], box: AllAtomSystem, settings: ReferenceSettings
) -> list[Iterator[Segment]]:
    """Read what `produce` wrote, by replica, one segment at a time.

    Raises DynmatchError when a segment is damaged.
    """
    fingerprints = _fingerprints(box.system, settings)
    return [
        map(partial(read_segment, fingerprint=fingerprint), own)
        for own, fingerprint in zip(paths, fingerprints, strict=True)
    ]


def write_box(
    box: AllAtomSystem,
    positions: np.ndarray,
    system_path: str | Path,
    topology_path: str | Path,
) -> None:
    """Write the OpenMM system (XML) and the topology with positions (n, 3), nm (PDB)."""
    with replacing(system_path) as temporary:
        temporary.write_text(openmm.XmlSerializer.serialize(box.system), encoding="utf-8")
    with replacing(topology_path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        app.PDBFile.writeFile(box.topology, positions * unit.nanometer, file)


def assemble(
    replicas: Iterable[Iterable[Segment]],
    box: AllAtomSystem,
    settings: ReferenceSettings,
    path: str | Path,
    velocities: bool = True,
) -> None:
    """Join the segments of all replicas into one trajectory of MDTraj's HDF5 layout, atomically.

    Replicas follow each other. It holds all particles, or those of the molecule: positions (nm, not
    wrapped), `velocities` (nm/ps) or not, time (ps, 0 at the first frame of each replica) and box.
    Frames beyond the length asked for are left out.
    """
    with replacing_hdf5(path) as temporary:
        with mdtraj.formats.HDF5TrajectoryFile(str(temporary), "w", compression=None) as file:
            # checksums instead: thermal noise does not become smaller by compression
            file._handle.filters = tables.Filters(fletcher32=True)
            file.topology = mdtraj.Topology.from_openmm(box.topology).subset(range(box.recorded))
            for replica in replicas:
                first = 0
                for segment in replica:
                    count = min(len(segment.positions), settings.frames - first)
                    time = (first + np.arange(count)) * settings.frame_spacing
                    file.write(
                        coordinates=segment.positions[:count],
                        velocities=segment.velocities[:count] if velocities else None,
                        time=time.astype(np.float32),
                        cell_lengths=np.full((count, 3), box.edge, np.float32),
                        cell_angles=np.full((count, 3), 90.0, np.float32),
                    )
                    first += count


_SPEED = unit.nanometer / unit.picosecond
_ENERGY = unit.kilojoule_per_mole


def _fingerprints(system: openmm.System, settings: ReferenceSettings) -> list[str]:
    """Digests of all that decides the course of each replica, its length and machine left out."""
    decisive = asdict(settings)
    for key in ("replicas", "length", "segment", "platform", "threads", "where"):
        del decisive[key]
    decisive["frames_per_segment"] = settings.frames_per_segment
    text = openmm.XmlSerializer.serialize(system) + json.dumps(decisive, sort_keys=True)
    return [
        hashlib.sha256(f"{text} {replica}".encode()).hexdigest()
        for replica in range(settings.replicas)
    ]


def _bath_energy(integrator: openmm.Integrator) -> float:
    """Energy of the thermostat, kJ/mol, or NaN where it has none."""
    if not isinstance(integrator, openmm.NoseHooverIntegrator):
        return np.nan
    return integrator.computeHeatBathEnergy().value_in_unit(_ENERGY)


def _seeds(seed: int, *key: int) -> list[int]:
    """Three positive seeds: OpenMM takes 0 for "choose one at random"."""
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return [int(word >> 2) + 1 for word in sequence.generate_state(3)]


def _context(
    system: openmm.System, integrator: openmm.Integrator, settings: ReferenceSettings
) -> openmm.Context:
    threads = settings.threads_per_replica
    return make_context(system, integrator, settings.platform, threads, settings.where)


@contextmanager
def _blow_up(
    settings: ReferenceSettings,
    replica: int,
    context: openmm.Context,
    energies: Sequence[float],
) -> Iterator[None]:
    """Turn OpenMM's complaint about a particle at NaN into one for the user.

    `energies` (kJ/mol) are the potential energies taken so far.
    """
    try:
        yield
    except openmm.OpenMMException as error:
        last = ", ".join(f"{energy:.6g}" for energy in energies[-3:]) or "none yet"
        in_a_box = settings.thermostat_frequency is not None
        raise DynmatchError(
            f"the all-atom simulation blew up ({error}) in replica {replica} at step "
            f"{context.getStepCount()}, last potential energies (kJ/mol): {last}; make "
            f"{settings.where}.time_step ({settings.time_step} ps) shorter"
            + in_a_box
            * f", or check {settings.where}.density"
        ) from error


class _SimulationBar(tqdm):
    """A progress bar over the frames of all replicas that shows ps and ns/day.

    `done` has the number of segments that each replica has already.
    """

    def __init__(self, settings: ReferenceSettings, done: Sequence[int]):
        self._spacing = settings.frame_spacing

        def frames(segments: int) -> int:
            return settings.equilibration_frames + segments * settings.frames_per_segment

        super().__init__(
            desc="all atoms",
            total=settings.replicas * frames(settings.segments),
            initial=sum(frames(count) for count in done if count),
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
