"""How the step size ε_t goes with the step t."""

from typing import Protocol

import jax.numpy as jnp

from bdip.trees import frozen_pytree
from bdip.types import Scalar


class Schedule(Protocol):
    """A pytree of numbers that gives ε_t at step `step` of a chain with `warmup` warm-up steps."""

    def __call__(self, step: Scalar, warmup: Scalar | int) -> Scalar: ...


@frozen_pytree()
class Constant:
    """ε_t = value.

    >>> Constant(0.001)(step=500, warmup=1000)
    Array(0.001, dtype=float32)
    """

    value: float

    def __call__(self, step: Scalar, warmup: Scalar | int) -> Scalar:
        return jnp.asarray(self.value, jnp.float32)

    def scaled(self, factor: float) -> "Constant":
        return Constant(factor * self.value)


@frozen_pytree()
class Polynomial:
    """ε_t = a (b + t)^−γ, with ½ < γ ≤ 1 for a vanishing bias (Welling & Teh 2011, section 3).

    >>> Polynomial(a=0.5, b=1.0, gamma=1.0)(step=4, warmup=0)
    0.1
    """

    a: float
    b: float = 1.0
    gamma: float = 0.55

    def __call__(self, step: Scalar, warmup: Scalar | int) -> Scalar:
        return self.a * (self.b + step) ** -self.gamma

    def scaled(self, factor: float) -> "Polynomial":
        return Polynomial(factor * self.a, self.b, self.gamma)


@frozen_pytree()
class Cooling:
    """ε_t = hot in the first half of the warm-up, then geometrically down to cold at its end.

    Large steps find the bulk of the posterior; small ones, constant for all kept draws, leave
    little discretisation heat in them.

    >>> cooling = Cooling(hot=0.04, cold=0.0025)
    >>> [round(float(cooling(step, warmup=100)), 4) for step in (0, 50, 75, 100)]
    [0.04, 0.04, 0.01, 0.0025]
    """

    hot: float
    cold: float

    def __call__(self, step: Scalar, warmup: Scalar | int) -> Scalar:
        progress = jnp.clip(2 * step / jnp.maximum(warmup, 1) - 1, 0, 1)
        progress = jnp.where(warmup > 0, progress, 1.0)
        return self.hot * (self.cold / self.hot) ** progress

    def scaled(self, factor: float) -> "Cooling":
        return Cooling(factor * self.hot, factor * self.cold)


@frozen_pytree()
class Scaled:
    """ε_t = factor · that of another schedule, one that cannot be scaled by its own numbers."""

    schedule: Schedule
    factor: float

    def __call__(self, step: Scalar, warmup: Scalar | int) -> Scalar:
        return self.factor * self.schedule(step, warmup)

    def scaled(self, factor: float) -> "Scaled":
        return Scaled(self.schedule, factor * self.factor)


def scaled(schedule: Schedule, factor: float) -> Schedule:
    """The schedule with every step size multiplied by `factor`.

    Those of this module change a number, which compiles nothing again; others are wrapped.

    >>> scaled(Cooling(hot=0.5, cold=0.25), 0.5)
    Cooling(hot=0.25, cold=0.125)
    """
    method = getattr(schedule, "scaled", None)
    found: Schedule = Scaled(schedule, factor) if method is None else method(factor)
    return found
