"""The published "SGLD" of the Bayesian Deep Image Prior's code: a heuristic, not a sampler."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from bdip.samplers.schedules import Constant, Schedule
from bdip.trees import frozen_pytree, normal_like, select
from bdip.types import Params, PRNGKey, Scalar

WEIGHT_DECAY = 5e-8  # on the mean squared error; the public code's value
JITTER = 1 / 30  # standard deviation of fresh noise on the latent; likewise
ROLLBACK_RATIO = 10**0.5  # a fall of 5 dB in PSNR, as a ratio of energies


class GpDipState(NamedTuple):
    """Steps done, the size of the last, Adam's moments, and what a roll-back returns to."""

    step: Scalar
    step_size: Scalar
    optimizer: optax.OptState
    good_params: Params
    good_energy: Scalar


@frozen_pytree()
class GpDip:
    """The recipe that Cheng et al. (CVPR 2019) published in code (ZezhouCheng/GP-DIP):

        θ ← Adam(θ, ∇(‖m⊙(Ag − y)‖²/N) + 5e-8 θ; lr),   then   θ ← θ + N(0, (2 lr)²) on 4-D weights

    with a return to the last weights where the PSNR of the data falls by 5 dB. The noise depends
    neither on σ nor on the number of pixels, grows with the square of the step and is not
    preconditioned as the drift is: the law of the draws is *not* the posterior. It is here to
    reproduce the paper. The chain adds its input jitter.

    `step_size` is Adam's learning rate; `loss_scale` is 2σ²/n, which turns ∇U into the gradient of
    the mean squared error.

    >>> GpDip.default(information=200.0, values=2, kept=0).loss_scale  # information is n/σ²
    0.01
    """

    exact: ClassVar[bool] = False
    uncertain: ClassVar[bool] = True
    input_jitter: ClassVar[float] = JITTER
    cycle: ClassVar[int] = 1

    step_size: Schedule
    loss_scale: float
    weight_decay: float = WEIGHT_DECAY
    warmup: int = 0

    def init(self, params: Params) -> GpDipState:
        good = jax.tree.map(jnp.copy, params)
        optimizer = optax.adam(0.0).init(params)
        return GpDipState(jnp.int32(0), jnp.float32(0), optimizer, good, jnp.float32(jnp.inf))

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: GpDipState, energy: Scalar
    ) -> tuple[Params, GpDipState]:
        step_size = self.step_size(state.step, self.warmup)
        fell = energy > ROLLBACK_RATIO * state.good_energy
        good_params = select(fell, state.good_params, params)
        good_energy = jnp.where(fell, state.good_energy, energy)

        loss_grad = jax.tree.map(
            lambda g, p: self.loss_scale * g + self.weight_decay * p, grad, params
        )
        updates, optimizer = optax.adam(step_size).update(loss_grad, state.optimizer, params)
        moved = jax.tree.map(
            lambda p, u, xi: p + u + (2 * step_size * xi if p.ndim == 4 else 0.0),
            params, updates, normal_like(key, params),
        )  # fmt: skip
        params = select(fell, state.good_params, moved)
        optimizer = select(fell, state.optimizer, optimizer)
        return params, GpDipState(state.step + 1, step_size, optimizer, good_params, good_energy)

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "GpDip":
        return cls(Constant(0.01), loss_scale=2 / information)
