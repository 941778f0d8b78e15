"""One chain: its state, the jitted block of steps, and the host's loop between blocks.

The host meets the device only between blocks. A block has a fixed capacity and a traced length,
so that one compiled program serves every block, and block length changes nothing in the result:
the randomness of step t is `fold_in(key, t)`.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Compiled
from jaxtyping import Array, Float
from numpy.typing import NDArray

from bdip import moments as running
from bdip.compiling import jit
from bdip.likelihood import UnknownGaussian
from bdip.moments import Moments
from bdip.networks.base import Generator
from bdip.potential import Terms, energy
from bdip.problem import Problem
from bdip.samplers.base import Sampler, halved
from bdip.types import Image, Latent, Params, PRNGKey, Scalar, Tree

BLOCK_CAPACITY = 256  # steps; bounds the trace that a block brings to the host
BLOCK_SECONDS = 0.5  # aimed at: short enough for Ctrl-C and progress, long enough to cost nothing
# Draws are few where images are large, and far apart. How fast the chain forgets is seen in many draws of few
# pixels, which take no memory.
PROBE_PIXELS = 1024
PROBE_DRAWS = 512


# Of a step's key, for σ: other than the two, 0 and 1, that its split makes for jitter and noise.
NOISE_STD_STREAM = 2


class DivergedError(FloatingPointError):
    """The energy stopped being a finite number."""


class ChainState(NamedTuple):
    """What the next step needs."""

    params: Params
    sampler: Any
    latent: Latent
    step: Scalar
    key: PRNGKey


class Kept(NamedTuple):
    """What the steps after the warm-up left: running moments, thinned draws, the last image.

    `probe` are draws of evenly spaced pixels only, but of more steps.
    """

    moments: Moments
    draws: Float[Array, "n H W C"]
    image: Image
    probe: Float[Array, "m h w C"]


class Trace(NamedTuple):
    """Energy, χ², step size, and the energy that was not conserved, at each step (t,).

    The last is NaN for samplers that conserve none. `noise_std` is σ where it is sampled, else None.
    """

    energy: Any
    chi2: Any
    step_size: Any
    energy_error: Any
    noise_std: Any = None


class Plan(NamedTuple):
    """The chain's numbers, all traced: changing one does not compile again.

    `thin` and `probe_thin` are the steps from one stored draw to the next, whole cycles of the sampler, `memory` the factor
    by which an image's weight shrinks with each later one, `jitter` the standard deviation of the noise on the latent,
    or None for none.
    """

    warmup: int
    thin: int
    memory: float = 1.0
    jitter: float | None = None
    probe_thin: int = 1


STORES = {"draws": "thin", "probe": "probe_thin"}  # of Kept, and what they are thinned by in Plan


@dataclass(frozen=True)
class Progress:
    """What the host sees after a block: of chain `chain`, `step` of `steps` are done.

    `image` is the last draw and `mean` the average so far, (H, W, C) in the unit range, still on
    the device and gone with the next block: copy what you keep. `mean` is all zero during the warm-up. `chi2` is the block's mean, and
    `steps_per_second` its speed.
    """

    chain: int
    step: int
    steps: int
    warming_up: bool
    chi2: float
    steps_per_second: float
    image: Image
    mean: Image


class Outcome(NamedTuple):
    """What a chain has to show: steps done, what it kept, its trace (t,), draws and probes stored."""

    done: int
    kept: Kept
    trace: Trace
    draws_kept: int
    probes_kept: int


@dataclass
class Run:
    """A chain under way: `advance` moves it by whole blocks, and whatever it has is valid between."""

    problem: Problem
    generator: Generator
    sampler: Sampler
    plan: Plan
    steps: int
    state: ChainState
    kept: Kept
    traces: list[Trace]
    chain: int = 0
    pace: int = 1  # steps of the next block, where no length is asked for
    halvings: int = 0  # of the step size

    @property
    def width(self) -> int:
        """Chains that `advance` moves."""
        return 1

    @property
    def done(self) -> int:
        """Steps done, of each chain."""
        return sum(trace.energy.shape[-1] for trace in self.traces)

    def stored(self, store: str) -> int:
        """How many of the "draws" or of the "probe" are stored so far."""
        since = max(0, self.done - self.plan.warmup)
        return min(since // getattr(self.plan, STORES[store]), self._room(store))

    def full_at(self, store: str) -> int:
        """The step at which the room of the store is full; beyond the end where it has none."""
        room = self._room(store)
        filled = self.plan.warmup + room * int(getattr(self.plan, STORES[store]))
        return filled if room else self.steps + 1

    def _room(self, store: str) -> int:
        return int(getattr(self.kept, store).shape[-1 - len(self.problem.image_shape)])

    @property
    def trace(self) -> Trace:
        """The trace of all steps done, as NumPy arrays (t,)."""
        if not self.traces:
            return empty_trace(self.problem, 0, np.zeros)
        joined: Trace = jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1), *self.traces)
        return joined

    def outcomes(self) -> list[Outcome]:
        """What each chain has to show."""
        return [
            Outcome(self.done, self.kept, self.trace, self.stored("draws"), self.stored("probe"))
        ]

    def advance(self, length: int) -> Trace:
        """Do `length` more steps, at most the block's capacity, and return their trace.

        Raises DivergedError where the energy is no longer finite; the run then stands where it
        broke.
        """
        length = min(length, BLOCK_CAPACITY, self.steps - self.done)
        trace = self._move(length)
        self.traces.append(trace)
        for chain, energies in enumerate(np.atleast_2d(trace.energy), self.chain):
            _require_finite(energies, self.done - length, chain)
        return trace

    def blocks(self, length: int | None = None, until: int | None = None) -> Iterator[Progress]:
        """Advance to the end, or to step `until`, yielding after each block of `length` steps.

        Without a length, blocks grow from one step until they take about half a second, and end at every
        multiple of BLOCK_CAPACITY, whatever the clock says.
        """
        end = self.steps if until is None else min(until, self.steps)
        while self.done < end:
            start = time.perf_counter()
            paced = min(self.pace, BLOCK_CAPACITY - self.done % BLOCK_CAPACITY)
            trace = self.advance(min(length or paced, end - self.done))
            speed = trace.energy.shape[-1] / (time.perf_counter() - start)
            yield from self._reports(trace, speed)
            if self.done > 1:  # the first block's time is the compiler's
                most = min(BLOCK_CAPACITY, math.ceil(BLOCK_SECONDS * speed))
                self.pace = max(1, min(2 * self.pace, most))

    def warm_up_to(self, step: int) -> None:
        """Let the warm-up end at `step`, which is still to come."""
        old: Any = self.sampler.warmup  # on a device where others are: a number there, too
        new = jax.device_put(np.int32(step), old.sharding) if isinstance(old, jax.Array) else step
        self.sampler = replace(self.sampler, warmup=new)  # type: ignore[type-var]
        self.plan = self.plan._replace(warmup=step)

    def keep_from_here(self) -> None:
        """Forget what was kept, as if the warm-up ended here; the sampler stays as it is."""
        self.keep_from(self.done)

    def keep_from(self, step: int) -> None:
        """The same, as if the warm-up ended at the cycle's end from `step` on, which may be still to come."""
        rest = (int(self.sampler.warmup) - step) % self.sampler.cycle
        self.plan = self.plan._replace(warmup=step + rest)
        self.kept = self.kept._replace(moments=_emptied(self.kept.moments))

    def halve_step(self) -> None:
        """Go on with steps of half the size: numbers, so that nothing compiles again."""
        self.sampler = halved(self.sampler)
        self.halvings += 1

    def return_to(self, step: int, state: ChainState) -> None:
        """Stand at `step` again, where the state was `state`; what was kept stays."""
        self.traces = [jax.tree.map(lambda column: column[..., :step], self.trace)]
        self.state = state

    def traces_of_chains(self) -> list[Trace]:
        """The trace of each chain (t,)."""
        return [self.trace]

    def take_traces(self, traces: list[Trace]) -> None:
        """The way back."""
        self.traces = traces

    def rows(self, tree: Tree) -> list[Tree]:
        """A tree of this run's arrays, cut into one a chain."""
        return [tree]

    def joined(self, rows: list[Tree]) -> Tree:
        """The way back, of arrays on the host."""
        return rows[0]

    def thin_out(self, store: str) -> None:
        """Keep every second draw of a store that is full, and store half as many from here on."""
        thin = STORES[store]
        self.plan = self.plan._replace(**{thin: 2 * getattr(self.plan, thin)})
        thinned = _every_second(getattr(self.kept, store), len(self.problem.image_shape))
        self.kept = self.kept._replace(**{store: thinned})

    def probe(self) -> NDArray[np.float32]:
        """The probe so far (k, m, h, w, C), on the host."""
        axes = len(self.problem.image_shape)
        found = np.asarray(self.kept.probe[_first(self.stored("probe"), axes)])
        chains = math.prod(found.shape[: -1 - axes])  # -1 cannot be told where there is no draw
        return found.reshape(chains, *found.shape[-1 - axes :])[: self.width]

    def _move(self, length: int) -> Trace:
        """Do `length` steps on the device, and bring their trace to the host."""
        self.state, self.kept, buffer = run_block(
            self.state, self.kept, self.problem, self.sampler, self.plan, length, self.generator
        )
        trace: Trace = jax.tree.map(lambda column: np.asarray(column)[:length], buffer)
        return trace

    def _reports(self, trace: Trace, speed: float) -> Iterator[Progress]:
        """One report a chain, after a block of this trace and speed."""
        yield self._report(self.chain, trace.chi2, speed, self.kept.image, self.kept.moments.mean)

    def _report(self, chain: int, chi2: Any, speed: float, image: Image, mean: Image) -> Progress:
        warming_up = self.done <= self.plan.warmup
        return Progress(
            chain, self.done, self.steps, warming_up, float(chi2.mean()), speed, image, mean
        )


