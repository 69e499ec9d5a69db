r"""A trained model as an OpenMM System and Integrator (nm, ps, amu, kJ/mol, K: our own units).

Where the three-body term is linear, the System holds a CustomNonbondedForce for each pair of types
with u(r) as a table (natural cubic splines), a CustomManyParticleForce for each type of centre with
the formula of w and tables of the radial functions, and a force for each kind of bond, angle and
dihedral, and can be kept as XML. A network is computed by dynmatch through a PythonForce.

The integrators move in physical time t: with tau = alpha t, friction gamma/alpha, mass m/alpha^2.
Brownian dynamics is a CustomIntegrator with the Leimkuhler-Matthews scheme of our own generator;
OpenMM's BrownianIntegrator is Euler-Maruyama. So is dynamics with memory, with our own BAOAB.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm
from openmm import unit
from scipy.linalg import expm

from dynmatch.errors import DynmatchError
from dynmatch.export.triplets import PairsAndTriplets, write_out
from dynmatch.model import Model
from dynmatch.potentials.base import type_pairs
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.box import matrix, reduced
from dynmatch.sites.topology import SiteTopology

PAIR_NODES = 2001
RADIAL_NODES = 1001


def has_formula(model: Model, topology: SiteTopology) -> bool:
    """Whether the potential is written out for OpenMM; if not, dynmatch computes the forces.

    Sites of a molecule do not interact by pairs and triplets in the formula, so that none may be
    more than three bonds apart.
    """
    if {term.kind for term in model.potential.terms} - {"bonded"} != {"pair", "three_body"}:
        return False
    together = sum(len(sites) * (len(sites) - 1) for sites in topology.molecules)
    return not model.potential.term("three_body").hidden and len(topology.linked) == together


def system(model: Model, box: np.ndarray, sites: int | SiteTopology) -> openmm.System:
    """The System of the sites of `model` in a periodic box, nm (`sites.box`): their
    topology, or their number, where all are of its only type."""
    topology = model.sites(sites) if isinstance(sites, int) else sites
    model.potential.require(topology)
    masses = motion_of(model).masses(model, topology)
    made = openmm.System()
    made.setDefaultPeriodicBoxVectors(*matrix(reduced(box)).tolist())
    for mass in masses.tolist():
        made.addParticle(mass)
    if not has_formula(model, topology):
        made.addForce(computed_force(model, box, topology))
        return made
    written = write_out(model)
    forces = [
        *pair_forces(written, topology),
        *(triplet_force(written, topology, n) for n in range(len(written.names))),
        *bonded_forces(model, topology),
    ]
    for force in forces:
        made.addForce(force)
    return made


def pair_forces(
    written: PairsAndTriplets, topology: SiteTopology
) -> list[openmm.CustomNonbondedForce]:
    """u(r) of each pair of types that there is, tabulated."""
    cutoff, forces = written.pair_form.cutoff, []
    of_type = _of_types(topology, written.names)
    for a, b in type_pairs(len(written.names)):
        if not of_type[a] or not of_type[b]:
            continue
        force = openmm.CustomNonbondedForce("u(r)")
        force.setName(f"pair-{written.names[a]}-{written.names[b]}")
        values = written.pair(np.linspace(0.0, cutoff, PAIR_NODES), types=(a, b))
        force.addTabulatedFunction("u", openmm.Continuous1DFunction(values, 0.0, cutoff))
        force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
        force.setCutoffDistance(cutoff)
        for _ in range(topology.n_sites):
            force.addParticle()
        for i, j in topology.linked[topology.linked[:, 0] < topology.linked[:, 1]].tolist():
            force.addExclusion(i, j)
        if len(written.names) > 1:
            force.addInteractionGroup(of_type[a], of_type[b])
        forces.append(force)
    return forces


def triplet_force(
    written: PairsAndTriplets, topology: SiteTopology, number: int
) -> openmm.CustomManyParticleForce:
    """w(r_ij, r_ik, r_jk) about the sites of one type, as a formula with tabulated radial
    functions; p1 is the centre i, and not of a molecule with j or with k."""
    form, centre = written.form, written.centres[number]
    terms = [
        f"{w!r}*(h{a}*g{b} + h{b}*g{a})" + (f"*t^{rank}" if rank else "")
        for (rank, a, b), w in centre.coupling.items()
    ]
    several, bonds = len(written.names) > 1, bool(topology.bonds)
    apart = "(1 - delta(molecule1 - molecule2))*(1 - delta(molecule1 - molecule3))*"
    # an expression may use the ones to its right
    definitions = [f"{form.thermal_energy!r}*{apart if bonds else ''}({' + '.join(terms)})"]
    for of_neighbour in range(len(written.names)):
        own = [f"*delta(type{n} - {of_neighbour})" if several else "" for n in (2, 3)]
        for c in written.channels(of_neighbour):
            definitions += [f"h{c} = radial{c}(r){own[0]}", f"g{c} = radial{c}(q){own[1]}"]
    # not from distance(p2, p3), which in a small box may be that to another image of p3
    definitions.append(f"t = r*q*cos(angle(p2, p1, p3))/{form.cutoff**2!r}")
    definitions += ["r = distance(p1, p2)", "q = distance(p1, p3)"]
    force = openmm.CustomManyParticleForce(3, "; ".join(definitions))
    force.setName(f"three-body-{written.names[number]}")
    # a tabulated function is zero beyond its range; OpenMM also visits triplets with a site there
    s = np.linspace(0.0, 1.0, RADIAL_NODES) ** 2
    for c, radial in enumerate(centre.radial):
        table = openmm.Continuous1DFunction(radial(s), 0.0, form.cutoff)
        force.addTabulatedFunction(f"radial{c}", table)
    force.addPerParticleParameter("type")
    force.addPerParticleParameter("molecule")
    molecule = np.empty(topology.n_sites, int)
    for each, sites in enumerate(topology.molecules):
        molecule[sites] = each
    types = topology.types_among(written.names)
    for own, of in zip(types.tolist(), molecule.tolist(), strict=True):
        force.addParticle([own, of], own)
    force.setTypeFilter(0, [number])
    force.setPermutationMode(openmm.CustomManyParticleForce.UniqueCentralParticle)
    force.setNonbondedMethod(openmm.CustomManyParticleForce.CutoffPeriodic)
    force.setCutoffDistance(form.cutoff)
    return force


BONDED = {
    2: "q = distance(p1, p2)",
    3: "q = cos(angle(p1, p2, p3))",
    4: "q = dihedral(p1, p2, p3, p4)",
}
"""The coordinate of a term of so many sites."""


def bonded_forces(model: Model, topology: SiteTopology) -> list[openmm.CustomCompoundBondForce]:
    """Each kind of bond, angle and dihedral that there is: the formula of its prior and, as OpenMM
    interpolates by natural and periodic splines as well, its own spline through the knots."""
    term, forces = model.potential.term("bonded"), []
    if term is None:
        return forces
    coefficients = term.tabulate(model.parameters)
    for kind in term.kinds:
        places = topology.bonded_kinds.get(kind.names)
        if places is None:
            continue
        coordinate = BONDED[len(kind.names)]
        energy, spline = kind.prior_formula, kind.spline
        definitions = [coordinate]
        if spline:
            values = np.asarray(coefficients[kind.label], np.float64)
            knots = np.linspace(spline.low, spline.high, spline.intervals + 1)
            slopes = spline.value(values, knots[[0, -1]], 1, np).tolist()
            energy += f" + {spline.thermal_energy!r}*(s(inside) + beyond)"
            definitions = [
                f"inside = min(max(q, {spline.low!r}), {spline.high!r})",
                f"beyond = {slopes[0]!r}*min(q - {spline.low!r}, 0)"
                f" + {slopes[1]!r}*max(q - {spline.high!r}, 0)",
                coordinate,
            ]
        force = openmm.CustomCompoundBondForce(len(kind.names), "; ".join([energy, *definitions]))
        force.setName("-".join(["bonded", *kind.names]))
        if spline:
            curve = spline.value(values, knots, xp=np)
            if spline.periodic:
                curve[-1] = curve[0]
            force.addTabulatedFunction(
                "s",
                openmm.Continuous1DFunction(curve, spline.low, spline.high, spline.periodic),
            )
        force.setUsesPeriodicBoundaryConditions(True)
        for sites in places.tolist():
            force.addBond(sites)
        forces.append(force)
    return forces


def computed_force(model: Model, box: np.ndarray, topology: SiteTopology) -> openmm.PythonForce:
    """Everything that `model` has of forces, computed by dynmatch at every step."""
    evaluate = Calculator(model, box, topology)

    def compute(state):
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        return evaluate(positions)

    force = openmm.PythonForce(compute)
    force.setName("model")
    force.setUsesPeriodicBoundaryConditions(True)
    return force


def integrator(model: Model, topology: SiteTopology) -> openmm.Integrator:
    """The learned dynamics at the model's temperature and time step, for the sites of `topology`.

    Raises DynmatchError, naming the dynamics, where OpenMM cannot move it.
    """
    return motion_of(model).integrator(model, topology)


def _of_types(topology: SiteTopology, names: tuple[str, ...]) -> list[list[int]]:
    """Sites of each type."""
    types = topology.types_among(names)
    return [np.flatnonzero(types == number).tolist() for number in range(len(names))]


def _brownian(model: Model, topology: SiteTopology) -> openmm.CustomIntegrator:
    made = openmm.CustomIntegrator(model.time_step)
    _add_per_site(made, "friction", model, topology, model.identifiable()["gamma_over_alpha"])
    made.addGlobalVariable("kT", model.kT)
    made.addPerDofVariable("noise", 0)
    made.addPerDofVariable("next", 0)
    made.addComputePerDof("next", "gaussian")
    made.addComputePerDof("x", "x + dt*f/friction + sqrt(kT*dt/(2*friction))*(noise + next)")
    made.addComputePerDof("noise", "next")
    return made


def _langevin(model: Model, topology: SiteTopology) -> openmm.Integrator:
    """OpenMM's "middle" scheme, with a collision rate, 1/ps, of each type."""
    known = model.identifiable()
    rate = known["gamma_over_alpha"] / known["mass_over_alpha2"]
    if len(rate) == 1:
        return openmm.LangevinMiddleIntegrator(model.temperature, float(rate[0]), model.time_step)
    made = openmm.CustomIntegrator(model.time_step)
    _add_per_site(made, "rate", model, topology, rate)
    made.addGlobalVariable("kT", model.kT)
    made.addUpdateContextState()
    made.addComputePerDof("v", "v + dt*f/m")
    made.addComputePerDof("x", "x + 0.5*dt*v")
    made.addComputePerDof("v", "exp(-rate*dt)*v + sqrt(kT*(1 - exp(-2*rate*dt))/m)*gaussian")
    made.addComputePerDof("x", "x + 0.5*dt*v")
    return made


