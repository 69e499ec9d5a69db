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

Each type of sites is a group with a fix of its own, at its own mass and friction.

Memory     `fix gle` (M. Ceriotti, G. Bussi and M. Parrinello, doi:10.1021/ct900563s) integrates it
           as OBABO, with O exact for the matrix A of the auxiliary momenta, which a file holds.
           Without its `noneq` their covariance is kB T times the unit matrix, as ours. With our
           step, its displacements are longer than ours, by w^2 dt^2/8 of them where sites swing
           at w (1 % for water); it therefore takes two steps for one of ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials import bonded
from dynmatch.potentials.base import type_pairs

ANGSTROM = 10.0
"""Angstrom in a nm."""
KCAL = 1 / 4.184
"""kcal/mol in a kJ/mol."""
FEMTOSECOND = 1000.0
"""fs in a ps."""
SUBSTEPS = 10
BONDED = {2: "bond", 3: "angle", 4: "dihedral"}
"""What LAMMPS calls a term of so many sites."""
BONDED_NODES = 2000
"""Of its tables."""

HEAD = """\
# {name}, trained with dynmatch: {kind} dynamics.
# LAMMPS units real: Angstrom, fs, g/mol, kcal/mol, K. Times are physical: alpha is contained in
# mass and friction. Other values on the command line: lmp -in in.lammps -var steps 100000
variable seed index 4711
variable steps index {steps}
variable every index {every}
variable copies index 1
variable data index initial.data
"""
SETUP = """
units real
atom_style {style}
newton on
{bonded}read_data ${{data}}{special}
replicate ${{copies}} ${{copies}} ${{copies}}
neighbor 2.0 bin
"""
TABLES = """
# u(r) and w(r_ij, r_ik, r_jk); needs the package ML-UF3
pair_style hybrid/overlay table linear 20000 uf3 3
{pairs}pair_coeff * * uf3 threebody.uf3 {labels}
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
# friction gamma/alpha, g/mol/ps, and mass m/alpha^2, g/mol: {told}; damp = mass/friction
# gjf: at the time step of the training. langevin: of first order in the time step, with steps
# {substeps} times shorter. Choose it with -var scheme langevin
velocity all create {temperature:.9g} ${{seed}} dist gaussian
{groups}variable scheme index gjf
if "${{scheme}} == gjf" then &
  "timestep {step:.9g}" &
{gjf}elif "${{scheme}} == langevin" &
  "timestep {substep:.9g}" &
{langevin}  "fix move all nve" &
else &
  "print 'ERROR: -var scheme ${{scheme}} is unknown, choose gjf or langevin'" &
  "quit 1"
"""
BROWNIAN = """
# friction gamma/alpha, g/mol/ps, and D0 = kB T alpha/gamma, nm^2/ps: {told}
# gjf: with damp = timestep/2 and the mass friction*timestep/2, which cancels, it is the scheme of
# the training. brownian: of first order in the time step (Euler-Maruyama), with steps
# {substeps} times shorter. Choose it with -var scheme brownian
{groups}variable scheme index gjf
if "${{scheme}} == gjf" then &
  "timestep {step:.9g}" &
{gjf}elif "${{scheme}} == brownian" &
  "timestep {substep:.9g}" &
{brownian}else &
  "print 'ERROR: -var scheme ${{scheme}} is unknown, choose gjf or brownian'" &
  "quit 1"
"""
MEMORY = """
# mass, g/mol, and friction of slow motion, g/mol/ps: {told}. The memory is that of {auxiliary}
# auxiliary momenta of every coordinate: gle*.A is the matrix A of
# du = -A u dt + noise, u = (sqrt(mass) velocity, auxiliary momenta). Needs the package EXTRA-FIX
velocity all create {temperature:.9g} ${{seed}} dist gaussian
timestep {step:.9g}
{groups}{gle}"""
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

    title    of the dynamics, in the script
    commands see above
    mass     in LAMMPS, g/mol, of the columns of a type and the time step (ps)
    told     what a comment says of a type, of its columns and mass
    fixes    by the name of their place in the commands: a line for each type, see `_of_types`
    files    texts that the commands read, by the name of their file
    words    that the commands have beside those of every dynamics
    refined  steps of LAMMPS for one of ours
    """

    title: str
    commands: str
    mass: Callable[[Mapping[str, float], float], float]
    told: str
    fixes: Mapping[str, str]
    files: Callable[[Model], dict[str, str]] = lambda model: {}
    words: Callable[[Model], dict] = lambda model: {}
    refined: int = 1


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """What types are called in files: W where there is one, whatever its name."""
    return ("W",) if len(names) == 1 else tuple(names)


def pair_section(first: str, second: str) -> str:
    """Heading of a pair of types in pair.table."""
    return f"PAIR_{first}_{second}"


def memory_files(model: Model) -> dict[str, str]:
    """A of a model with memory, 1/fs, for `fix gle`, of each type."""
    drifts = model.equation.drift(model.values) / FEMTOSECOND
    texts = {}
    for name, drift in zip(_group_marks(model), drifts, strict=True):
        rows = [" ".join(f"{number:.17g}" for number in row) for row in drift]
        head = "# A, 1/fs: sqrt(mass) velocity, and the auxiliary momenta"
        texts[f"gle{name}.A"] = "\n".join([head, *rows, ""])
    return texts


def _group_marks(model: Model) -> list[str]:
    """What the groups and fixes of the types have in their names: nothing for the only one."""
    names = model.potential.names
    return [""] if len(names) == 1 else [f"_{name}" for name in names]


GJF = '  "fix move{mark} {group} gjf {temperature:.9g} {temperature:.9g} {damp:.9g} ${{seed}}" &\n'
MOTIONS = {
    "bd": Motion(
        "Brownian",
        BROWNIAN,
        lambda known, dt: known["gamma_over_alpha"] * dt / 2,
        "{label} {friction:.6g}, {d0:.6g}",
        {
            "gjf": GJF,
            "brownian": '  "fix move{mark} {group} brownian {temperature:.9g} ${{seed}} gamma_t '
            '{gamma_t:.9g} rng gaussian" &\n',
        },
    ),
    "ld": Motion(
        "Langevin",
        LANGEVIN,
        lambda known, dt: known["mass_over_alpha2"],
        "{label} {friction:.6g}, {mass:.6g}",
        {
            "gjf": GJF,
            "langevin": '  "fix bath{mark} {group} langevin {temperature:.9g} {temperature:.9g} '
            '{damp:.9g} ${{seed}}" &\n',
        },
    ),
    "gle": Motion(
        "generalised Langevin",
        MEMORY,
        lambda known, dt: known["mass_over_alpha2"],
        "{label} {mass:.6g}, {friction:.6g}",
        {
            "gle": "fix move{mark} {group} gle {auxiliary} {temperature:.9g} {temperature:.9g} "
            "${{seed}} gle{mark}.A\n"
        },
        memory_files,
        lambda model: {"auxiliary": model.equation.auxiliary},
        refined=2,
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


def site_masses(model: Model) -> list[float]:
    """Masses of the types in LAMMPS, g/mol."""
    motion, types = motion_of(model), range(len(model.potential.names))
    return [motion.mass(model.columns(number), model.time_step) for number in types]


def bonded_kinds(model: Model) -> dict[int, list[bonded.Kind]]:
    """Kinds of bonds, angles and dihedrals, by their number of sites, in the order of their types
    in LAMMPS."""
    term = model.potential.term("bonded")
    kinds = term.kinds if term else ()
    return {length: [k for k in kinds if len(k.names) == length] for length in (2, 3, 4)}


def bonded_commands(model: Model) -> tuple[str, str]:
    """Styles, which come before the box, and coefficients, after it, of the tables of all bonds,
    angles and dihedrals."""
    styles, coefficients = [], []
    for length, kinds in bonded_kinds(model).items():
        word = BONDED[length]
        styles += [f"{word}_style table spline {BONDED_NODES}\n"] if kinds else []
        coefficients += [
            f"{word}_coeff {number} bonded.table {bonded_section(kind)}\n"
            for number, kind in enumerate(kinds, 1)
        ]
    return "".join(styles), "".join(coefficients)


def bonded_section(kind: bonded.Kind) -> str:
    """Heading of a kind in bonded.table."""
    return "_".join([BONDED[len(kind.names)].upper(), *kind.names])


def input_script(model: Model, name: str) -> str:
    """The script of `model`, called `name` in its first line; it runs for 1 ns."""
    motion = motion_of(model)
    step = model.time_step / motion.refined
    molecular = any(bonded_kinds(model).values())
    values = {
        "name": name,
        "kind": motion.title,
        "steps": round(1000.0 / step),
        "every": round(0.5 / step),
        "cutoff": ANGSTROM * model.potential.reach,
        "temperature": model.temperature,
        "step": FEMTOSECOND * step,
        "substep": FEMTOSECOND * step / SUBSTEPS,
        "substeps": SUBSTEPS,
        "style": "molecular" if molecular else "atomic",
        "special": "\nspecial_bonds lj 0 0 0" if molecular else "",
        **pair_words(model),
        **motion.words(model),
    }
    values |= _of_types(model, motion, values)
    network = bool(model.potential.term("three_body").hidden)
    styles, coefficients = bonded_commands(model)
    values |= {"bonded": styles}
    parts = [
        HEAD,
        SETUP,
        coefficients,
        NETWORK if network else TABLES,
        motion.commands,
        OUTPUT,
        *([] if network else [RUN]),
    ]
    return "".join(parts).format(**values)


def pair_words(model: Model) -> dict[str, str]:
    """What `TABLES` says of the types of sites."""
    names = labels(model.potential.names)
    pairs = [
        f"pair_coeff {a + 1} {b + 1} table pair.table {pair_section(names[a], names[b])}\n"
        for a, b in type_pairs(len(names))
    ]
    return {"labels": " ".join(names), "pairs": "".join(pairs)}


def _of_types(model: Model, motion: Motion, values: Mapping) -> dict[str, str]:
    """What the commands say of each type of sites: groups, fixes, and a comment."""
    names, marks = labels(model.potential.names), _group_marks(model)
    told, groups, fixes = [], [], {place: [] for place in motion.fixes}
    for number, (label, mark, mass) in enumerate(
        zip(names, marks, site_masses(model), strict=True)
    ):
        physical = model.columns(number)
        friction = physical["gamma_over_alpha"]
        own = {
            **values,
            "label": label if mark else "",
            "mark": mark,
            "group": f"type{mark}" if mark else "all",
            "friction": friction,
            "mass": mass,
            "damp": FEMTOSECOND * mass / friction,
            "gamma_t": friction / FEMTOSECOND,
            "d0": physical["d0_nm2_per_ps"],
        }
        told.append(motion.told.format(**own).strip())
        groups += [f"group type{mark} type {number + 1}\n"] if mark else []
        for place, line in motion.fixes.items():
            fixes[place].append(line.format(**own))
    return {
        "told": "; ".join(told),
        "groups": "".join(groups),
        **{place: "".join(lines) for place, lines in fixes.items()},
    }