@partial(jax.jit, donate_argnums=0)
def _emptied(moments: Moments) -> Moments:
    return jax.tree.map(jnp.zeros_like, moments)


@partial(jax.jit, donate_argnums=0, static_argnums=1)
def _every_second(draws: Float[Array, "..."], axes: int) -> Float[Array, "..."]:
    """The second, fourth, … in front; what is behind them is to be overwritten.

    Of draws (n, H, W, C), or of each chain's (k, n, H, W, C), whose images have so many axes.
    """
    whole = (slice(None),) * axes
    seconds = draws[(..., slice(1, None, 2), *whole)]
    return draws.at[_first(seconds.shape[-1 - axes], axes)].set(seconds)


def _first(count: int, axes: int) -> tuple[Any, ...]:
    """The index of the first so many draws, of images with so many axes."""
    return (..., slice(count), *(slice(None),) * axes)


def _require_finite(energies: Any, first: int, chain: int) -> None:
    """Raise DivergedError unless all energies (t,) of `chain`, from step `first` on, are finite."""
    finite = np.isfinite(energies)
    if not finite.all():
        raise DivergedError(
            f"the energy of chain {chain} became infinite or NaN at step "
            f"{first + int(np.argmin(finite))}: use a smaller step_size."
        )


def start(
    problem: Problem,
    generator: Generator,
    sampler: Sampler,
    plan: Plan,
    steps: int,
    draws: int,
    key: PRNGKey,
    chain: int = 0,
) -> Run:
    """A chain of `steps` steps at its start, with room for `draws` thinned draws.

    Chain k of the same `key` starts from its own weights and latent, and has its own noise.
    """
    state, kept = begin(problem, generator, sampler, draws, key, chain)
    return Run(problem, generator, sampler, plan, steps, state, kept, [], chain)


