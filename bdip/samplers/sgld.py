"""Stochastic gradient Langevin dynamics with one step size for all weights."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from bdip.samplers.schedules import Constant, Schedule
from bdip.trees import frozen_pytree, normal_like
from bdip.types import Params, PRNGKey, Scalar


class SgldState(NamedTuple):
    """Steps done, and the size of the last."""

    step: Scalar
    step_size: Scalar


@frozen_pytree()
class Sgld:
    """Langevin dynamics (Welling & Teh, ICML 2011, eq. 4):

        θ ← θ − (ε_t/2) ∇U(θ) + √(ε_t T) ξ,   ξ ~ N(0, I)

    At `temperature` T = 1 its law tends to the posterior exp(−U) as ε → 0; T = 0 is gradient
    descent with learning rate ε/2. On a quadratic U with curvature l the stationary variance is
    T/(l(1 − εl/4)): ε must stay well below 4/l.

    `step_size` is ε in units of 1/curvature of the summed energy.

    One step at temperature zero, θ − (ε/2) ∇U with ∇U = (2, 0):

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from bdip.samplers import Constant
    >>> sampler = Sgld(Constant(0.5), temperature=0.0)
    >>> params = {"w": jnp.ones(2)}
    >>> params, state = sampler.step(
    ...     jax.random.key(0), params, {"w": jnp.array([2.0, 0.0])}, sampler.init(params), jnp.float32(2)
    ... )
    >>> params["w"]
    Array([0.5, 1. ], dtype=float32)
    """

    exact: ClassVar[bool] = True
    uncertain: ClassVar[bool] = True
    input_jitter: ClassVar[float] = 0.0
    cycle: ClassVar[int] = 1
    alike: ClassVar[bool] = True

    step_size: Schedule
    temperature: float = 1.0
    warmup: int = 0

    def init(self, params: Params) -> SgldState:
        return SgldState(jnp.int32(0), jnp.float32(0))

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: SgldState, energy: Scalar
    ) -> tuple[Params, SgldState]:
        step_size = self.step_size(state.step, self.warmup)
        noise_std = jnp.sqrt(step_size * self.temperature)
        params = jax.tree.map(
            lambda p, g, xi: p - step_size / 2 * g + noise_std * xi,
            params, grad, normal_like(key, params),
        )  # fmt: skip
        return params, SgldState(state.step + 1, step_size)

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "Sgld":
        return cls(Constant(RELATIVE_STEP / information))


# ε as a part of σ²/n, the scale on which the summed energy bends.
RELATIVE_STEP = 0.4