def _memory(model: Model, topology: SiteTopology) -> openmm.CustomIntegrator:
    """BAOAB with the auxiliary variables s1, s2, ... of every coordinate, over sqrt(m) like the
    velocity; they are drawn at the first step. O: rotation, decay and noise, rotation."""
    equation, dt = model.equation, model.time_step
    drift = equation.drift(model.values)
    diagonal = np.diagonal(drift, axis1=1, axis2=2)
    antisymmetric = drift - diagonal[:, :, None] * np.eye(drift.shape[1])
    rotation = expm(-0.5 * dt * antisymmetric)
    decay = np.exp(-dt * diagonal)
    made = openmm.CustomIntegrator(dt)
    made.addGlobalVariable("kT", model.kT)
    made.addGlobalVariable("started", 0)
    size = range(1 + equation.auxiliary)
    names = ["v", *(f"s{number}" for number in size[1:])]
    for number in size:
        made.addPerDofVariable(f"t{number}", 0)
        _add_per_site(made, f"decay{number}", model, topology, decay[:, number])
        for column in size:
            entry = rotation[:, number, column]
            _add_per_site(made, f"r{number}_{column}", model, topology, entry)
    for name in names[1:]:
        made.addPerDofVariable(name, 0)
    made.addUpdateContextState()
    made.beginIfBlock("started = 0")
    for name in names[1:]:
        made.addComputePerDof(name, "sqrt(kT/m)*gaussian")
    made.addComputeGlobal("started", "1")
    made.endBlock()
    made.addComputePerDof("v", "v + 0.5*dt*f/m")
    made.addComputePerDof("x", "x + 0.5*dt*v")
    for number in size:
        turned = " + ".join(f"r{number}_{column}*{name}" for column, name in enumerate(names))
        noise = f"sqrt(kT*(1 - decay{number}^2)/m)*gaussian"
        made.addComputePerDof(f"t{number}", f"decay{number}*({turned}) + {noise}")
    for number, name in enumerate(names):
        turned = " + ".join(f"r{number}_{column}*t{column}" for column in size)
        made.addComputePerDof(name, turned)
    made.addComputePerDof("x", "x + 0.5*dt*v")
    made.addComputePerDof("v", "v + 0.5*dt*f/m")
    return made


