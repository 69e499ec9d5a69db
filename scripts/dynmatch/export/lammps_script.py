r"""The input script for LAMMPS: where the learned dynamics is written down in its commands.

Physical time t, tau = alpha t: friction g = gamma/alpha and mass M = m/alpha^2. `units real`.

`fix gjf` (Gronbech-Jensen, doi:10.1080/00268976.2019.1662506) integrates both:

Langevin   damp = M/g. Structure and diffusion are right at our time step; with `fix langevin` and
           `fix nve` the structure is not (see docs/export.md).
Brownian   damp = dt/2 and the mass M = g dt/2. The scheme GJ-I then has c2 = 0, and is that of our
           own Brownian generator (Leimkuhler-Matthews):
           R' = R + F dt/g + sqrt(2 kB T dt/g) (xi + xi')/2. The mass is a device and cancels.

`fix langevin` and `fix brownian` are there as alternatives. Their error is of first order in the
time step, and they therefore take SUBSTEPS steps for one of ours.

Memory     `fix gle` (M. Ceriotti, G. Bussi and M. Parrinello, doi:10.1021/ct900563s) integrates it
           as OBABO, with O exact for the matrix A of the auxiliary momenta, which a file holds.
           Without its `noneq` their covariance is kB T times the unit matrix, as ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dynmatch.errors import DynmatchError
from dynmatch.model import Model

ANGSTROM = 10.0
"""Angstrom in a nm."""
KCAL = 1 / 4.184
"""kcal/mol in a kJ/mol."""
FEMTOSECOND = 1000.0
"""fs in a ps."""
SUBSTEPS = 10

HEAD = """\
# {name}, trained with dynmatch: {kind} dynamics.
# LAMMPS units real: Angstrom, fs, g/mol, kcal/mol, K. Times are physical: alpha is contained in
# mass and friction. Other values on the command line: lmp -in in.lammps -var steps 100000
variable seed index 4711
variable steps index {steps}
variable every index {every}
variable copies index 1
"""
SETUP = """
units real
atom_style atomic
newton on
read_data initial.data
replicate ${{copies}} ${{copies}} ${{copies}}
neighbor 2.0 bin
"""
TABLES = """
# u(r) and w(r_ij, r_ik, r_jk); needs the package ML-UF3
pair_style hybrid/overlay table linear 20000 uf3 3
pair_coeff * * table pair.table PAIR
pair_coeff * * uf3 threebody.uf3 W
"""
NETWORK = """
# The three-body term of this model is a network, for which LAMMPS has no pair style: any pair
# part alone would be wrong. Therefore this script holds no potential, and does not run by itself;
#     python -m dynmatch.export.lammps_driver ../../model.yaml in.lammps
# gives `fix external` the forces of the model, and runs it. A model trained with
# potential.hidden: [] is one that LAMMPS runs alone.
pair_style zero {cutoff:.9g}
pair_coeff * *
fix model all external pf/callback 1 1
fix_modify model energy yes
"""
LANGEVIN = """
# friction gamma/alpha = {friction:.6g} g/mol/ps, mass m/alpha^2 = {mass:.6g} g/mol,
# damp = mass/friction
# gjf: at the time step of the training. langevin: of first order in the time step, with steps
# {substeps} times shorter. Choose it with -var scheme langevin
velocity all create {temperature:.9g} ${{seed}} dist gaussian
variable scheme index gjf
if "${{scheme}} == gjf" then &
  "timestep {step:.9g}" &
  "fix move all gjf {temperature:.9g} {temperature:.9g} {damp:.9g} ${{seed}}" &
elif "${{scheme}} == langevin" &
  "timestep {substep:.9g}" &
  "fix bath all langevin {temperature:.9g} {temperature:.9g} {damp:.9g} ${{seed}}" &
  "fix move all nve" &
else &
  "print 'ERROR: -var scheme ${{scheme}} is unknown, choose gjf or langevin'" &
  "quit 1"
"""
BROWNIAN = """
# friction gamma/alpha = {friction:.6g} g/mol/ps, that is D0 = kB T alpha/gamma = {d0:.6g} nm^2/ps
# gjf: with damp = timestep/2 and the mass friction*timestep/2, which cancels, it is the scheme of
# the training. brownian: of first order in the time step (Euler-Maruyama), with steps
# {substeps} times shorter. Choose it with -var scheme brownian
variable scheme index gjf
if "${{scheme}} == gjf" then &
  "timestep {step:.9g}" &
  "fix move all gjf {temperature:.9g} {temperature:.9g} {damp:.9g} ${{seed}}" &
