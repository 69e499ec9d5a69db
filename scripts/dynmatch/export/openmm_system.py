r"""A trained model as an OpenMM System and Integrator (nm, ps, amu, kJ/mol, K: our own units).

Where the three-body term is linear, the System holds a CustomNonbondedForce with u(r) as a table
(natural cubic splines) and a CustomManyParticleForce with the formula of w and tables of the radial
functions, and can be kept as XML. A network is computed by dynmatch through a PythonForce.

The integrators move in physical time t: with tau = alpha t, friction gamma/alpha, mass m/alpha^2.
Brownian dynamics is a CustomIntegrator with the Leimkuhler-Matthews scheme of our own generator;
OpenMM's BrownianIntegrator is Euler-Maruyama.
"""

import numpy as np
import openmm
from openmm import unit

from dynmatch.export.triplets import PairsAndTriplets, write_out
from dynmatch.model import Model
from dynmatch.simulation.calculator import Evaluator

PAIR_NODES = 2001
RADIAL_NODES = 1001


def has_formula(model: Model) -> bool:
    """Whether the potential is written out for OpenMM; if not, dynmatch computes the forces."""
    return model.form.types is None and not model.form.hidden


def of_sites(model: Model, value: float | np.ndarray, n_sites: int) -> np.ndarray:
    """A value of all sites, or of each type (T,), as one of every site (N,)."""
    types = model.form.types
    return np.full(n_sites, value) if types is None else np.asarray(value)[np.array(types)]


def system(model: Model, box: np.ndarray, n_sites: int) -> openmm.System:
    """The System of `n_sites` sites of `model` in a periodic box (3,), nm."""
    masses = np.ones(n_sites)  # Brownian sites have none
    if model.kind == "ld":
        masses = of_sites(model, model.identifiable()["mass_over_alpha2"], n_sites)
    made = openmm.System()
    made.setDefaultPeriodicBoxVectors(*np.diag(np.asarray(box, float)).tolist())
    for mass in masses.tolist():
        made.addParticle(mass)
    if not has_formula(model):
        made.addForce(computed_force(model, box, n_sites))
        return made
    written = write_out(model)
    for force in (pair_force(written), triplet_force(written)):
        for _ in range(n_sites):
            force.addParticle()
        made.addForce(force)
    return made


def pair_force(written: PairsAndTriplets) -> openmm.CustomNonbondedForce:
    """u(r), tabulated."""
    form = written.form
    force = openmm.CustomNonbondedForce("u(r)")
    force.setName("pair")
    values = written.pair(np.linspace(0.0, form.cutoff, PAIR_NODES))
    force.addTabulatedFunction("u", openmm.Continuous1DFunction(values, 0.0, form.cutoff))
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(form.cutoff)
    return force


def triplet_force(written: PairsAndTriplets) -> openmm.CustomManyParticleForce:
    """w(r_ij, r_ik, r_jk) as a formula with tabulated radial functions; p1 is the centre i."""
    form = written.form
    terms = [
        f"{w!r}*(h{a}*g{b} + h{b}*g{a})" + (f"*t^{rank}" if rank else "")
        for (rank, a, b), w in written.coupling.items()
    ]
    # an expression may use the ones to its right
    definitions = [f"{form.thermal_energy!r}*({' + '.join(terms)})"]
    for c in range(form.radial_channels):
        definitions += [f"h{c} = radial{c}(r)", f"g{c} = radial{c}(q)"]
    # not from distance(p2, p3), which in a small box may be that to another image of p3
    definitions.append(f"t = r*q*cos(angle(p2, p1, p3))/{form.three_body_cutoff**2!r}")
    definitions += ["r = distance(p1, p2)", "q = distance(p1, p3)"]
    force = openmm.CustomManyParticleForce(3, "; ".join(definitions))
    force.setName("three-body")
    # a tabulated function is zero beyond its range; OpenMM also visits triplets with a site there
    s = np.linspace(0.0, 1.0, RADIAL_NODES) ** 2
    for c, radial in enumerate(written.radial):
        table = openmm.Continuous1DFunction(radial(s), 0.0, form.three_body_cutoff)
        force.addTabulatedFunction(f"radial{c}", table)
    force.setPermutationMode(openmm.CustomManyParticleForce.UniqueCentralParticle)
    force.setNonbondedMethod(openmm.CustomManyParticleForce.CutoffPeriodic)
    force.setCutoffDistance(form.three_body_cutoff)
    return force


def computed_force(model: Model, box: np.ndarray, n_sites: int) -> openmm.PythonForce:
    """Everything that `model` has of forces, computed by dynmatch at every step."""
    evaluate = Evaluator(model, box, n_sites)

    def compute(state):
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        return evaluate(positions)

    force = openmm.PythonForce(compute)
    force.setName("model")
    force.setUsesPeriodicBoundaryConditions(True)
    return force


def integrator(model: Model) -> openmm.Integrator:
    """The learned dynamics at the model's temperature and time step."""
    physical = model.identifiable()
    friction = physical["gamma_over_alpha"]
    several = model.form.types is not None
    if model.kind == "ld":
        rate = friction / physical["mass_over_alpha2"]
        if several:
            return _langevin_of_types(model, rate)
        return openmm.LangevinMiddleIntegrator(model.temperature, rate, model.time_step)
    brownian = openmm.CustomIntegrator(model.time_step)
    if several:
        _add_per_site(brownian, "friction", model, friction)
    else:
        brownian.addGlobalVariable("friction", friction)
    brownian.addGlobalVariable("kT", model.kT)
    brownian.addPerDofVariable("noise", 0)
    brownian.addPerDofVariable("next", 0)
    brownian.addComputePerDof("next", "gaussian")
    brownian.addComputePerDof("x", "x + dt*f/friction + sqrt(kT*dt/(2*friction))*(noise + next)")
    brownian.addComputePerDof("noise", "next")
    return brownian


def _langevin_of_types(model: Model, rate: np.ndarray) -> openmm.CustomIntegrator:
    """OpenMM's "middle" scheme with a collision rate (T,), 1/ps, of each type."""
    langevin = openmm.CustomIntegrator(model.time_step)
    _add_per_site(langevin, "rate", model, rate)
    langevin.addGlobalVariable("kT", model.kT)
    langevin.addUpdateContextState()
    langevin.addComputePerDof("v", "v + dt*f/m")
    langevin.addComputePerDof("x", "x + 0.5*dt*v")
    langevin.addComputePerDof("v", "exp(-rate*dt)*v + sqrt(kT*(1 - exp(-2*rate*dt))/m)*gaussian")
    langevin.addComputePerDof("x", "x + 0.5*dt*v")
    return langevin


def _add_per_site(integrator, name: str, model: Model, value: np.ndarray) -> None:
    """A variable of `integrator` whose value each site has by its type."""
    values = of_sites(model, value, len(model.form.types))
    integrator.addPerDofVariable(name, 0)
    integrator.setPerDofVariableByName(name, np.repeat(values[:, None], 3, 1).tolist())
