"""LAMMPS: a like simulation, which has the model's own pair table, and a Stillinger-Weber term in
place of its three-body term, with the same ranges, step, friction and skin; and exported models."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.timing import first_cores, named
from dynmatch.export import lammps as export
from dynmatch.model import Model
from dynmatch.potentials.pair import TABLE_NODES
from dynmatch.sites.trajectory import SiteTrajectory

NODES = 1000
SKIN = 0.2
"""nm; what LAMMPS takes by itself in its units `real` and `metal`."""
INPUT = """\
# nm, ps, amu and kJ/mol are consistent, and so are reduced units with kB = 1 and T = kB T
units lj
atom_style atomic
read_data sites.data
mass 1 {mass}
pair_style hybrid/overlay table linear {nodes} sw
pair_coeff * * table pair.table PAIR
pair_coeff * * sw water.sw W
neighbor {skin} bin
neigh_modify every 1 delay 0 check yes
velocity all create {kT} 1
fix 1 all nve
fix 2 all langevin {kT} {kT} {damp} 1
timestep {time_step}
thermo 1000000
run {warm_up}
run {steps}
"""
# elements, epsilon, sigma, a (range over sigma), lambda, gamma, cos theta0, A (no pair term), B, p,
# q, tol: the angular shape of mW water (doi:10.1021/jp805227c), weakened
STILLINGER_WEBER = "W W W 1.0 {sigma} 1.8 8.0 1.2 -0.333333333333 0.0 0.6 4.0 0.0 0.0\n"


def executable() -> Path | None:
    """LAMMPS as the wheel from PyPI brings it; None where it is not installed."""
    found = find_spec("lammps")
    return Path(found.origin).with_name("lmp") if found else None


def write_input(folder: Path, model: Model, start: SiteTrajectory, steps: int) -> None:
    """Files of a simulation of `steps` steps from the first frame of `start`."""
    curve, angular = model.potential.term("pair").curve(0), model.potential.term("three_body")
    mass, gamma = (float(model.values[name][0]) for name in ("mass", "gamma"))
    (folder / "in.water").write_text(
        INPUT.format(
            mass=mass,
            nodes=NODES,
            skin=SKIN,
            kT=model.kT,
            damp=mass / gamma,
            time_step=model.time_step,
            warm_up=max(1, steps // 10),
            steps=steps,
        )
    )
    (folder / "water.sw").write_text(STILLINGER_WEBER.format(sigma=angular.cutoff / 1.8))
    force_over_r, pair_energy = curve.table(model.parameters["pair"][0])
    nodes = np.arange(TABLE_NODES) * curve.cutoff**2 / (TABLE_NODES - 1)
    s = np.linspace((0.5 * curve.core) ** 2, curve.cutoff**2, NODES)
    r = np.sqrt(s)
    energy = np.interp(s, nodes, np.asarray(pair_energy))
    force = np.interp(s, nodes, np.asarray(force_over_r)) * r
    table = np.column_stack([r, energy, force])
    lines = [f"{i + 1} {a:.8g} {b:.8g} {c:.8g}" for i, (a, b, c) in enumerate(table)]
    head = f"PAIR\nN {NODES} RSQ {r[0]:.8g} {r[-1]:.8g}\n\n"
    (folder / "pair.table").write_text(head + "\n".join(lines) + "\n")
    positions = np.mod(start.positions[0], start.box)
    box = "\n".join(f"0 {edge:.8g} {x}lo {x}hi" for edge, x in zip(start.box, "xyz", strict=True))
    sites = "\n".join(f"{i + 1} 1 {x:.7g} {y:.7g} {z:.7g}" for i, (x, y, z) in enumerate(positions))
    (folder / "sites.data").write_text(
        f"water\n\n{len(positions)} atoms\n1 atom types\n\n{box}\n\nAtoms\n\n{sites}\n"
    )


STYLES = {"": [], ", omp": ["-suffix", "omp", "-package", "omp", "1"]}
"""Options of the styles that LAMMPS's wheel has for `table` and `sw`, by what they are called."""


@dataclass(frozen=True)
class Simulation:
    """What it is `called`, and a function that writes its files into a folder and returns options
    of LAMMPS."""

    called: str
    write: Callable[[Path], list[str]]


def like(model: Model, start: SiteTrajectory, steps: int) -> Simulation:
    """A like simulation of `model`, `steps` long, from the first frame of `start`."""

    def write(folder: Path) -> list[str]:
        write_input(folder, model, start, steps)
        return ["-in", "in.water"]

    return Simulation("table and sw", write)


def exported(model: Model, start: SiteTrajectory, steps: int) -> Simulation:
    """The exported `model` itself, `steps` long, from the last frame of `start`."""

    def write(folder: Path) -> list[str]:
        export.write(folder, model, start, "benchmark")
        return ["-in", "in.lammps", "-var", "steps", str(steps), "-var", "every", str(steps)]

    return Simulation("the exported model", write)


def competitors(simulation: Simulation, cores: int) -> dict[str, Callable[[], float]]:
    """Measurements of the speed, atom-steps per second, of each of the `STYLES`; none, with a
    message, where LAMMPS is not installed."""
    if executable() is None:
        print("skipped: LAMMPS; install the bench extra")
        return {}
    name = f"{named('lammps')}, {simulation.called}"
    return {
        name + style: partial(_atom_steps_per_second, simulation, cores, options)
        for style, options in STYLES.items()
    }


def fastest(measured: dict[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """Speeds and name of the fastest of `measured`."""
    best = max(measured, key=lambda name: float(np.median(measured[name])))
    return measured[best], best


def _atom_steps_per_second(simulation: Simulation, cores: int, options: list[str]) -> float:
    """Of `cores` simulations side by side, by LAMMPS's own loop times.

    Independent simulations, because that is the most that LAMMPS can get out of the cores.
    """
    # mpich's wheel puts libmpi, which the LAMMPS wheel lacks, into the environment's lib
    libraries = f"{Path(sys.prefix) / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    environment = os.environ | {"LD_LIBRARY_PATH": libraries, "OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:
        runs = []
        for core in first_cores(cores):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            command = ["taskset", "-c", str(core), executable(), *simulation.write(folder)]
            runs.append(
                subprocess.Popen(
                    [*command, *options, "-log", "none"],
                    cwd=folder,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        outputs = [run.communicate()[0] for run in runs]
    total = 0.0
    for output in outputs:
        loops = re.findall(r"Loop time of (\S+) on .* for (\d+) steps with (\d+) atoms", output)
        if not loops:
            raise RuntimeError(f"LAMMPS failed: {output[-500:]}")
        # the last one: those before it warm up
        loop, steps, atoms = map(float, loops[-1])
        total += atoms * steps / loop
    return total
