"""SGLD with a diagonal preconditioner that is adapted in the warm-up and frozen after it."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from bdip.samplers.schedules import Cooling, Schedule
from bdip.trees import frozen_pytree, normal_like
from bdip.types import Params, PRNGKey, Scalar


class PsgldState(NamedTuple):
    """Steps done, the size of the last, and the decaying mean of squared gradients."""

    step: Scalar
    step_size: Scalar
    square: Params


@frozen_pytree("granularity")
class Psgld:
    """Preconditioned Langevin dynamics (Li et al., AAAI 2016, algorithm 1):

        V ← αV + (1 − α) ∇U²  while t < warmup,   G = 1/(√V̂ + δ)
        θ ← θ − (ε_t/2) G ∇U(θ) + √(ε_t T G) ξ,   ξ ~ N(0, I)

    V̂ is V with its start-up bias removed. G no longer changes once the first draw is kept, so the
    correction term Γ of the paper is zero and exp(−U/T) is the target, up to the step size.
    `granularity` is "weight" for one G a weight or "tensor" for one G a tensor (the mean square).

    `step_size` is ε, about twice the change of a weight in one step of pure drift.
    """

    exact: ClassVar[bool] = True
    uncertain: ClassVar[bool] = True

    step_size: Schedule
    temperature: float = 1.0
    warmup: int = 0
    decay: float = 0.99
    damping: float = 1e-3
    granularity: str = "weight"

    def __post_init__(self) -> None:
        if self.granularity not in ("weight", "tensor"):
            raise ValueError(f'granularity is {self.granularity!r}: expected "weight" or "tensor".')

    def init(self, params: Params) -> PsgldState:
        square = jax.tree.map(lambda p: jnp.zeros_like(self._square(p)), params)
        return PsgldState(jnp.int32(0), jnp.float32(0), square)

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: PsgldState, energy: Scalar
    ) -> tuple[Params, PsgldState]:
        step_size = self.step_size(state.step, self.warmup)
        adapting = state.step < self.warmup
        decay = jnp.where(adapting, self.decay, 1.0)
        square = jax.tree.map(
            lambda v, g: decay * v + (1 - decay) * self._square(g), state.square, grad
        )
        adapted = jnp.minimum(state.step + 1, self.warmup)
        unbias = 1 / (1 - self.decay ** jnp.maximum(adapted, 1))

        def move(p: Params, g: Params, v: Params, xi: Params) -> Params:
            gain = 1 / (jnp.sqrt(v * unbias) + self.damping)
            return p - step_size / 2 * gain * g + jnp.sqrt(step_size * self.temperature * gain) * xi

        params = jax.tree.map(move, params, grad, square, normal_like(key, params))
        return params, PsgldState(state.step + 1, step_size, square)

    def _square(self, grad: Params) -> Params:
        return grad**2 if self.granularity == "weight" else jnp.mean(grad**2)

    @classmethod
    def default(cls, information: float) -> "Psgld":
        return cls(Cooling(hot=0.02, cold=0.006))
