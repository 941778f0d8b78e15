"""The diagonal preconditioner G: adapted to the gradients in the warm-up and frozen after it."""

import jax
import jax.numpy as jnp

from bdip.trees import frozen_pytree
from bdip.types import Params, Scalar


@frozen_pytree("granularity")
class Preconditioner:
    """G from the decaying mean of squared gradients:

        V ← αV + (1 − α) ∇U²  while t < warmup,   G = 1/(V̂ᵖ + δ)

    V̂ is V with its start-up bias removed; p is the `power`, ½ in RMSprop and in Li et al. (AAAI 2016). G no longer
    changes once the first draw is kept.
    `granularity` is "weight" for one G a weight or "tensor" for one G a tensor (the mean square).
    """

    decay: float
    damping: float
    granularity: str
    power: float = 0.5

    def __post_init__(self) -> None:
        if self.granularity not in ("weight", "tensor"):
            raise ValueError(f'granularity is {self.granularity!r}: expected "weight" or "tensor".')

    def start(self, params: Params) -> Params:
        """V before the first gradient."""
        return jax.tree.map(lambda p: jnp.zeros_like(self._square(p)), params)

    def adapt(
        self, square: Params, grad: Params, step: Scalar, warmup: Scalar | int
    ) -> tuple[Params, Params]:
        """V and G at `step`, from V before it."""
        adapting = jnp.maximum(warmup, 1)  # steps: without any, G would be 1/δ
        decay = jnp.where(step < adapting, self.decay, 1.0)
        square = jax.tree.map(lambda v, g: decay * v + (1 - decay) * self._square(g), square, grad)
        unbias = 1 / (1 - self.decay ** jnp.minimum(step + 1, adapting))
        gain = jax.tree.map(lambda v: 1 / ((v * unbias) ** self.power + self.damping), square)
        return square, gain

    def _square(self, grad: Params) -> Params:
        return grad**2 if self.granularity == "weight" else jnp.mean(grad**2)
