"""Descent without noise: the original Deep Image Prior, to compare with."""

from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import optax

from bdip.samplers.schedules import Constant, Schedule
from bdip.trees import frozen_pytree
from bdip.types import Params, PRNGKey, Scalar


class DescentState(NamedTuple):
    """Steps done, the size of the last, and Optax's own state."""

    step: Scalar
    step_size: Scalar
    optimizer: Any


class _Descent:
    """The half that `Sgd` and `Adam` share; both ignore the key, for they draw nothing."""

    exact: ClassVar[bool] = False
    uncertain: ClassVar[bool] = False
    input_jitter: ClassVar[float] = 0.0
    cycle: ClassVar[int] = 1
    alike: ClassVar[bool] = True

    step_size: Schedule
    warmup: int

    def _optimizer(self, step_size: Scalar | float) -> optax.GradientTransformation:
        raise NotImplementedError

    def init(self, params: Params) -> DescentState:
        return DescentState(jnp.int32(0), jnp.float32(0), self._optimizer(0.0).init(params))

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: DescentState, energy: Scalar
    ) -> tuple[Params, DescentState]:
        step_size = self.step_size(state.step, self.warmup)
        updates, optimizer = self._optimizer(step_size).update(grad, state.optimizer, params)
        params = optax.apply_updates(params, updates)
        return params, DescentState(state.step + 1, step_size, optimizer)


@frozen_pytree()
class Sgd(_Descent):
    """Gradient descent, θ ← θ − (ε_t/2) ∇U(θ), with momentum where `momentum` is a number.

    Without momentum this is SGLD at temperature zero, bit for bit; "SGD" is the name in the field,
    although the gradient is exact unless the input is jittered. `step_size` is ε: the learning
    rate is half of it, on the summed energy. As a prior over images it is that of Ulyanov et al. (CVPR 2018).

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from bdip.samplers import Constant
    >>> sampler = Sgd(Constant(0.5))
    >>> params = {"w": jnp.ones(2)}
    >>> params, state = sampler.step(
    ...     jax.random.key(0), params, {"w": jnp.array([2.0, 0.0])}, sampler.init(params), jnp.float32(2)
    ... )
    >>> params["w"]
    Array([0.5, 1. ], dtype=float32)
    """

    step_size: Schedule
    momentum: float | None = None
    warmup: int = 0

    def _optimizer(self, step_size: Scalar | float) -> optax.GradientTransformation:
        return optax.sgd(step_size / 2, self.momentum)

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "Sgd":
        return cls(Constant(RELATIVE_STEP / information), momentum=0.9)


@frozen_pytree()
class Adam(_Descent):
    """Adam (Kingma & Ba 2015) on U; `step_size` is Adam's learning rate.

    With 0.01 and no prior on the weights this is the Deep Image Prior's own recipe (Ulyanov et
    al., CVPR 2018): it must be stopped by hand, before it has fitted the noise.

    Its first step goes by the learning rate, however large the gradient:

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from bdip.samplers import Constant
    >>> sampler = Adam(Constant(0.125))
    >>> params = {"w": jnp.ones(2)}
    >>> params, state = sampler.step(
    ...     jax.random.key(0), params, {"w": jnp.array([2.0, 0.0])}, sampler.init(params), jnp.float32(2)
    ... )
    >>> params["w"].round(4)
    Array([0.875, 1.   ], dtype=float32)
    """

    step_size: Schedule
    warmup: int = 0

    def _optimizer(self, step_size: Scalar | float) -> optax.GradientTransformation:
        return optax.adam(step_size)

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "Adam":
        return cls(Constant(0.01))


# ε as a part of σ²/n, the scale on which the summed energy bends.
RELATIVE_STEP = 0.4
