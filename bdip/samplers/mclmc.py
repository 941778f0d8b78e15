"""Microcanonical Langevin dynamics: a velocity of constant length, turned by the gradient and by noise."""

import math
from dataclasses import replace
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from bdip.samplers.preconditioner import Preconditioner
from bdip.samplers.schedules import Constant, Schedule
from bdip.trees import frozen_pytree, inner, normal_like
from bdip.types import Params, PRNGKey, Scalar

# A force below it has a squared length of zero in float32, and turns nothing.
WEAKEST = math.sqrt(jnp.finfo(jnp.float32).tiny)
# By default (docs/decisions/0025): the step size that finds the posterior, and what a step that keeps draws may add to
# the energy, for each √n of n observed values, which are independent of one another.
HOT = 0.05
ERROR_OF_A_VALUE = 0.03
# The time in which it forgets its velocity (docs/decisions/0031), where σ is 25/255, and the least and the most.
DECOHERENCE, KNOWN = 4.0, (255 / 25) ** 2
LEAST_DECOHERENCE, MOST_DECOHERENCE = 2.0, 16.0
# Where a chain keeps enough steps (docs/decisions/0030): a cycle, the steps at its end that relax, and the share of ε
# of these.
CYCLE, RELAXING = 20, 4
RELAXED_SHARE = 0.5
CYCLES_ENOUGH = 100
# Where the step size is tuned: to what share at least, and how many times that way in half the warm-up.
LEAST_SHARE = 1 / 200
WAYS = 1.5
FASTEST = 0.25  # of log ε a step, of a short warm-up


class MclmcState(NamedTuple):
    """Steps done, the size of the last, the decaying mean of squared gradients, the velocity u.

    `energy_error` is what the last step did not conserve, 0 before there is one; `energy` and
    `owed`, the work of a kick's second half, are what the next one is reckoned from. `share` is
    the tuned step size, as a part of the scheduled one. `resting` is the velocity of the steps that
    relax, None where there are none.
    """

    step: Scalar
    step_size: Scalar
    square: Params
    velocity: Params
    energy: Scalar
    owed: Scalar
    energy_error: Scalar
    share: Scalar
    resting: Params | None


class Kick(NamedTuple):
    """The velocity after a kick, and the work done in its two halves, in units of T."""

    velocity: Params
    first: Scalar
    second: Scalar


