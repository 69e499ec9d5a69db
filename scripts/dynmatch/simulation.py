"""Long runs of a trained model: several independent replicas side by side, watched for trouble."""

import logging
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax_md import partition, space
from tqdm import tqdm

from dynmatch import dynamics as engine
from dynmatch import potential
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
    steps = round(frame_spacing / model.time_step)
    if abs(steps * model.time_step - frame_spacing) > 1e-6 * frame_spacing:
        raise DynmatchError(
            f"validation.frame_spacing: {frame_spacing:g} ps is not a multiple of the time step "
            f"{model.time_step:g} ps of the {model.kind} model"
        )
    box = jnp.asarray(start.box, jnp.float32)
    tables = potential.tabulate(model.form, model.parameters)
    lists = _Lists(model, start)

    def force(positions, neighbours):
        return potential.force(model.form, tables, positions, box, neighbours)

    generator = engine.generator(model.kind, force, model.time_step, model.kT, model.form.types)
    picked = np.linspace(0, start.n_frames - 1, replicas).astype(int)
    positions = jnp.asarray(start.positions[picked], jnp.float32)
    keys = random.split(random.PRNGKey(seed), replicas)
    near = lists.allocate(positions)
    states = jax.jit(jax.vmap(lambda k, x, n: generator.init(model.dynamics, k, x, neighbours=n)))(
        keys, positions, near
    )

    @partial(jax.jit, static_argnums=2)
    def chunk(states, near, rebuild):
        """FRAMES_PER_CHUNK frames; also whether the lists had room, and no site outran the skin."""

        def block(carry, count):
            states, near, room, kept = carry
            near, fits = lists.update(states.position)
            room = room & fits

            def step(_, states):
                return jax.vmap(lambda s, n: generator.step(model.dynamics, s, neighbours=n))(
                    states, near
                )

            before = states.position
            states = lax.fori_loop(0, count, step, states)
            way = jnp.max(jnp.sum((states.position - before) ** 2, -1))
            kept = kept & (way < (0.5 * SKIN) ** 2)
            return states, near, room, kept

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
        (states, near, room, kept), frames = lax.scan(
            frame, (states, near, yes, yes), None, length=FRAMES_PER_CHUNK
        )
        return states, near, room, kept, frames

    energies = jax.jit(
        jax.vmap(lambda x: lax.map(lambda y: potential.energy(model.form, tables, y, box), x))
    )
    skipped = -(-round(equilibration / frame_spacing) // FRAMES_PER_CHUNK)
    wanted = round(length / frame_spacing) + 1
    chunks = -(-wanted // FRAMES_PER_CHUNK)
    kept_positions, kept_velocities = [], []
    last_energies = np.full(replicas, np.nan)
    rebuild = REBUILD
    with tqdm(total=(skipped + chunks) * FRAMES_PER_CHUNK, desc="validation", unit="frame") as bar:
        for number in range(skipped + chunks):
            while True:
                new_states, new_near, room, kept, (x, v) = chunk(states, near, rebuild)
                exploded = not np.isfinite(np.asarray(new_states.position)).all()
                if exploded or (bool(room) and (bool(kept) or rebuild == 1)):
                    break
                if not bool(room):
                    logging.info("a neighbour list overflowed; allocating larger ones")
                    near = lists.allocate(states.position, grow=True)
                else:
                    rebuild = max(1, rebuild // 2)
                    logging.info("a site outran the skin; rebuilding every %d steps", rebuild)
            x = np.asarray(x).swapaxes(0, 1)
            done = (number + 1) * FRAMES_PER_CHUNK * steps
            last_energies = _require_sound(
                x, number, steps, energies(jnp.asarray(x[:, -1:]))[:, 0], last_energies, start
            )
            states, near = new_states, new_near
            if number >= skipped:
                kept_positions.append(x)
                if v is not None:
                    kept_velocities.append(np.asarray(v).swapaxes(0, 1))
            bar.update(FRAMES_PER_CHUNK)
            bar.set_postfix_str(f"step {done}, energy {last_energies.mean():.5g} kJ/mol")
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
        step = (number * FRAMES_PER_CHUNK + frame + 1) * steps
        raise DynmatchError(
            f"the simulation of the model broke down before step {step} in replica {replica}: "
            f"energy {energies[replica]:.5g} kJ/mol, {FRAMES_PER_CHUNK * steps} steps earlier "
            f"{last[replica]:.5g} kJ/mol; shorten the time step or train longer"
        )
    return energies


class _Lists:
    """JAX-MD neighbour lists for a batch of replicas (cell lists where they fit)."""

    def __init__(self, model: Model, start: SiteTrajectory):
        self._box = jnp.asarray(start.box, jnp.float32)
        displacement, _ = space.periodic(self._box)
        ranges = {"three_body": model.form.three_body_cutoff}
        if start.n_sites > ALL_PAIRS_UP_TO:
            ranges["pair"] = model.form.cutoff
        self._kinds = {
            name: partition.neighbor_list(
                displacement, self._box, cutoff + SKIN, format=partition.NeighborListFormat.Dense
            )
            for name, cutoff in ranges.items()
        }
        self._templates = {}

    def allocate(self, positions: Array, grow: bool = False) -> Neighbours:
        """Lists for positions (replicas, N, 3), with more room than the last if they `grow`."""
        wrapped = jnp.mod(positions, self._box)
        for name, kind in self._kinds.items():
            extra = self._templates[name].idx.shape[1] // 4 + 1 if grow else 0
            self._templates[name] = max(
                (kind.allocate(x, extra) for x in wrapped), key=lambda list_: list_.idx.shape[1]
            )
        return self.update(positions)[0]

    def update(self, positions: Array) -> tuple[Neighbours, Array]:
        """Lists (replicas, K, N) at `positions`, and whether they had room for all neighbours."""

        def one(x):
            x = jnp.mod(x, self._box)
            lists = {name: template.update(x) for name, template in self._templates.items()}
            overflow = jnp.array([list_.did_buffer_overflow for list_ in lists.values()])
            near = {name: list_.idx.T for name, list_ in lists.items()}
            return Neighbours(**near), ~jnp.any(overflow)

        near, fits = jax.vmap(one)(positions)
        return near, jnp.all(fits)
