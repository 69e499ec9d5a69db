"""Long runs: neighbour lists give what all pairs give, and trouble is named."""

import jax
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials import neighbour_lists, potential
from dynmatch.simulation import run as simulation
from dynmatch.simulation.calculator import Evaluator
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory


@pytest.fixture(scope="module", autouse=True)
def compilation_cache(tmp_path_factory):
    """The same programs are compiled again and again here: once is enough."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("cache")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def soft_model(kind="ld", time_step=0.005):
    """A repulsive pair term with a weak three-body term."""
    form = potential.PotentialForm(0.6, 0.45, 0.2, 2.494, pair_basis=20, hidden=(4,))
    parameters = potential.initialise(form, jax.random.PRNGKey(1))
    return Model(kind, form, parameters, 300.0, 1.0, 18.0, 300.0, time_step)


def grid(sites_per_edge, edge):
    x = (np.arange(sites_per_edge) + 0.5) * edge / sites_per_edge
    positions = np.stack(np.meshgrid(x, x, x), -1).reshape(1, -1, 3).astype(np.float32)
    n = positions.shape[1]
    return SiteTrajectory(
        np.repeat(positions, 2, 0),
        np.array([0.0, 0.1]),
        np.full(n, 18.0),
        independent_sites(["W"] * n, "SOL"),
        np.full(3, edge),
    )


def run(model, start, folder, **changes):
    settings = dict(replicas=2, length=0.2, equilibration=0.0, frame_spacing=0.02, seed=1)
    settings["folder"] = folder
    return simulation.simulate(model, start, **{**settings, **changes})


def test_neighbour_lists_give_the_trajectory_of_all_pairs(monkeypatch, tmp_path):
    """216 sites; 0.2 ps, so that rounding has no time to grow: agreement to 1e-4 nm."""
    start = grid(6, 1.87)
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", 5)
    with_lists = run(soft_model(), start, tmp_path)
    monkeypatch.setattr(neighbour_lists, "ALL_PAIRS_UP_TO", 1000)
    all_pairs = run(soft_model(), start, tmp_path)
    np.testing.assert_allclose(with_lists.positions, all_pairs.positions, atol=1e-4)
    assert [len(r.time) for r in with_lists.replicas()] == [11, 11]


@pytest.mark.parametrize("all_pairs_up_to", [128, 10])
def test_lists_grow_when_sites_come_together(monkeypatch, all_pairs_up_to):
    """27 sites 0.7 nm apart, which is out of reach, then in a heap: the first lists are short."""
    monkeypatch.setattr(neighbour_lists, "ALL_PAIRS_UP_TO", all_pairs_up_to)
    box, heap = np.full(3, 3.6), grid(3, 1.0).positions[0]
    used, fresh = (Evaluator(soft_model(), box, 27) for _ in range(2))
    assert used(grid(3, 2.1).positions[0])[0] == pytest.approx(0, abs=1e-3)
    energy, forces = used(heap)
    expected = fresh(heap)
    assert energy == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(forces, expected[1], atol=1e-4 * np.abs(expected[1]).max())


def test_equipartition_of_langevin_velocities(monkeypatch, tmp_path):
    """m <v^2> = kB T per degree of freedom: 64 sites, 100 frames 0.1 ps apart; 5 sigma = 2.6 %."""
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", 50)
    trajectory = run(
        soft_model(),
        grid(4, 1.25),
        tmp_path,
        replicas=4,
        length=5.0,
        equilibration=1.0,
        frame_spacing=0.2,
    )
    temperature = 18.0 * np.mean(trajectory.velocities.astype(float) ** 2) / 0.00831446
    count = trajectory.velocities.size
    assert temperature == pytest.approx(300.0, rel=5 * np.sqrt(2 / count))


def test_an_explosion_is_named_with_step_replica_and_energy(monkeypatch, tmp_path):
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", 10)
    start = grid(4, 1.25)
    with pytest.raises(DynmatchError, match=r"step \d+ in replica \d.*energy .* kJ/mol"):
        run(soft_model("bd", 1.0), start, tmp_path, length=40.0, frame_spacing=1.0)


def test_frame_spacing_must_be_whole_steps(tmp_path):
    with pytest.raises(DynmatchError, match=r"validation\.frame_spacing"):
        run(soft_model(), grid(4, 1.25), tmp_path, frame_spacing=0.012)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("kind", "damage"), [("bd", "none"), ("ld", "none"), ("ld", "truncated"), ("ld", "flipped")]
)
def test_killed_run_continues_as_if_nothing_had_happened(
    kind, damage, monkeypatch, tmp_path, caplog
):
    """Bit for bit, also when the last checkpoint is damaged."""
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", 3)
    monkeypatch.setattr(simulation, "CHECKPOINT_SECONDS", 0.0)
    start = grid(4, 1.25)
    unbroken = run(soft_model(kind), start, tmp_path / "unbroken")

    write, written = simulation.checkpoint.write, []

    def deadly(path, *rest):
        write(path, *rest)
        written.append(path)
        if len(written) == 3:
            raise Killed

    monkeypatch.setattr(simulation.checkpoint, "write", deadly)
    with pytest.raises(Killed):
        run(soft_model(kind), start, tmp_path / "killed")
    monkeypatch.setattr(simulation.checkpoint, "write", write)
    content = bytearray(written[-1].read_bytes())
    content[len(content) // 2] ^= damage == "flipped"
    written[-1].write_bytes(content[: len(content) // 2 if damage == "truncated" else None])
    resumed = run(soft_model(kind), start, tmp_path / "killed")

    np.testing.assert_array_equal(resumed.positions, unbroken.positions)
    np.testing.assert_array_equal(resumed.time, unbroken.time)
    if kind == "ld":
        np.testing.assert_array_equal(resumed.velocities, unbroken.velocities)
    assert (f"{written[-1]}: damaged" in caplog.text) == (damage != "none")


def test_checkpoints_of_another_run_are_passed_over(monkeypatch, tmp_path):
    monkeypatch.setattr(simulation, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", 3)
    expected = run(soft_model(), grid(4, 1.25), tmp_path / "alone")
    run(soft_model(), grid(4, 1.25), tmp_path / "shared", seed=2)
    np.testing.assert_array_equal(
        run(soft_model(), grid(4, 1.25), tmp_path / "shared").positions, expected.positions
    )