@frozen_pytree("granularity", "cycle", "relaxing")
class Mclmc:
    """Microcanonical Langevin dynamics (Robnik, De Luca, Silverstein & Seljak, JMLR 2023; Robnik &
    Seljak 2023) of d weights, with the frozen preconditioner G = 1/(V̂ᵖ + δ) as inverse mass, V̂ as in `Psgld`:

        u ← K(u; −√(G/T) ∇U(θ), √ε_t),        θ ← θ + (√ε_t/2) √(TG) u,
        u ← √d n/‖n‖, n = c u + √(1 − c²) ξ,   θ ← θ + (√ε_t/2) √(TG) u,   ξ ~ N(0, I),   c = exp(−√ε_t/L)

    The velocity keeps the length ‖u‖ = √d, and is forgotten within a time L, its `decoherence` (as a default, by name:
    4 (σ · 255/25)^−¾, from 2 to 16, for σ in the unit range). K is the
    kick by a force f during a time h: the exact solution of u' = (I − uuᵀ/d) f d/(d − 1), which with
    e = f/‖f‖, δ = h‖f‖√d/(d − 1), a = e·u/√d is

        K(u) = (u + √d e (sinh δ + a (cosh δ − 1))) / Z,   Z = cosh δ + a sinh δ

    It is `Psgld` with momentum c but for that length: the heat that a step adds to some directions
    cannot stay, and a velocity cannot run away. Nothing is accepted or rejected. In continuous time
    the law of θ is exp(−U/T); on a quadratic U with curvatures l_i and many weights each variance is
    T/l_i x coth x, where x tanh x = ε mean(G l)/4, whatever c: about ε mean(G l)/12 too warm.

    The dynamics without noise conserves U/T + (d − 1) Σ log Z. What a step adds to it is the
    `energy_error`, of which a small enough step leaves little. With an `energy_tolerance` the second half of
    the warm-up brings the step size to where half of the steps have a smaller error than that, and the kept
    steps have that size; G is frozen halfway there, so that it is tuned to the G that stays. Without, ε_t is the
    schedule's, and G is frozen at the end of the warm-up.

    Where curvatures change from place to place, large steps leave heat in the stiffest directions. Of each `cycle`
    of steps the last few, `relaxing`, take it away: theirs is half of ε, and another velocity, of which nothing is
    kept from step to step (L = 0), so that a direction of curvature l forgets all but 1 − εGl/4 of where it was.
    Both kinds of step leave the same law, and neither changes the other's velocity: each begins and ends with half
    a kick. Only the image after the last of them counts. Cycles begin when G is frozen. A `cycle` of 1 has none.

    `step_size` is ε; `temperature` must be above 0; the rest is as in `Psgld`. Raises ValueError where
    `decoherence`, `temperature`, `energy_tolerance`, `cycle`, `relaxing` or `granularity` is out of range.

    After a step the velocity has the length √d:

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from bdip.samplers import Constant
    >>> sampler = Mclmc(Constant(0.01))
    >>> params = {"w": jnp.ones(2)}
    >>> params, state = sampler.step(
    ...     jax.random.key(0), params, {"w": jnp.array([2.0, 0.0])}, sampler.init(params), jnp.float32(2)
    ... )
    >>> round(float(jnp.linalg.norm(state.velocity["w"])) ** 2, 3)
    2.0
    """

    exact: ClassVar[bool] = True
    uncertain: ClassVar[bool] = True
    input_jitter: ClassVar[float] = 0.0

    step_size: Schedule
    temperature: float = 1.0
    warmup: int = 0
    decoherence: float = 2.0
    decay: float = 0.997
    damping: float = 0.3
    granularity: str = "weight"
    energy_tolerance: float | None = None
    cycle: int = 1
    relaxing: int = 0
    power: float = 0.75

    def __post_init__(self) -> None:
        _ = self._preconditioner  # refuses an unknown granularity
        if isinstance(self.decoherence, float | int) and not 0 <= self.decoherence < math.inf:
            raise ValueError(f"decoherence is {self.decoherence}: expected a time of at least 0.")
        if isinstance(self.energy_tolerance, float | int) and not self.energy_tolerance > 0:
            raise ValueError(
                f"energy_tolerance is {self.energy_tolerance}: expected None, or above 0."
            )
        if not 0 <= self.relaxing < self.cycle or (self.cycle > 1 and not self.relaxing):
            raise ValueError(
                f"cycle is {self.cycle} and relaxing {self.relaxing}: expected 1 and 0, or from 1 to below the cycle."
            )
        if isinstance(self.temperature, float | int) and not self.temperature > 0:
            raise ValueError(
                f"temperature is {self.temperature}: expected above 0, for the velocity has a "
                "constant length. Use sampler='sgd' or 'psgld' to descend."
            )

    def init(self, params: Params) -> MclmcState:
        still = jax.tree.map(jnp.zeros_like, params)  # the first refreshment gives it its length
        square = self._preconditioner.start(params)
        zero = jnp.float32(0)
        one = jnp.float32(1)
        resting = jax.tree.map(jnp.zeros_like, params) if self.relaxing else None
        return MclmcState(jnp.int32(0), zero, square, still, zero, zero, zero, one, resting)

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: MclmcState, energy: Scalar
    ) -> tuple[Params, MclmcState]:
        share = self._tuned(state)
        step_size = share * self.step_size(state.step, self.warmup)
        square, gain = self._preconditioner.adapt(state.square, grad, state.step, self._frozen_at)
        scale = jax.tree.map(lambda gain: jnp.sqrt(gain * self.temperature), gain)
        force = jax.tree.map(lambda s, g: -s * g / self.temperature, scale, grad)
        relaxed, relaxes = self._relaxes(state.step - 1), self._relaxes(state.step)
        kicked = kick(state.velocity, force, _time(step_size, ~relaxed, ~relaxes))
        velocity = kicked.velocity
        kept = jnp.exp(-jnp.sqrt(step_size) / self.decoherence)  # of no time: exp(−∞)
        if state.resting is not None:
            smaller = RELAXED_SHARE * step_size
            resting = kick(state.resting, force, _time(smaller, relaxed, relaxes)).velocity
            velocity, kept = _chosen(relaxes, resting, velocity), jnp.where(relaxes, 0.0, kept)
            step_size = jnp.where(relaxes, smaller, step_size)
        fresh, time = refreshed(velocity, normal_like(key, params), kept), jnp.sqrt(step_size)
        params = jax.tree.map(
            lambda p, s, before, after: p + time / 2 * s * (before + after),
            params, scale, velocity, fresh,
        )  # fmt: skip
        # Half a kick ends what went before it, or begins what comes: all of its work is on one side.
        work = kicked.first + kicked.second
        error = (energy - state.energy) / self.temperature + state.owed
        error += jnp.where(relaxes, work, kicked.first)
        told = (state.step > 0) & ~relaxed  # before the first step there was none
        error = jnp.where(told, error, state.energy_error)
        owed = jnp.where(relaxed, work, kicked.second)
        moved = MclmcState(
            state.step + 1, step_size, square, fresh, jnp.float32(energy), owed, error, share, None
        )  # fmt: skip
        if state.resting is not None:
            moved = moved._replace(
                velocity=_chosen(relaxes, kicked.velocity, fresh),
                resting=_chosen(relaxes, fresh, resting),
            )
        return params, moved

    def _relaxes(self, step: Scalar) -> Scalar:
        """Whether the step is one of those that relax: the image of the last step of a cycle is of weights after them."""
        since = step + 1 - self.warmup
        return (step >= self._frozen_at) & (
            jnp.mod(since, self.cycle) >= self.cycle - self.relaxing
        )

    def _tuned(self, state: MclmcState) -> Scalar:
        """The share of the scheduled step size: in the second half of the warm-up less after a large error, else more."""
        if self.energy_tolerance is None:
            return state.share
        half = jnp.maximum(self.warmup / 2, 1)
        left = (
            self.warmup - state.step
        ) / half  # 1 down to 0, as the rate: where it ends is no accident
        rate = jnp.minimum(-2 * WAYS * math.log(LEAST_SHARE) / half * left, FASTEST)
        # NaN is no small error.
        more = jnp.where(jnp.abs(state.energy_error) <= self.energy_tolerance, rate, -rate)
        moved = jnp.clip(state.share * jnp.exp(more), LEAST_SHARE, 1.0)
        tuning = (state.step >= self.warmup / 2) & (state.step < self.warmup)
        return jnp.where(tuning, moved, state.share)

    @property
    def _frozen_at(self) -> Scalar | int:
        """The step from which on G is what it is."""
        if self.energy_tolerance is None:
            return self.warmup
        return jnp.ceil(jnp.float32(0.75) * self.warmup).astype(jnp.int32)

    @property
    def alike(self) -> bool:
        """With one G a weight."""
        return self.granularity == "weight"

    @property
    def _preconditioner(self) -> Preconditioner:
        return Preconditioner(self.decay, self.damping, self.granularity, self.power)

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "Mclmc":
        # As 1/√G: V̂ goes with 1/σ².
        decoherence = DECOHERENCE * (information / values / KNOWN) ** (cls.power / 2)
        tuned = cls(
            Constant(HOT),
            energy_tolerance=ERROR_OF_A_VALUE * math.sqrt(values),
            decoherence=min(max(decoherence, LEAST_DECOHERENCE), MOST_DECOHERENCE),
        )
        enough = kept >= CYCLES_ENOUGH * CYCLE
        return replace(tuned, cycle=CYCLE, relaxing=RELAXING) if enough else tuned


