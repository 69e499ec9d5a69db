"""The linear three-body term, written out, is the potential."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.export.triplets import write_out
from dynmatch.model import Model
from dynmatch.potentials import potential
from tests.helpers.fluids import jittered_lattice, random_parameters

EDGE = 1.3
FORM = potential.PotentialForm(0.6, 0.45, 0.25, 2.494, 30, 2, 3, ())
MODEL = Model("bd", FORM, random_parameters(FORM, 7, 0.5), 520.0, 1.3, 25.0, 300.0, 0.005)


@pytest.mark.parametrize(("degree", "channels"), [(1, 1), (3, 2), (4, 1)])
def test_sums_over_pairs_and_triplets_are_the_potential(double_precision, degree, channels):
    """Triplets one by one. The tables of the pair term leave 1e-4 of its sum of magnitudes."""
    form = replace(FORM, degree=degree, radial_channels=channels)
    model = replace(MODEL, form=form, parameters=random_parameters(form, 5, 0.5))
    x = jittered_lattice(np.random.default_rng(3), EDGE, 0.05)
    d = x[:, None] - x[None]
    d -= EDGE * np.round(d / EDGE)
    r = np.linalg.norm(d, axis=-1)
    near = (r > 0) & (r < form.three_body_cutoff)
    i, j, k = np.nonzero(near[:, :, None] & near[:, None, :])
    i, j, k = (index[j < k] for index in (i, j, k))
    written = write_out(model)
    total = written.pair(r[np.triu_indices(len(x), 1)]).sum()
    total += written.triplet(r[i, j], r[i, k], np.linalg.norm(d[i, j] - d[i, k], axis=-1)).sum()
    tables = potential.tabulate(form, model.parameters)
    ours = potential.energy(form, tables, jnp.asarray(x), jnp.full(3, EDGE))
    scale = np.abs(written.pair(r[np.triu_indices(len(x), 1)])).sum()
    assert abs(total - ours) < 1e-4 * scale


def test_derivative_of_the_pair_energy():
    written, h = write_out(MODEL), 1e-5
    r = np.linspace(0.2, 0.61, 83)
    slope = (written.pair(r + h) - written.pair(r - h)) / (2 * h)
    np.testing.assert_allclose(written.pair(r, 1), slope, rtol=1e-5, atol=1e-3)


def test_a_network_is_no_sum_over_triplets():
    with pytest.raises(DynmatchError, match=r"potential\.hidden: \[\]"):
        write_out(replace(MODEL, form=replace(FORM, hidden=(4,))))
