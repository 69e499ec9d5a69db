"""Internal coordinates, and the potential and classifier in them: invariances, known densities."""

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest
import yaml
from dynmatch.training.classifiers.molecule import InternalClassifierForm
from scipy.spatial.transform import Rotation

from dynmatch.bottom_up import torsion_inversion as internal_start
from dynmatch.errors import DynmatchError
from dynmatch.potentials import potential
from dynmatch.potentials import torsional as internal_potential
from dynmatch.potentials.torsional import Energy, InternalForm
from dynmatch.sites.internal_coordinates import ZMatrix, coordinates_of, zmatrix
from dynmatch.sites.topology import coordinate
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage.plain import record_of
from dynmatch.training.classifiers import liquid as judge

BACKBONE = ((0, 1), (1, 2), (2, 3), (2, 4), (4, 5))
"""C, N, CA, CB, C, N of an amino acid between two caps."""
CHAIN = ZMatrix(
    lengths=((0, 1), (1, 2), (2, 4), (2, 3), (4, 5)),
    angles=((0, 1, 2), (1, 2, 4), (1, 2, 3), (2, 4, 5)),
    torsions=((0, 1, 2, 4), (1, 2, 4, 5)),
    impropers=((4, 1, 2, 3),),
)
FORM = InternalForm(
    thermal_energy=2.5,
    hidden=(5, 4),
    names=("A", "B"),
    types=(0, 1, 0, 1, 0, 1),
    coordinates=CHAIN,
    lengths=((0.13, 9e3),) * 5,
    angles=((-0.5, 300.0),) * 4,
    impropers=((-2.1, 200.0),),
    torsions=((1.0, -2, 3, 4, 5, 6, -7, 8), (2.0, 1, 0, 1, 2, -3, 1, 0)),
)
BOX = np.full(3, 100.0)
JUDGE = InternalClassifierForm(FORM, (6,))


def molecule(rng, frames=()):
    """A chain in the plane of paper, all of it jittered, far from the origin."""
    zigzag = np.array([[0, 0, 0], [1, 0.5, 0], [2, 0, 0], [2, -0.8, 0.6], [3, 0.5, 0], [4, 0, 0]])
    return 0.12 * zigzag + 0.015 * rng.normal(size=(*frames, 6, 3)) + 7.0


def trajectory_of(x, bonds):
    """Positions (F, N, 3) as a trajectory of one molecule, every site of a type of its own."""
    top = mdtraj.Topology()
    chain = top.add_chain()
    for name in "ABCDEF"[: x.shape[1]]:
        top.add_atom(name, mdtraj.element.virtual, top.add_residue("R", chain))
    atoms = list(top.atoms)
    for i, j in bonds:
        top.add_bond(atoms[i], atoms[j])
    return SiteTrajectory(x, np.arange(len(x), dtype=float), np.full(x.shape[1], 12.0), top, BOX)


@pytest.fixture(scope="module")
def parameters(double_precision):
    network = Energy(FORM.hidden).init(jax.random.key(1), jnp.zeros(FORM.features))
    return {"network": jax.tree.map(lambda a: a + 0.3, network)}


def energy(parameters, x):
    return float(potential.energy(FORM, parameters, jnp.asarray(x), BOX))


def test_the_coordinates_of_a_backbone():
    assert zmatrix(BACKBONE, 6) == CHAIN


def test_there_are_as_many_coordinates_as_shapes():
    """3N - 6 of a branched tree, all independent: that is the rank of their Jacobian."""
    bonds = ((0, 1), (1, 2), (1, 3), (3, 4), (3, 5), (3, 6), (5, 7))
    chain = zmatrix(bonds, 8)
    groups = (chain.lengths, chain.angles, chain.torsions, chain.impropers)
    assert [len(group) for group in groups] == [7, 6, 2, 3]
    x = jnp.asarray(np.random.default_rng(3).normal(size=(8, 3)))

    def all_of(x):
        return jnp.concatenate([coordinate(x, np.array(g), BOX, jnp) for g in groups])

    assert np.linalg.matrix_rank(jax.jacobian(all_of)(x).reshape(18, 24), tol=1e-4) == 18