@partial(jax.jit, static_argnames=("generator", "draws"))
def begin(
    problem: Problem, generator: Generator, sampler: Sampler, draws: int, key: PRNGKey, chain: int
) -> tuple[ChainState, Kept]:
    """State and room of chain `chain` before its first step: one program, not one an array."""
    init_key, chain_key = jax.random.split(jax.random.fold_in(key, chain))
    params, latent = generator.init(init_key, problem.image_shape)
    # `run_block` donates its buffers: a generator that returns arrays it keeps must not lose them.
    params, latent = jax.tree.map(jnp.copy, (params, latent))
    state = ChainState(params, sampler.init(params), latent, jnp.int32(0), chain_key)
    kept = Kept(
        running.empty(problem.image_shape),
        jnp.zeros((draws, *problem.image_shape), jnp.float32),
        jnp.zeros(problem.image_shape, jnp.float32),
        jnp.zeros((PROBE_DRAWS if draws else 0, *_probed(problem.image_shape)), jnp.float32),
    )
    return state, kept


def _probed(image_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a probe's pixels."""
    return jax.eval_shape(_probe, jax.ShapeDtypeStruct(image_shape, jnp.float32)).shape


def _probe(image: Image) -> Float[Array, "h w C"]:
    """Some PROBE_PIXELS pixels or more, evenly spaced."""
    grid = image.shape[:-1]
    stride = max(1, _whole_root(math.prod(grid) // PROBE_PIXELS, len(grid)))
    return image[(slice(None, None, stride),) * len(grid)]


def _whole_root(number: int, degree: int) -> int:
    """The greatest whole number whose power is at most `number`."""
    near = round(number ** (1 / degree))
    return near - (near**degree > number)


def shapes(
    problem: Problem, generator: Generator, sampler: Sampler, draws: int, key: PRNGKey
) -> tuple[ChainState, Kept]:
    """The shapes of a chain's arrays, before any of them exists."""
    started: tuple[ChainState, Kept] = jax.eval_shape(
        partial(begin, generator=generator, draws=draws), problem, sampler=sampler, key=key, chain=0
    )
    return started


def compiled(
    problem: Problem,
    generator: Generator,
    sampler: Sampler,
    plan: Plan,
    shapes: tuple[ChainState, Kept],
) -> Compiled:
    """The compiled block of steps of a chain of these shapes.

    A run of these arguments then finds the program compiled.
    """
    lowered = run_block.lower(*shapes, problem, sampler, plan, 1, generator)
    return lowered.compile()


def kept_steps(rows: NDArray[Any], warmup: int, cycle: int) -> NDArray[Any]:
    """Of a column of the trace (k, t) the steps whose images are kept: each last one of a cycle after the warm-up.

    >>> kept_steps(np.arange(8)[None], warmup=2, cycle=3)
    array([[4, 7]])
    """
    return rows[:, warmup + cycle - 1 :: cycle]


def empty_trace(problem: Problem, length: int, zeros: Callable[..., Any]) -> Trace:
    """A trace of so many zeros, of what there is to trace of this problem."""
    column = partial(zeros, length, np.float32)
    noise_std = column() if problem.noise.sampled else None
    return Trace(column(), column(), column(), column(), noise_std)


def block(
    state: ChainState,
    kept: Kept,
    problem: Problem,
    sampler: Sampler,
    plan: Plan,
    length: int,
    generator: Generator,
) -> tuple[ChainState, Kept, Trace]:
    """`length` steps; the trace returned is the first `length` entries of its buffers."""
    buffer = empty_trace(problem, BLOCK_CAPACITY, jnp.zeros)

    def body(index: Scalar, carry: tuple[ChainState, Kept, Trace]) -> Any:
        state, kept, buffer = carry
        state, image, row = _step(state, problem, sampler, plan, generator)
        kept = _keep(kept, image, state.step - 1, row.step_size, plan, sampler.cycle)
        buffer = jax.tree.map(lambda column, value: column.at[index].set(value), buffer, row)
        return state, kept, buffer

    return jax.lax.fori_loop(0, length, body, (state, kept, buffer))


run_block = jit(block, static_argnames="generator", donate_argnames=("state", "kept"))


def _step(
    state: ChainState, problem: Problem, sampler: Sampler, plan: Plan, generator: Generator
) -> tuple[ChainState, Image, Trace]:
    """One step; the image and the trace are of the weights before it, which is what U saw."""
    step_key = jax.random.fold_in(state.key, state.step)
    jitter_key, noise_key = jax.random.split(step_key)
    latent = state.latent
    if plan.jitter is not None:
        latent = latent + plan.jitter * jax.random.normal(jitter_key, latent.shape)
    evaluate = jax.value_and_grad(energy, has_aux=True)
    (value, terms), grad = evaluate(state.params, generator, latent, problem)
    params, moved = sampler.step(noise_key, state.params, grad, state.sampler, value)
    energy_error = getattr(moved, "energy_error", jnp.float32(jnp.nan))
    noise_std = _noise_std(step_key, problem, terms)
    row = Trace(value, terms.chi2, moved.step_size, energy_error, noise_std)
    return ChainState(params, moved, state.latent, state.step + 1, state.key), terms.image, row


def _noise_std(step_key: PRNGKey, problem: Problem, terms: Terms) -> Scalar | None:
    """σ drawn given the weights, or None where it is known; which of the two is structure."""
    if not isinstance(problem.noise, UnknownGaussian) or terms.noise_std is None:
        return None
    key = jax.random.fold_in(step_key, NOISE_STD_STREAM)
    return problem.noise.draw(key, terms.noise_std, problem.observed_count)


def _keep(
    kept: Kept, image: Image, step: Scalar, step_size: Scalar, plan: Plan, cycle: int
) -> Kept:
    """Add the image of `step`, if it ends a cycle, to the moments, weighted with ε_t, and to the stores where it is due."""
    since = step - plan.warmup
    ends_cycle = (since + 1) % cycle == 0
    weight = jnp.where(since >= 0, step_size, 0.0) * ends_cycle
    moments = running.add(kept.moments, image, weight, plan.memory)
    draws = _store(kept.draws, image, since, plan.thin)
    probe = _store(kept.probe, _probe(image), since, plan.probe_thin)
    return Kept(moments, draws, image, probe)


def _store(
    store: Float[Array, "n *image"], image: Array, since: Scalar, thin: Scalar | int
) -> Array:
    """The store with the image in its place, where one of step `since` after the warm-up is due."""
    room = len(store)
    if room == 0:
        return store
    place = (since + 1) // thin - 1
    due = (since >= 0) & ((since + 1) % thin == 0) & (place < room)
    stored: Array = jax.lax.cond(
        due,
        lambda store: jax.lax.dynamic_update_index_in_dim(store, image, place, 0),
        lambda store: store,
        store,
    )
    return stored
