r"""A trained model as an OpenMM System and Integrator (nm, ps, amu, kJ/mol, K: our own units).

Where the three-body term is linear, the System holds a CustomNonbondedForce with u(r) as a table
(natural cubic splines through PAIR_NODES nodes) and a CustomManyParticleForce with w written out,
and can be kept as XML. A network is computed by dynmatch through a PythonForce.

The integrators move in physical time t: with tau = alpha t, friction gamma/alpha, mass m/alpha^2.
Brownian dynamics is a CustomIntegrator with the Leimkuhler-Matthews scheme of our own generator;
OpenMM's BrownianIntegrator is Euler-Maruyama.
"""

import numpy as np
import openmm
from openmm import unit

from dynmatch.evaluation import Evaluator
from dynmatch.export.triplets import PairsAndTriplets, write_out
from dynmatch.model import Model

PAIR_NODES = 2001


def system(model: Model, box: np.ndarray, n_sites: int) -> openmm.System:
    """The System of `n_sites` sites of `model` in a periodic box (3,), nm."""
    made = openmm.System()
    made.setDefaultPeriodicBoxVectors(*np.diag(np.asarray(box, float)).tolist())
    mass = model.identifiable()["mass_over_alpha2"] or 1.0  # Brownian sites have none
    for _ in range(n_sites):
        made.addParticle(mass)
    if model.form.hidden:
        made.addForce(network_force(model, box, n_sites))
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
    """w(r_ij, r_ik, r_jk) as an algebraic expression; p1 is the centre i."""
    form = written.form
    terms = [
        f"{w!r}*(h{a}*g{b} + h{b}*g{a})" + (f"*t^{rank}" if rank else "")
        for (rank, a, b), w in written.coupling.items()
    ]
    # an expression may use the ones to its right; OpenMM also visits triplets with a site beyond
    # the cutoff, where h is to vanish
    definitions = [f"{form.thermal_energy!r}*({' + '.join(terms)})"]
    for c, radial in enumerate(written.radial):
        for value, argument in (("h", "s"), ("g", "q")):
            polynomial = _horner(radial.coef.tolist(), argument)
            definitions.append(f"{value}{c} = step(1 - {argument})*{polynomial}")
    definitions.append("t = (s + q - z)/2")
    for name, ends in (("s", "p1, p2"), ("q", "p1, p3"), ("z", "p2, p3")):
        definitions.append(f"{name} = (distance({ends})/{form.three_body_cutoff!r})^2")
    force = openmm.CustomManyParticleForce(3, "; ".join(definitions))
    force.setName("three-body")
    force.setPermutationMode(openmm.CustomManyParticleForce.UniqueCentralParticle)
    force.setNonbondedMethod(openmm.CustomManyParticleForce.CutoffPeriodic)
    force.setCutoffDistance(form.three_body_cutoff)
    return force


def _horner(coefficients: list[float], x: str) -> str:
    """The polynomial as an expression with as many products as its degree."""
    expression = repr(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        expression = f"({coefficient!r} + {x}*{expression})"
    return expression


def network_force(model: Model, box: np.ndarray, n_sites: int) -> openmm.PythonForce:
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
    if model.kind == "ld":
        rate = friction / physical["mass_over_alpha2"]
        return openmm.LangevinMiddleIntegrator(model.temperature, rate, model.time_step)
    brownian = openmm.CustomIntegrator(model.time_step)
    brownian.addGlobalVariable("friction", friction)
    brownian.addGlobalVariable("kT", model.kT)
    brownian.addPerDofVariable("noise", 0)
    brownian.addPerDofVariable("next", 0)
    brownian.addComputePerDof("next", "gaussian")
    brownian.addComputePerDof("x", "x + dt*f/friction + sqrt(kT*dt/(2*friction))*(noise + next)")
    brownian.addComputePerDof("noise", "next")
    return brownian