def test_a_main_chain_goes_on_to_the_next_residue():
    """Both oxygens of two amides end their branches, as the next nitrogen does: psi is N's."""
    bonds = ((0, 1), (0, 2), (2, 3), (3, 4), (3, 5), (5, 6), (5, 7))
    assert zmatrix(bonds, 8).torsions == ((1, 0, 2, 3), (0, 2, 3, 5), (2, 3, 5, 7))


def test_a_torsion_that_rattles_in_one_well_is_an_improper():
    """A chain of five, one end turned freely about its bond, the other by 0.18 rad."""
    rng = np.random.default_rng(7)
    zigzag = 0.1 * np.array([[0, 0.5, 0], [1, 0, 0], [2, 0.5, 0], [3, 0, 0], [4, 0.5, 0]])
    x = np.tile(zigzag, (3000, 1, 1))
    for site, a, b, angles in (
        (0, 1, 2, rng.normal(0, 0.18, 3000)),
        (4, 2, 3, rng.uniform(-np.pi, np.pi, 3000)),
    ):
        axis = (x[:, b] - x[:, a]) / np.linalg.norm(x[0, b] - x[0, a])
        turn = Rotation.from_rotvec(angles[:, None] * axis)
        x[:, site] = x[:, a] + turn.apply(x[:, site] - x[:, a])
    found = coordinates_of(trajectory_of(x, ((0, 1), (1, 2), (2, 3), (3, 4))))
    assert found.torsions == ((1, 2, 3, 4),)
    assert found.impropers == ((0, 1, 2, 3),)


@pytest.mark.parametrize("bonds", [((0, 1), (1, 2), (2, 0)), ((0, 1), (2, 3))])
def test_rings_and_pieces_are_refused(bonds):
    with pytest.raises(DynmatchError, match=r"one molecule without rings"):
        zmatrix(bonds, 1 + max(map(max, bonds)))


@pytest.mark.usefixtures("double_precision")
class TestEnergy:
    def test_moving_and_turning_the_molecule_changes_nothing(self, parameters):
        x = molecule(np.random.default_rng(1))
        turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
        moved = (x - 7) @ turn.T + [3.0, -2.0, 40.0]
        assert energy(parameters, moved) == pytest.approx(energy(parameters, x), rel=1e-6)

    def test_the_mirror_image_is_another_molecule(self, parameters):
        x = molecule(np.random.default_rng(1))
        assert abs(energy(parameters, x * [1, 1, -1]) - energy(parameters, x)) > 1.0

    def test_force_is_the_slope_of_the_energy(self, parameters):
        rng = np.random.default_rng(2)
        x, direction = molecule(rng), rng.normal(size=(6, 3))
        force = potential.force(FORM, parameters, jnp.asarray(x), BOX)
        h = 1e-5
        ends = [energy(parameters, x + sign * h * direction) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * h)
        assert slope == pytest.approx(-float(jnp.sum(force * direction)), rel=1e-3)

    def test_without_network_it_is_the_sum_of_its_terms(self, parameters):
        """Written out with MDTraj's angles and dihedrals."""
        x = molecule(np.random.default_rng(5))
        none = jax.tree.map(jnp.zeros_like, parameters)
        frame = mdtraj.Trajectory(x[None], None)
        r = mdtraj.compute_distances(frame, CHAIN.lengths, periodic=False)
        theta = mdtraj.compute_angles(frame, CHAIN.angles, periodic=False)
        turns = mdtraj.compute_dihedrals(frame, CHAIN.torsions, periodic=False)[0]
        improper = mdtraj.compute_dihedrals(frame, CHAIN.impropers, periodic=False)[0]
        n = np.arange(1, 5)
        expected = 0.5 * 9e3 * np.sum((r - 0.13) ** 2)
        expected += 0.5 * 300 * np.sum((np.cos(theta) + 0.5) ** 2)
        expected += 200 * np.sum(1 - np.cos(improper + 2.1))
        for phi, series in zip(turns, FORM.torsions, strict=True):
            a, b = series[:4], series[4:]
            expected += np.sum(a * np.cos(n * phi) + b * np.sin(n * phi))
        assert energy(none, x) == pytest.approx(expected, rel=1e-4)