elif "${{scheme}} == brownian" &
  "timestep {substep:.9g}" &
  "fix move all brownian {temperature:.9g} ${{seed}} gamma_t {gamma_t:.9g} rng gaussian" &
else &
  "print 'ERROR: -var scheme ${{scheme}} is unknown, choose gjf or brownian'" &
  "quit 1"
"""
MEMORY = """
# mass {mass:.6g} g/mol, friction of slow motion {friction:.6g} g/mol/ps. The memory is that of
# {auxiliary} auxiliary momenta of every coordinate: gle.A is the matrix A of
# du = -A u dt + noise, u = (sqrt(mass) velocity, auxiliary momenta). Needs the package EXTRA-FIX
velocity all create {temperature:.9g} ${{seed}} dist gaussian
timestep {step:.9g}
fix move all gle {auxiliary} {temperature:.9g} {temperature:.9g} ${{seed}} gle.A
"""
OUTPUT = """
compute msd all msd com yes
compute rdf all rdf 120
fix rdf all ave/time ${{every}} 1 ${{every}} c_rdf[*] file rdf.txt mode vector ave running overwrite
dump frames all custom ${{every}} trajectory.lammpstrj id type xu yu zu
dump_modify frames sort id
thermo_style custom step time pe c_msd[4]
thermo ${{every}}
thermo_modify flush yes
"""
RUN = """
run ${{steps}}
"""


@dataclass(frozen=True)
class Motion:
    """How LAMMPS moves the sites of one equation of motion.

    title     of the dynamics, in the script
    commands  see above
    mass      in LAMMPS, g/mol, of the columns of a type and the time step (ps)
    files     texts that the commands read, by the name of their file
    words     that the commands have beside those of every dynamics
    """

    title: str
    commands: str
    mass: Callable[[Mapping[str, float], float], float]
    files: Mapping[str, Callable[[Model], str]] = field(default_factory=dict)
    words: Callable[[Model], dict] = lambda model: {}


def drift_matrix(model: Model) -> str:
    """A of a model with memory, 1/fs, for `fix gle`."""
    (drift,) = model.equation.drift(model.values) / FEMTOSECOND
    rows = [" ".join(f"{number:.17g}" for number in row) for row in drift]
    return "\n".join(["# A, 1/fs: sqrt(mass) velocity, and the auxiliary momenta", *rows, ""])


MOTIONS = {
    "bd": Motion("Brownian", BROWNIAN, lambda known, dt: known["gamma_over_alpha"] * dt / 2),
    "ld": Motion("Langevin", LANGEVIN, lambda known, dt: known["mass_over_alpha2"]),
    "gle": Motion(
        "generalised Langevin",
        MEMORY,
        lambda known, dt: known["mass_over_alpha2"],
        {"gle.A": drift_matrix},
        lambda model: {"auxiliary": model.equation.auxiliary},
    ),
}


def motion_of(model: Model) -> Motion:
    """How LAMMPS moves the model.

    Raises DynmatchError, naming the dynamics, where it cannot.
    """
    name = model.equation.name
    if name not in MOTIONS:
        raise DynmatchError(f"LAMMPS has no equation of motion for the dynamics {name}")
    return MOTIONS[name]


def site_mass(model: Model) -> float:
    """Mass in LAMMPS, g/mol."""
    return motion_of(model).mass(model.columns(0), model.time_step)


def input_script(model: Model, name: str) -> str:
    """The script of `model`, called `name` in its first line; it runs for 1 ns."""
    motion, physical = motion_of(model), model.columns(0)
    friction, mass = physical["gamma_over_alpha"], site_mass(model)
    values = {
        "name": name,
        "kind": motion.title,
        "steps": round(1000.0 / model.time_step),
        "every": round(0.5 / model.time_step),
        "cutoff": ANGSTROM * model.potential.reach,
        "temperature": model.temperature,
        "step": FEMTOSECOND * model.time_step,
        "substep": FEMTOSECOND * model.time_step / SUBSTEPS,
        "substeps": SUBSTEPS,
        "friction": friction,
        "mass": mass,
        "damp": FEMTOSECOND * mass / friction,
        "gamma_t": friction / FEMTOSECOND,
        "d0": physical["d0_nm2_per_ps"],
        **motion.words(model),
    }
    network = bool(model.potential.term("three_body").hidden)
    parts = [
        HEAD,
        SETUP,
        NETWORK if network else TABLES,
        motion.commands,
        OUTPUT,
        *([] if network else [RUN]),
    ]
    return "".join(parts).format(**values)
