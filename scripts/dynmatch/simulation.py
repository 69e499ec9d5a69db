"""Long runs of a trained model: several independent replicas side by side, watched for trouble."""

import logging
import math
from collections.abc import Iterator
from functools import partial
from itertools import count

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax_md import partition, space
from tqdm import tqdm

from dynmatch import dynamics as engine
from dynmatch import potential
from dynmatch.devices import devices_for, placed, spread
from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potential import Neighbours
from dynmatch.trajectory import SiteTrajectory

ALL_PAIRS_UP_TO = 128
"""Number of sites up to which the pair term takes all pairs, which is cheaper than a list."""
SKIN = 0.2
"""Range of the neighbour lists beyond the cutoff, nm."""
REBUILD = 5
"""Steps between two rebuilds of the lists, fewer when a site ever crosses half the skin in them."""
ROOM = 1.25
"""For neighbours in the three-body term, over the most there are at the start."""
FRAMES_PER_CHUNK = 250


def simulate(
    model: Model,
    start: SiteTrajectory,
    *,
    replicas: int,
    length: float,
    equilibration: float,
    frame_spacing: float,
    seed: int,
) -> SiteTrajectory:
    """Run `replicas` of `length` ps from frames of `start`, after `equilibration` ps.

    Frames are `frame_spacing` ps apart; velocities are written for Langevin models (dR/dt, nm/ps).
    Box, masses and topology are those of `start`.

    Raises DynmatchError, naming step, replica and energy, when a replica leaves the realm of
    numbers or explodes, and when frame_spacing is not a multiple of the model's time step.
    """
    steps = whole_steps(model, frame_spacing)
    skipped = -(-round(equilibration / frame_spacing) // FRAMES_PER_CHUNK)
    wanted = round(length / frame_spacing) + 1
    chunks = -(-wanted // FRAMES_PER_CHUNK)
    kept_positions, kept_velocities = [], []
    run = propagate(model, start, replicas, steps, FRAMES_PER_CHUNK, seed)
    with tqdm(total=(skipped + chunks) * FRAMES_PER_CHUNK, desc="validation", unit="frame") as bar:
        for number, (x, v, energies) in zip(range(skipped + chunks), run, strict=False):
            if number >= skipped:
                kept_positions.append(x)
                if v is not None:
                    kept_velocities.append(v)
            done = (number + 1) * FRAMES_PER_CHUNK * steps
            bar.update(FRAMES_PER_CHUNK)
            bar.set_postfix_str(f"step {done}, energy {energies.mean():.5g} kJ/mol")
    shape = (replicas * wanted, start.n_sites, 3)
    joined = np.concatenate(kept_positions, 1)[:, :wanted].reshape(shape)
    velocities = None
    if kept_velocities:
        velocities = np.concatenate(kept_velocities, 1)[:, :wanted].reshape(shape)
    return SiteTrajectory(
        positions=joined,
        time=np.tile(np.arange(wanted) * frame_spacing, replicas),
        masses=start.masses,
        topology=start.topology,
        box=start.box,
        velocities=velocities,
    )


def whole_steps(model: Model, frame_spacing: float) -> int:
    """Steps of `model` between two frames.

    Raises DynmatchError when `frame_spacing` (ps) is not a multiple of the time step.
    """
    steps = round(frame_spacing / model.time_step)
    if abs(steps * model.time_step - frame_spacing) > 1e-6 * frame_spacing:
        raise DynmatchError(
            f"validation.frame_spacing: {frame_spacing:g} ps is not a multiple of the time step "
            f"{model.time_step:g} ps of the {model.kind} model"
        )
    return steps


def propagate(
    model: Model, start: SiteTrajectory, replicas: int, steps: int, frames: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Without end: the next `frames` frames, `steps` steps apart, of all replicas.

    Yields positions (replicas, frames, N, 3), nm, velocities of Langevin models, nm/ps, or None,
    and the energies (replicas,), kJ/mol, of the last frames. The replicas are shared out to all
    of JAX's devices.

    Raises DynmatchError as `simulate` does.
    """
    box = jnp.asarray(start.box, jnp.float32)
    tables = potential.tabulate(model.form, model.parameters)
    lists = _Lists(model, start)
    mesh = devices_for(replicas)

    def force(positions, neighbours):
        return potential.force(model.form, tables, positions, box, neighbours)

    generator = engine.generator(model.kind, force, model.time_step, model.kT)
    picked = np.linspace(0, start.n_frames - 1, replicas).astype(int)
    positions = jnp.asarray(start.positions[picked], jnp.float32)
    keys = random.split(random.PRNGKey(seed), replicas)
    near = lists.allocate(positions)
    states = jax.jit(jax.vmap(lambda k, x, n: generator.init(model.dynamics, k, x, neighbours=n)))(
        keys, positions, near
    )

    def advance(rebuild, room, template, states, near):
        """`frames` frames; also whether the lists had room, and no site outran the skin."""

        def block(carry, length):
            states, near, enough, kept = carry
            near, fits = lists.update(template, room, states.position)
            enough = enough & fits

            def step(_, states):
                return jax.vmap(lambda s, n: generator.step(model.dynamics, s, neighbours=n))(
                    states, near
                )

            before = states.position
            states = lax.fori_loop(0, length, step, states)
            way = jnp.max(jnp.sum((states.position - before) ** 2, -1))
            kept = kept & (way < (0.5 * SKIN) ** 2)
            return states, near, enough, kept

        def frame(carry, _):
            blocks, rest = divmod(steps, rebuild)
            carry = lax.fori_loop(0, blocks, lambda _, c: block(c, rebuild), carry)
            if rest:
                carry = block(carry, rest)
            states = carry[0]
            v = None
            if model.kind == "ld":
                v = jax.vmap(lambda s: engine.velocity(model.dynamics, s))(states)
            return carry, (states.position, v)

        yes = jnp.bool_(True)
        (states, near, enough, kept), seen = lax.scan(
            frame, (states, near, yes, yes), None, length=frames
        )
        energies = jax.vmap(lambda x, n: potential.energy(model.form, tables, x, box, n))(
            states.position, near
        )
        seen = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), seen)
        return states, near, enough[None], kept[None], seen, energies

    @partial(jax.jit, static_argnums=(0, 1))
    def chunk(rebuild, room, template, states, near):
        share = spread(partial(advance, rebuild, room), mesh, (False, True, True))
        return share(template, states, near)

    states, near = placed((states, near), mesh, split=True)
    last_energies = np.full(replicas, np.nan)
    rebuild = REBUILD
    for number in count():
        while True:
            template = placed(lists.template, mesh, split=False)
            new_states, new_near, enough, kept, (x, v), energies = chunk(
                rebuild, lists.room, template, states, near
            )
            exploded = not np.isfinite(np.asarray(new_states.position)).all()
            if exploded or (enough.all() and (kept.all() or rebuild == 1)):
                break
            if not enough.all():
                logging.info("a neighbour list overflowed; allocating larger ones")
                near = placed(lists.allocate(states.position, grow=True), mesh, split=True)
            else:
                rebuild = max(1, rebuild // 2)
                logging.info("a site outran the skin; rebuilding every %d steps", rebuild)
        x = np.asarray(x)
        last_energies = _require_sound(x, number, steps, energies, last_energies, start)
        states, near = new_states, new_near
        yield x, None if v is None else np.asarray(v), last_energies


def _require_sound(
    x: np.ndarray,
    number: int,
    steps: int,
    energies: Array,
    last: np.ndarray,
    start: SiteTrajectory,
) -> np.ndarray:
    """Raise DynmatchError when frames x (replicas, F, N, 3) are not finite or have exploded.

    A site that moves by more than half the box between two frames has left the liquid.
    Returns the energies (replicas,), kJ/mol, of the last frames.
    """
    energies = np.asarray(energies, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        way = np.abs(np.diff(x, axis=1)).max(axis=(2, 3))
        bad = ~np.isfinite(x[:, 1:]).all(axis=(2, 3)) | ~(way < 0.5 * np.min(start.box))
    if bad.any() or not np.isfinite(energies).all():
        replica = int(np.argmax(bad.any(axis=1) | ~np.isfinite(energies)))
        frame = int(np.argmax(bad[replica])) + 1 if bad[replica].any() else x.shape[1] - 1
        step = (number * x.shape[1] + frame + 1) * steps
        raise DynmatchError(
            f"the simulation of the model broke down before step {step} in replica {replica}: "
            f"energy {energies[replica]:.5g} kJ/mol, {x.shape[1] * steps} steps earlier "
            f"{last[replica]:.5g} kJ/mol; shorten the time step or train longer"
        )
    return energies


class _Lists:
    """Neighbours for a batch of replicas: JAX-MD's lists, by cells where they fit.

    For large N one search serves both terms: the neighbours of the three-body term are picked
    from those of the pair term.
    """

    def __init__(self, model: Model, start: SiteTrajectory):
        self._box = jnp.asarray(start.box, jnp.float32)
        self._inner = model.form.three_body_cutoff + SKIN
        self._large = start.n_sites > ALL_PAIRS_UP_TO
        displacement, _ = space.periodic(self._box)
        reach = model.form.cutoff + SKIN if self._large else self._inner
        self._kind = partition.neighbor_list(
            displacement, self._box, reach, format=partition.NeighborListFormat.Dense
        )
        self.template = None
        self.room = 0

    def allocate(self, positions: Array, grow: bool = False) -> Neighbours:
        """Lists for positions (replicas, N, 3), with more room than the last if they `grow`."""
        wrapped = jnp.mod(positions, self._box)
        extra = self.template.idx.shape[1] // 4 + 1 if grow else 0
        self.template = max(
            (self._kind.allocate(x, extra) for x in wrapped), key=lambda list_: list_.idx.shape[1]
        )
        if self._large:
            found = [self._near(x, self.template.update(x).idx.T) for x in wrapped]
            most = max(int(jnp.max(jnp.sum(near, 0))) for near in found)
            self.room = math.ceil(ROOM * max(most, self.room if grow else 0))
        return self.update(self.template, self.room, positions)[0]

    def update(
        self, template: partition.NeighborList, room: int, positions: Array
    ) -> tuple[Neighbours, Array]:
        """Lists (replicas, K, N) at `positions`, and whether they had room for all neighbours.

        template  a JAX-MD list of the right size
        room      for three-body neighbours, where those are picked from the neighbours of a pair
        """

        def one(x):
            x = jnp.mod(x, self._box)
            list_ = template.update(x)
            index, fits = list_.idx.T, ~list_.did_buffer_overflow
            if not self._large:
                return Neighbours(None, index), fits
            inner, enough = _picked(index, self._near(x, index), room)
            return Neighbours(index, inner), fits & enough

        near, fits = jax.vmap(one)(positions)
        return near, jnp.all(fits)

    def _near(self, x: Array, index: Array) -> Array:
        """Which neighbours (K, N) of sites at x (N, 3) are in the range of the three-body term."""
        _, s = potential._separations(x, self._box, index)
        return s < self._inner**2


def _picked(index: Array, chosen: Array, room: int) -> tuple[Array, Array]:
    """The `chosen` (K, N) entries of a neighbour list `index` (K, N), moved up: (room, N).

    Empty slots hold N. Also whether there was room for all.
    """
    n = index.shape[1]
    rank = jnp.cumsum(chosen, 0)
    slot = jnp.where(chosen, rank - 1, room)
    picked = jnp.full((room, n), n, index.dtype)
    picked = picked.at[slot, jnp.arange(n)].set(index, mode="drop")
    return picked, jnp.all(rank[-1] <= room)
