"""Long runs: neighbour lists give what all pairs give, killed runs go on, trouble is named."""

import numpy as np
import pytest

from dynmatch.dynamics.registry import DYNAMICS, card_of
from dynmatch.errors import DynmatchError
from dynmatch.potentials import pair, three_body
from dynmatch.simulation import run as simulation
from dynmatch.simulation.calculator import Calculator
from dynmatch.storage import checkpoint
from tests.helpers.models import grid, soft_model

CHUNK = 3
"""Frames; one number, so that the tests share what is compiled."""

pytestmark = pytest.mark.usefixtures("compilation_cache")


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", CHUNK)


def run(model, start, folder, **changes):
    settings = dict(replicas=2, length=0.2, equilibration=0.0, frame_spacing=0.02, seed=1)
    settings["folder"] = folder
    return simulation.simulate(model, start, **{**settings, **changes})


def test_neighbour_lists_give_the_trajectory_of_all_pairs(monkeypatch):
    """216 sites; 0.2 ps, so that rounding has no time to grow: agreement to 1e-4 nm."""
    start = grid(6, 1.87)
    with_lists = run(soft_model(), start, None)
    for term in (pair.Form, three_body.Form):
        monkeypatch.setattr(term, "all_pairs_up_to", 1000)
    all_pairs = run(soft_model(), start, None)
    np.testing.assert_allclose(with_lists.positions, all_pairs.positions, atol=1e-4)
    assert not np.array_equal(with_lists.positions, all_pairs.positions)
    assert [len(r.time) for r in with_lists.replicas()] == [11, 11]


def test_equipartition_of_langevin_velocities():
    """m <v^2> = kB T per degree of freedom: 64 sites, 100 frames 0.1 ps apart; 5 sigma = 2.6 %."""
    trajectory = run(
        soft_model(),
        grid(4, 1.25),
        None,
        replicas=4,
        length=5.0,
        equilibration=1.0,
        frame_spacing=0.2,
    )
    temperature = 18.0 * np.mean(trajectory.velocities.astype(float) ** 2) / 0.00831446
    count = trajectory.velocities.size
    assert temperature == pytest.approx(300.0, rel=5 * np.sqrt(2 / count))


def test_an_explosion_is_named_with_step_replica_and_energy():
    with pytest.raises(DynmatchError, match=r"step \d+ in replica \d.*energy .* kJ/mol"):
        run(soft_model("bd", 1.0), grid(4, 1.25), None, length=40.0, frame_spacing=1.0)


def test_a_site_may_diffuse_over_half_the_box_between_two_frames():
    """A small box and frames far apart: some of 27 sites do within 8 frames."""
    model = soft_model(friction=60.0)
    far = 0.3 / (6 * model.columns(0)["d0_nm2_per_ps"])
    spacing = model.time_step * round(far / model.time_step)
    long = run(model, grid(3, 1.25), None, length=8 * spacing, frame_spacing=spacing)
    steps = np.concatenate([np.diff(replica.positions, axis=0) for replica in long.replicas()])
    assert np.abs(steps).max() > 0.625


def test_frame_spacing_must_be_whole_steps():
    with pytest.raises(DynmatchError, match=r"validation\.frame_spacing"):
        run(soft_model(), grid(4, 1.25), None, frame_spacing=0.012)


def test_a_run_that_is_longer_begins_as_the_shorter_one_does():
    """Frames asked for are those of the times, whatever the chunks; equilibration comes before."""
    start = grid(4, 1.25)
    short, long = (run(soft_model(), start, None, length=length) for length in (0.1, 0.2))
    assert [len(each.time) for each in short.replicas()] == [6, 6]
    np.testing.assert_allclose(short.replicas()[0].time, 0.02 * np.arange(6))
    for one, other in zip(short.replicas(), long.replicas(), strict=True):
        np.testing.assert_array_equal(one.positions, other.positions[:6])
    later = run(soft_model(), start, None, length=0.1, equilibration=CHUNK * 0.02)
    np.testing.assert_array_equal(
        later.replicas()[1].positions[:6], long.replicas()[1].positions[CHUNK : CHUNK + 6]
    )


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("dynamics", "damage"),
    [*((name, "none") for name in DYNAMICS), ("ld", "truncated"), ("ld", "flipped")],
)
def test_killed_run_continues_as_if_nothing_had_happened(
    dynamics, damage, monkeypatch, tmp_path, caplog
):
    """Bit for bit, also when the last checkpoint is damaged."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    start = grid(4, 1.25)
    unbroken = run(soft_model(dynamics), start, tmp_path / "unbroken")

    write, written = checkpoint.write, []

    def deadly(path, *rest):
        write(path, *rest)
        written.append(path)
        if len(written) == 3:
            raise Killed

    monkeypatch.setattr(checkpoint, "write", deadly)
    with pytest.raises(Killed):
        run(soft_model(dynamics), start, tmp_path / "killed")
    monkeypatch.setattr(checkpoint, "write", write)
    content = bytearray(written[-1].read_bytes())
    content[len(content) // 2] ^= damage == "flipped"
    written[-1].write_bytes(content[: len(content) // 2 if damage == "truncated" else None])
    resumed = run(soft_model(dynamics), start, tmp_path / "killed")

    np.testing.assert_array_equal(resumed.positions, unbroken.positions)
    np.testing.assert_array_equal(resumed.time, unbroken.time)
    if card_of(dynamics).velocities:
        np.testing.assert_array_equal(resumed.velocities, unbroken.velocities)
    assert (f"{written[-1]}: damaged" in caplog.text) == (damage != "none")


def test_checkpoints_of_another_run_are_passed_over(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    expected = run(soft_model(), grid(4, 1.25), tmp_path / "alone")
    run(soft_model(), grid(4, 1.25), tmp_path / "shared", seed=2)
    np.testing.assert_array_equal(
        run(soft_model(), grid(4, 1.25), tmp_path / "shared").positions, expected.positions
    )


def test_a_box_eight_times_as_large():
    """Of 27 sites: 216 with the energy, at the first frame, of eight of the small box."""
    model, start = soft_model(), grid(3, 1.25)
    large = run(model, start, None, copies=2)
    assert large.n_sites == 216
    np.testing.assert_allclose(large.box, 2 * np.asarray(start.box))
    one = Calculator(model, start.box, start.topology)(start.positions[0])
    eight = start.repeated(2)
    many = Calculator(model, eight.box, eight.topology)(eight.positions[0])
    assert many[0] == pytest.approx(8 * one[0], rel=1e-5)
    forces = np.asarray(many[1]).reshape(8, 27, 3)
    np.testing.assert_allclose(forces, np.tile(one[1], (8, 1, 1)), atol=1e-3)