def _add_per_site(
    made: openmm.CustomIntegrator,
    name: str,
    model: Model,
    topology: SiteTopology,
    value: np.ndarray,
) -> None:
    """A variable of `made` with the value of each site's type (T,); of all, where there is one."""
    if len(value) == 1:
        made.addGlobalVariable(name, float(value[0]))
        return
    values = np.asarray(value)[topology.types_among(model.potential.names)]
    made.addPerDofVariable(name, 0)
    made.setPerDofVariableByName(name, np.repeat(values[:, None], 3, 1).tolist())


def _physical_masses(model: Model, topology: SiteTopology) -> np.ndarray:
    masses = np.asarray(model.identifiable()["mass_over_alpha2"], np.float64)
    return masses[topology.types_among(model.potential.names)]


def _no_masses(model: Model, topology: SiteTopology) -> np.ndarray:
    return np.ones(topology.n_sites)


@dataclass(frozen=True)
class Motion:
    """How OpenMM moves the sites of one equation of motion: its integrator, masses (N,) of the
    sites, amu, and whether they have velocities."""

    integrator: Callable[[Model, SiteTopology], openmm.Integrator]
    masses: Callable[[Model, SiteTopology], np.ndarray]
    velocities: bool


MOTIONS = {
    "bd": Motion(_brownian, _no_masses, velocities=False),
    "ld": Motion(_langevin, _physical_masses, velocities=True),
    "gle": Motion(_memory, _physical_masses, velocities=True),
}


def motion_of(model: Model) -> Motion:
    """How OpenMM moves the model.

    Raises DynmatchError, naming the dynamics, where it cannot.
    """
    name = model.equation.name
    if name not in MOTIONS:
        raise DynmatchError(f"OpenMM has no equation of motion for the dynamics {name}")
    return MOTIONS[name]