def kick(velocity: Params, force: Params, time: Scalar) -> Kick:
    """The velocity u, ‖u‖ = √d, after the force has turned it for a time h: K of `Mclmc`.

    The work of a time h is (d − 1) log Z(h). Hyperbolic functions are scaled by exp(−δ), so that
    no force is too large; from rest (u = 0) the velocity goes along the force.
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(force))
    length, slack = math.sqrt(size), max(size - 1, 1)
    strength = jnp.sqrt(inner(force, force))
    unit = 1 / jnp.maximum(strength, WEAKEST)
    along = inner(force, velocity) * unit / length
    angle = time * strength * length / slack

    def log_z(angle: Scalar) -> Scalar:
        return angle + jnp.log(_scaled_z(angle, along))

    fade, z = jnp.exp(-angle), _scaled_z(angle, along)
    push = (-jnp.expm1(-2 * angle) / 2 + along * jnp.expm1(-angle) ** 2 / 2) / z * length * unit
    turned = jax.tree.map(lambda u, f: fade / z * u + push * f, velocity, force)
    first = slack * log_z(angle / 2)
    return Kick(turned, first, slack * log_z(angle) - first)


def refreshed(velocity: Params, noise: Params, momentum: Scalar | float) -> Params:
    """√d n/‖n‖ of n = c u + √(1 − c²) ξ: the velocity partly forgotten, its length as it was."""
    fresh = jnp.sqrt(1 - jnp.asarray(momentum) ** 2)
    mixed = jax.tree.map(lambda u, xi: momentum * u + fresh * xi, velocity, noise)
    size = sum(leaf.size for leaf in jax.tree.leaves(mixed))
    shrink = math.sqrt(size) / jnp.sqrt(inner(mixed, mixed))
    return jax.tree.map(lambda n: shrink * n, mixed)


def _time(step_size: Scalar, before: Scalar, after: Scalar) -> Scalar:
    """√ε of a kick between two steps of a velocity; half of it where only one of the two moves by it, or none."""
    return jnp.sqrt(step_size) * (jnp.float32(before) + jnp.float32(after)) / 2


def _chosen(first: Scalar, one: Params, other: Params) -> Params:
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), one, other)


def _scaled_z(angle: Scalar, along: Scalar) -> Scalar:
    """exp(−δ) Z = exp(−δ) (cosh δ + a sinh δ)."""
    return (1 + along) / 2 + (1 - along) / 2 * jnp.exp(-2 * angle)
