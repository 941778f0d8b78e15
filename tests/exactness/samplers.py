"""The table of exact samplers: one row each, and what theory says of its chain.

To add a sampler, add a row to ROWS:

    sampler          the object; its `step_size` and `temperature` are replaced by the tests' own
    autocovariances  (ε, l, T) -> γ_0, γ_1, … of its chain on U = lθ²/2 with gain 1, for its standard
                     errors and its lagged products; None if unknown: errors then come from replicates
    variance         (ε, l, T) -> γ_0 in closed form; T/l of a sampler without discretisation error
    freeze           (sampler, params, gains) -> its state after a warm-up that ended with these gains,
                     a tree of arrays that fit the weights; None if it has no preconditioner
    gain_a_tensor    whether a tensor has one gain
    alone            whether a chain must be on its own, because what it does with one weight depends
                     on the others other than through the gradient (a Metropolis test, for example)

`tests/exactness/test_gaussian.py` fails as long as an exact sampler of the registry has no row.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bdip.samplers import Constant, Psgld, Sgld
from tests import laws


def with_discretisation_heat(step_size, curvature, temperature):
    """T/(l(1 − εl/4)), the variance of Euler's chain."""
    return temperature / (curvature * (1 - step_size * curvature / 4))


def exact(step_size, curvature, temperature):
    """T/l."""
    return temperature / curvature


class Row(NamedTuple):
    """A sampler and its laws; the columns are described above."""

    sampler: Any
    autocovariances: Callable | None = None
    variance: Callable = exact
    freeze: Callable | None = None
    gain_a_tensor: bool = False
    alone: bool = False

    def at(self, step_size, temperature):
        """The sampler with these numbers."""
        return replace(self.sampler, step_size=Constant(step_size), temperature=temperature)


def psgld(momentum, **options):
    """A Psgld whose gain would change at once were it not frozen, and follows V closely."""
    return Psgld(Constant(1.0), momentum=momentum, warmup=5, decay=0.8, damping=0.1, **options)


def frozen_psgld(sampler, params, gains):
    """The state after the warm-up in which V has given G = 1/(√(V/(1 − α^warmup)) + δ)."""
    unbias = 1 - sampler.decay**sampler.warmup
    squares = jax.tree.map(lambda g: (1 / g - sampler.damping) ** 2 * unbias, gains)
    state = sampler.init(params)
    return state._replace(step=jnp.int32(sampler.warmup), square=squares)


def _kinetic(momentum):
    return partial(laws.autocovariances, momentum=momentum)


ROWS = {
    "sgld": Row(Sgld(Constant(1.0)), laws.autocovariances, with_discretisation_heat),
    "psgld, no momentum": Row(
        psgld(None), laws.autocovariances, with_discretisation_heat, frozen_psgld
    ),
    "psgld, no momentum, a gain a tensor": Row(
        psgld(None, granularity="tensor"), laws.autocovariances, with_discretisation_heat,
        frozen_psgld, gain_a_tensor=True,
    ),
    "psgld, momentum 0": Row(psgld(0.0), _kinetic(0.0), exact, frozen_psgld),
    "psgld, momentum 0.5": Row(psgld(0.5), _kinetic(0.5), exact, frozen_psgld),
    "psgld, momentum 0.95": Row(psgld(0.95), _kinetic(0.95), exact, frozen_psgld),
    "psgld, momentum 0.95, a gain a tensor": Row(
        psgld(0.95, granularity="tensor"), _kinetic(0.95), exact, frozen_psgld, gain_a_tensor=True
    ),
    # As a sampler whose law is not known would be judged.
    "psgld, momentum 0.5, by its replicates": Row(psgld(0.5), None, exact, frozen_psgld, alone=True),
}  # fmt: skip

# Exact samplers of the registry that have their law tested elsewhere, and why.
ELSEWHERE = {
    "mclmc": "tests/test_mclmc.py: its variance has a closed form for many weights at once, not for few",
}
