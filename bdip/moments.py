"""Weighted running mean and variance of a stream of arrays, in one pass."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from bdip.types import Scalar


class Moments(NamedTuple):
    """What has been added so far: total weight, mean, and weighted sum of squared deviations."""

    weight: Scalar
    mean: Float[Array, "..."]
    scatter: Float[Array, "..."]


def empty(shape: tuple[int, ...]) -> Moments:
    """Moments of nothing: the first array added becomes the mean, whatever its weight."""
    zeros = jnp.zeros(shape, jnp.float32)
    return Moments(jnp.float32(0), zeros, jnp.zeros_like(zeros))


def add(
    moments: Moments, value: Float[Array, "..."], weight: Scalar, memory: Scalar | float = 1.0
) -> Moments:
    """`moments` with `value` added at `weight`.

        W ← memory · W + w,   μ ← μ + (w/W)(x − μ),   S ← memory · S + w (1 − w/W)(x − μ)²

    of which S is a sum of terms that rounding cannot make negative. With `memory` = 1 this is the
    weighted mean of all values (West 1979, Comm. ACM 22, 532–535); with `memory` = β < 1 the
    exponential average with its start-up bias removed; with 0 the last value. A weight of zero
    changes nothing, even as the first.
    """
    kept = jnp.where(weight > 0, memory, 1.0)
    total = kept * moments.weight + weight
    share = jnp.where(total > 0, weight / jnp.where(total > 0, total, 1.0), 0.0)
    deviation = value - moments.mean
    mean = moments.mean + share * deviation
    scatter = kept * moments.scatter + weight * deviation * ((1 - share) * deviation)
    return Moments(total, mean, scatter)


def merge(first: Moments, second: Moments) -> Moments:
    """Moments of two streams together (Chan, Golub & LeVeque 1979)."""
    total = first.weight + second.weight
    share = jnp.where(total > 0, second.weight / jnp.where(total > 0, total, 1.0), 0.0)
    deviation = second.mean - first.mean
    mean = first.mean + share * deviation
    scatter = first.scatter + second.scatter + first.weight * share * deviation**2
    return Moments(total, mean, scatter)


def variance(moments: Moments) -> Float[Array, "..."]:
    """Weighted population variance, S/W; zero where nothing was added."""
    return moments.scatter / jnp.where(moments.weight > 0, moments.weight, 1.0)
