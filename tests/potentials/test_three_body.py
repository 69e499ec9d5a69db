"""The three-body term against explicit sums over triplets, for one type of sites and for two."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BPoly

from dynmatch.potentials.three_body import Form
from tests.helpers.fluids import jittered_lattice, unbonded

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

COMMON = {"cutoff": 0.55, "thermal_energy": 2.5, "degree": 3}


def parameters_of(form: Form, seed: int) -> dict:
    """Of a linear E."""
    rng, count = np.random.default_rng(seed), len(form.names)
    networks = {
        name: {
            "params": {"Dense_0": {"kernel": jnp.asarray(rng.normal(size=(form.n_invariants, 1)))}}
        }
        for name in form.names
    }
    radial = rng.normal(size=(count, form.channels, 7))
    return {"radial": jnp.asarray(radial), "network": networks}


def energy(form: Form, parameters: dict, positions, names: str, box) -> float:
    tables = form.tabulate(parameters)
    return float(form.energy(tables, jnp.asarray(positions), box, unbonded(names), None))


def test_linear_site_energy_is_the_explicit_sum_over_triplets():
    r"""E_i = w0.h + sum over pairs of neighbours j, k of h h' sum_l wl (x_j.x_k)^l, l = 0 ... 3."""
    form = Form(("A",), radial_channels=2, hidden=(), **COMMON)
    parameters = parameters_of(form, 7)
    weights = np.asarray(parameters["network"]["A"]["params"]["Dense_0"]["kernel"])[:, 0]
    bernstein = np.asarray(parameters["radial"])[0]
    edge = 1.25
    positions = jittered_lattice(np.random.default_rng(2), edge, 0.08)
    couples = [(0, 0), (0, 1), (1, 1)]
    total = 0.0
    for i in range(len(positions)):
        others = np.delete(positions, i, axis=0)
        d = positions[i] - others
        d = (d - edge * np.round(d / edge)) / form.cutoff
        r = np.linalg.norm(d, axis=1)
        d, r = d[r < 1], r[r < 1]
        h = [(1 - r**2) ** 3 * BPoly(c[:, None], [0, 1])(r**2) for c in bernstein]
        total += sum(w * sum(channel) for w, channel in zip(weights[:2], h, strict=True))
        for j in range(len(r)):
            for k in range(len(r)):
                cosine = d[j] @ d[k] / (r[j] * r[k])
                for place, (a, b) in enumerate(couples):
                    for rank in range(4):
                        product = h[a][j] * h[b][k] * (r[j] * r[k] * cosine) ** rank
                        total += weights[3 * rank + 2 + place] * product
    found = energy(form, parameters, positions, "A" * 27, np.full(3, edge))
    assert abs(total) > 0.05
    assert found == pytest.approx(form.thermal_energy * total, rel=1e-9)


def test_linear_network_of_two_types_is_an_explicit_sum_over_triples():
    """E_a linear in the contraction of channels b, b' is a sum over pairs of neighbours of those
    types of h_ab(s) h_ab'(s') (d.d')^l."""
    form = Form(("A", "B"), radial_channels=1, hidden=(), **COMMON)
    parameters = parameters_of(form, 1)
    types = [0, 1, 0, 1, 1]
    sites = np.random.default_rng(5).uniform(0, 0.5, (5, 3))
    d = (sites[:, None] - sites[None]) / form.cutoff
    s = np.sum(d * d, -1)
    radial = np.asarray(parameters["radial"])
    total = 0.0
    for i, a in enumerate(types):
        kernel = np.asarray(parameters["network"]["AB"[a]]["params"]["Dense_0"]["kernel"])[:, 0]
        others = [j for j in range(5) if j != i and s[i, j] < 1]
        h = {
            j: (1 - s[i, j]) ** 3 * BPoly(radial[a, types[j]][:, None], [0, 1])(s[i, j])
            for j in others
        }
        invariants = [sum(h[j] for j in others if types[j] == t) for t in (0, 1)]
        for rank in range(form.degree + 1):
            for t, u in ((0, 0), (0, 1), (1, 1)):
                invariants.append(
                    sum(
                        h[j] * h[k] * np.dot(d[i, j], d[i, k]) ** rank
                        for j in others
                        for k in others
                        if (types[j], types[k]) == (t, u)
                    )
                )
        total += np.dot(kernel, invariants)
    found = energy(form, parameters, sites, "ABABB", np.full(3, 100.0))
    assert found == pytest.approx(form.thermal_energy * total, rel=1e-8)


def test_a_site_has_one_radial_function_of_each_type_of_neighbour_and_channel():
    """Invariants: the moments of rank 0, and of each rank the pairs of channels."""
    form = Form(("A", "B"), radial_channels=2, hidden=(), **COMMON)
    assert form.channels == 4
    assert form.n_invariants == 4 + 4 * (4 * 5 // 2)
