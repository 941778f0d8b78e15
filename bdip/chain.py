"""One chain: its state, the jitted block of steps, and the host's loop between blocks.

The host meets the device only between blocks. A block has a fixed capacity and a traced length,
so that one compiled program serves every block, and block length changes nothing in the result:
the randomness of step t is `fold_in(key, t)`.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Compiled
from jaxtyping import Array, Float

from bdip import moments as running
from bdip.moments import Moments
from bdip.networks.base import Generator
from bdip.potential import energy
from bdip.problem import Problem
from bdip.samplers.base import Sampler
from bdip.types import Image, Latent, Params, PRNGKey, Scalar

BLOCK_CAPACITY = 256  # steps; bounds the trace that a block brings to the host
BLOCK_SECONDS = 0.5  # aimed at: short enough for Ctrl-C and progress, long enough to cost nothing


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
    """What the steps after the warm-up left: running moments, thinned draws, the last image."""

    moments: Moments
    draws: Float[Array, "n H W C"]
    image: Image


class Trace(NamedTuple):
    """Energy, χ², step size, and the energy that was not conserved, at each step (t,).

    The last is NaN for samplers that conserve none.
    """

    energy: Any
    chi2: Any
    step_size: Any
    energy_error: Any


class Plan(NamedTuple):
    """The chain's numbers, all traced: changing one does not compile again.

    `memory` is the factor by which an image's weight shrinks with each later one; `jitter` the
    standard deviation of the noise on the latent, or None for none.
    """

    warmup: int
    thin: int
    memory: float = 1.0
    jitter: float | None = None


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
    """What a chain has to show: steps done, draws stored, what it kept, its trace (t,)."""

    done: int
    draws_kept: int
    kept: Kept
    trace: Trace


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

    @property
    def width(self) -> int:
        """Chains that `advance` moves."""
        return 1

    @property
    def done(self) -> int:
        """Steps done, of each chain."""
        return sum(trace.energy.shape[-1] for trace in self.traces)

    @property
    def draws_kept(self) -> int:
        """Thinned draws stored so far."""
        capacity = self.kept.draws.shape[-4]
        return min(max(0, self.done - self.plan.warmup) // self.plan.thin, capacity)

    @property
    def trace(self) -> Trace:
        """The trace of all steps done, as NumPy arrays (t,)."""
        if not self.traces:
            return Trace(*(np.zeros(0, np.float32) for _ in Trace._fields))
        columns = zip(*self.traces, strict=True)
        return Trace(*(np.concatenate(blocks, axis=-1) for blocks in columns))

    def outcomes(self) -> list[Outcome]:
        """What each chain has to show."""
        return [Outcome(self.done, self.draws_kept, self.kept, self.trace)]

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

    def blocks(self, length: int | None = None) -> Iterator[Progress]:
        """Advance to the end, yielding after each block of `length` steps.

        Without a length, blocks grow from one step until they take about half a second.
        """
        size = length or 1
        while self.done < self.steps:
            start = time.perf_counter()
            trace = self.advance(size)
            speed = trace.energy.shape[-1] / (time.perf_counter() - start)
            yield from self._reports(trace, speed)
            if length is None and self.done > 1:  # the first block's time is the compiler's
                size = max(1, min(BLOCK_CAPACITY, 2 * size, math.ceil(BLOCK_SECONDS * speed)))
            elif length is None:
                size = 2

    def _move(self, length: int) -> Trace:
        """Do `length` steps on the device, and bring their trace to the host."""
        self.state, self.kept, buffer = run_block(
            self.state, self.kept, self.problem, self.sampler, self.plan, length, self.generator
        )
        return Trace(*(np.asarray(column)[:length] for column in buffer))

    def _reports(self, trace: Trace, speed: float) -> Iterator[Progress]:
        """One report a chain, after a block of this trace and speed."""
        yield self._report(self.chain, trace.chi2, speed, self.kept.image, self.kept.moments.mean)

    def _report(self, chain: int, chi2: Any, speed: float, image: Image, mean: Image) -> Progress:
        warming_up = self.done <= self.plan.warmup
        return Progress(
            chain, self.done, self.steps, warming_up, float(chi2.mean()), speed, image, mean
        )


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
    )
    return state, kept


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
    buffer = Trace(*(jnp.zeros(BLOCK_CAPACITY, jnp.float32) for _ in Trace._fields))

    def body(index: Scalar, carry: tuple[ChainState, Kept, Trace]) -> Any:
        state, kept, buffer = carry
        state, image, row = _step(state, problem, sampler, plan, generator)
        kept = _keep(kept, image, state.step - 1, row.step_size, plan)
        buffer = jax.tree.map(lambda column, value: column.at[index].set(value), buffer, row)
        return state, kept, buffer

    return jax.lax.fori_loop(0, length, body, (state, kept, buffer))


run_block = jax.jit(block, static_argnames="generator", donate_argnames=("state", "kept"))


def _step(
    state: ChainState, problem: Problem, sampler: Sampler, plan: Plan, generator: Generator
) -> tuple[ChainState, Image, Trace]:
    """One step; the image and the trace are of the weights before it, which is what U saw."""
    jitter_key, noise_key = jax.random.split(jax.random.fold_in(state.key, state.step))
    latent = state.latent
    if plan.jitter is not None:
        latent = latent + plan.jitter * jax.random.normal(jitter_key, latent.shape)
    evaluate = jax.value_and_grad(energy, has_aux=True)
    (value, terms), grad = evaluate(state.params, generator, latent, problem)
    params, moved = sampler.step(noise_key, state.params, grad, state.sampler, value)
    energy_error = getattr(moved, "energy_error", jnp.float32(jnp.nan))
    row = Trace(value, terms.chi2, moved.step_size, energy_error)
    return ChainState(params, moved, state.latent, state.step + 1, state.key), terms.image, row


def _keep(kept: Kept, image: Image, step: Scalar, step_size: Scalar, plan: Plan) -> Kept:
    """Add the image of `step` to the moments, weighted with ε_t, and to the draws if it is due."""
    since = step - plan.warmup
    weight = jnp.where(since >= 0, step_size, 0.0)
    moments = running.add(kept.moments, image, weight, plan.memory)
    capacity = len(kept.draws)
    if capacity == 0:
        return Kept(moments, kept.draws, image)
    place = (since + 1) // plan.thin - 1
    due = (since >= 0) & ((since + 1) % plan.thin == 0) & (place < capacity)
    draws = jax.lax.cond(
        due,
        lambda draws: jax.lax.dynamic_update_index_in_dim(draws, image, place, 0),
        lambda draws: draws,
        kept.draws,
    )
    return Kept(moments, draws, image)