def test_the_form_survives_yaml():
    text = yaml.safe_dump(record_of(FORM))
    assert internal_potential.form_of(yaml.safe_load(text)) == FORM


def test_the_fit_finds_a_joint_density_of_two_torsions():
    """phi and psi, each of two von Mises peaks and never in the lower right: F within 0.1 kT of
    the true one wherever it is below 4 kT, from 200000 independent samples."""
    rng = np.random.default_rng(4)
    centres = np.array([[-1.5, 2.5], [-1.2, -0.6], [1.0, 0.8]])
    shares, kappa = np.array([0.5, 0.4, 0.1]), 6.0
    chosen = rng.choice(3, 200_000, p=shares)
    samples = rng.vonmises(centres[chosen], kappa)

    flat = ((0.0,) * 8,) * 2
    form = InternalForm(**{**vars(FORM), "hidden": (32, 32), "torsions": flat})
    start = Energy(form.hidden).init(jax.random.key(0), jnp.zeros(form.features))
    network = internal_start.fit_torsions(form, start, samples, jax.random.key(1))

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
    trajectory = trajectory_of(x, BACKBONE)
    fitted, _ = internal_start.start(trajectory, 2.5, 0.03, (4,), jax.random.key(0))
    assert [k for _, k in fitted.lengths] == pytest.approx([2.5 / 0.03**2] * 5)
    cosines = coordinate(x, np.array(CHAIN.angles), BOX)
    turn = 0.03 / coordinate(x, np.array(CHAIN.lengths), BOX).mean()
    assert [k for _, k in fitted.angles] == pytest.approx(2.5 / cosines.var(0), rel=1e-3)
    assert [c for c, _ in fitted.angles] == pytest.approx(cosines.mean(0), abs=1e-6)
    softened, _ = internal_start.start(trajectory, 2.5, 0.12, (4,), jax.random.key(0))
    sines = np.sqrt(1 - cosines.mean(0) ** 2)
    assert [k for _, k in softened.angles] == pytest.approx(2.5 / (4 * turn * sines) ** 2)
    assert [k for _, k in softened.impropers] == pytest.approx([2.5 / (4 * turn) ** 2])


@pytest.fixture(scope="module")
def score():
    network = judge.network(JUDGE)
    one = judge.windows_features(JUDGE, *(jnp.zeros((1, 3, 6, 3)),) * 2, BOX)
    variables = network.init(jax.random.key(2), one)

    def of(x):
        window = jnp.asarray(x, jnp.float32)[None]
        return float(
            network.apply(variables, judge.windows_features(JUDGE, window, window, BOX))[0, 0]
        )

    return of


@pytest.fixture(scope="module")
def window():
    return molecule(np.random.default_rng(8), (3,))


def test_moving_and_turning_a_window_changes_nothing(score, window):
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    assert score((window - 7) @ turn.T + 2) == pytest.approx(score(window), abs=1e-4)


def test_it_sees_chirality_order_and_drift(score, window):
    """A mirror image, the same frames backwards, and a molecule that moves as a whole."""
    drifting = window + np.linspace(0, 1, 3)[:, None, None]
    for other in (window * [1, 1, -1], window[::-1], drifting):
        assert abs(score(other) - score(window)) > 1e-3


def test_features_of_stored_frames_are_those_of_windows(window):
    x = jnp.asarray(window, jnp.float32)
    frames = jax.vmap(lambda one: judge.frame_features(JUDGE, one, BOX))(x)
    joined = judge.assemble(JUDGE, frames, x, BOX)
    expected = judge.windows_features(JUDGE, x[None], x[None], BOX)
    np.testing.assert_allclose(joined.rank0, expected.rank0[0], atol=1e-6)
