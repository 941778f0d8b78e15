"""Langevin dynamics with a diagonal preconditioner that is adapted in the warm-up and frozen after it."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from bdip.samplers.preconditioner import Preconditioner
from bdip.samplers.schedules import Cooling, Schedule
from bdip.trees import frozen_pytree, normal_like
from bdip.types import Params, PRNGKey, Scalar


class PsgldState(NamedTuple):
    """Steps done, the size of the last, the decaying mean of squared gradients, the velocity."""

    step: Scalar
    step_size: Scalar
    square: Params
    velocity: Params


@frozen_pytree("granularity")
class Psgld:
    """Preconditioned Langevin dynamics (Li et al., AAAI 2016, algorithm 1):

        V ← αV + (1 − α) ∇U²  while t < warmup,   G = 1/(√V̂ + δ)
        θ ← θ − (ε_t/2) G ∇U(θ) + √(ε_t T G) ξ,   ξ ~ N(0, I)

    V̂ is V with its start-up bias removed. G no longer changes once the first draw is kept, so the
    correction term Γ of the paper is zero and exp(−U/T) is the target, up to the step size.
    `granularity` is "weight" for one G a weight or "tensor" for one G a tensor (the mean square).

    That step is taken with `momentum` None. With a number 0 ≤ c < 1 the weights have a velocity v
    that is kept from step to step (Leimkuhler & Matthews, 2013: BAOAB, its kicks joined):

        v ← v − √ε_t G ∇U(θ),   θ ← θ + (√ε_t/2) v,
        v ← c v + √((1 − c²) T G) ξ,   θ ← θ + (√ε_t/2) v

    It costs no more, moves slow directions (1 + c)/(1 − c) times as fast at the same ε, and where
    Euler's step leaves a direction of curvature l the variance T/(l(1 − εGl/4)), it leaves T/l.
    At T = 0, momentum None and momentum 0 are both gradient descent.

    `step_size` is ε; `damping` δ keeps G bounded where a gradient vanishes, as the prior's does not:
    in equilibrium a weight that the data do not reach has √V = √λ. Raises ValueError where `momentum` or
    `granularity` is out of range.

    The first Euler step of the warm-up at temperature zero, with G = 1/(|∇U| + δ) = (1/4, 1/2) for ∇U = (2, 0):

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from bdip.samplers import Constant
    >>> sampler = Psgld(Constant(0.5), temperature=0.0, warmup=1, momentum=None, damping=2.0)
    >>> params = {"w": jnp.ones(2)}
    >>> params, state = sampler.step(
    ...     jax.random.key(0), params, {"w": jnp.array([2.0, 0.0])}, sampler.init(params), jnp.float32(2)
    ... )
    >>> params["w"]
    Array([0.875, 1.   ], dtype=float32)
    """

    exact: ClassVar[bool] = True
    uncertain: ClassVar[bool] = True
    input_jitter: ClassVar[float] = 0.0
    cycle: ClassVar[int] = 1

    step_size: Schedule
    temperature: float = 1.0
    warmup: int = 0
    momentum: float | None = 0.95
    decay: float = 0.99
    damping: float = 1.0
    granularity: str = "weight"

    def __post_init__(self) -> None:
        _ = self._preconditioner  # refuses an unknown granularity
        if isinstance(self.momentum, float | int) and not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: expected None, or from 0 to below 1.")

    def init(self, params: Params) -> PsgldState:
        square = self._preconditioner.start(params)
        velocity = None if self.momentum is None else jax.tree.map(jnp.zeros_like, params)
        return PsgldState(jnp.int32(0), jnp.float32(0), square, velocity)

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: PsgldState, energy: Scalar
    ) -> tuple[Params, PsgldState]:
        step_size = self.step_size(state.step, self.warmup)
        square, gain = self._preconditioner.adapt(state.square, grad, state.step, self.warmup)
        noise = normal_like(key, params)
        move = self._euler if self.momentum is None else self._baoab
        params, velocity = move(step_size, params, grad, gain, noise, state.velocity)
        return params, PsgldState(state.step + 1, step_size, square, velocity)

    def _euler(
        self, step_size: Scalar, params: Params, grad: Params, gain: Params, noise: Params, _: None
    ) -> tuple[Params, None]:
        heat = step_size * self.temperature
        params = jax.tree.map(
            lambda p, g, gain, xi: p - step_size / 2 * gain * g + jnp.sqrt(heat * gain) * xi,
            params, grad, gain, noise,
        )  # fmt: skip
        return params, None

    def _baoab(
        self, step_size: Scalar, params: Params, grad: Params, gain: Params, noise: Params,
        velocity: Params,
    ) -> tuple[Params, Params]:  # fmt: skip
        time = jnp.sqrt(step_size)
        kept = jnp.asarray(self.momentum)
        fresh = self.temperature * (1 - kept**2)
        kicked = jax.tree.map(lambda v, g, gain: v - time * gain * g, velocity, grad, gain)
        velocity = jax.tree.map(
            lambda v, gain, xi: kept * v + jnp.sqrt(fresh * gain) * xi, kicked, gain, noise
        )
        params = jax.tree.map(
            lambda p, before, after: p + time / 2 * (before + after), params, kicked, velocity
        )
        return params, velocity

    @property
    def alike(self) -> bool:
        """With one G a weight."""
        return self.granularity == "weight"

    @property
    def _preconditioner(self) -> Preconditioner:
        return Preconditioner(self.decay, self.damping, self.granularity)

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "Psgld":
        return cls(Cooling(hot=0.006, cold=0.0007))
