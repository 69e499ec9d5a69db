"""Where a molecule's training starts: known densities of torsions, and the spread of the rest."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.bottom_up.torsion_inversion import fit_torsions, start
from dynmatch.potentials.torsional import Energy
from dynmatch.settings import MoleculePotentialSettings
from dynmatch.sites.internal_coordinates import coordinate
from tests.helpers.molecules import BACKBONE, CHAIN, FORM, molecule, trajectory_of


def test_the_fit_finds_a_joint_density_of_two_torsions():
    """phi and psi, each of two von Mises peaks and never in the lower right: F within 0.1 kT of
    the true one wherever it is below 4 kT, from 200000 independent samples."""
    rng = np.random.default_rng(4)
    centres = np.array([[-1.5, 2.5], [-1.2, -0.6], [1.0, 0.8]])
    shares, kappa = np.array([0.5, 0.4, 0.1]), 6.0
    chosen = rng.choice(3, 200_000, p=shares)
    samples = rng.vonmises(centres[chosen], kappa)

    form = replace(FORM, hidden=(32, 32), torsions=((0.0,) * 8,) * 2)
    begin = Energy(form.hidden).init(jax.random.key(0), jnp.zeros(form.features))
    network = fit_torsions(form, begin, samples, jax.random.key(1))

    grid = np.linspace(-np.pi, np.pi, 40, endpoint=False)
    phi = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    peaks = np.exp(kappa * np.cos(phi[:, None] - centres).sum(-1))
    true = -np.log(peaks @ shares)
    features = np.zeros((len(phi), form.features), np.float32)
    features[:, :4] = np.concatenate([np.cos(phi), np.sin(phi)], -1)
    learned = np.asarray(Energy(form.hidden).apply(network, features), float)
    low = true < true.min() + 4
    difference = (learned - true)[low]
    assert np.abs(difference - difference.mean()).max() < 0.2


def test_the_bonded_terms_have_the_spread_of_the_reference():
    """Mean and k = kT/variance, exactly; of a length narrower than asked for, that width's, and of
    an angle or improper dihedral that of the same way of its end."""
    rng = np.random.default_rng(6)
    x = molecule(rng, (2000,))
    box = np.full(3, 100.0)
    trajectory = trajectory_of(x, BACKBONE)

    def fitted(width):
        return start(trajectory, 2.5, MoleculePotentialSettings(width, (4,)))[0].terms[0]

    narrow = fitted(0.03)
    assert [k for _, k in narrow.lengths] == pytest.approx([2.5 / 0.03**2] * 5)
    cosines = coordinate(x, np.array(CHAIN.angles), box)
    turn = 0.03 / coordinate(x, np.array(CHAIN.lengths), box).mean()
    assert [k for _, k in narrow.angles] == pytest.approx(2.5 / cosines.var(0), rel=1e-3)
    assert [c for c, _ in narrow.angles] == pytest.approx(cosines.mean(0), abs=1e-6)
    softened = fitted(0.12)
    sines = np.sqrt(1 - cosines.mean(0) ** 2)
    assert [k for _, k in softened.angles] == pytest.approx(2.5 / (4 * turn * sines) ** 2)
    assert [k for _, k in softened.impropers] == pytest.approx([2.5 / (4 * turn) ** 2])
