"""What can be known of a GPU without one: that programs are lowered for it, and that its
environment has the versions of the CPU's."""

import re

import jax
import jax.numpy as jnp
import pytest

from dynmatch.settings import TrainingSettings
from dynmatch.simulation.replicas import Replicas
from tests.helpers.games import small_game
from tests.helpers.models import grid, soft_model
from tests.helpers.rule_files import ROOT


def versions(lock: str) -> set[str]:
    return set(re.findall(r"^[\w.\-]+==[^ ;\\\n]+", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_gpu_s_lock_adds_to_the_other_and_changes_nothing():
    usual, cuda = versions("requirements.lock"), versions("requirements-cuda.lock")
    assert usual < cuda
    names = [each.split("==")[0] for each in cuda - usual]
    assert all(name.startswith(("jax-cuda", "nvidia-", "openmm-cuda")) for name in names), names


def lowered_for_cuda(function, *arguments) -> str:
    """The program of a function for CUDA; it is not compiled."""
    return jax.jit(function).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize(
    ("dynamics", "names"), [("bd", ("W",)), ("ld", ("A", "B")), ("gle", ("W",))]
)
def test_an_update_is_lowered_for_cuda(dynamics, names):
    """Roll-out with tangents, classifier, gradients and both optimisers."""
    settings = TrainingSettings(windows=2, aa_windows=4, lags=(0.2,), updates=2)
    small = small_game(dynamics, settings, names=names)
    arguments = small.state, small.drawn(1), jnp.float32(1.0)
    assert lowered_for_cuda(lambda *each: small.game.update(*each), *arguments)


def test_a_chunk_of_replicas_is_lowered_for_cuda():
    """What a validation runs."""
    run = Replicas.of(soft_model(), grid(4, 1.25), 2, 5, 2)
    states = run.begin(1).states
    assert lowered_for_cuda(lambda s: run.chunk(run.rebuild, run.capacity(0), s), states)
