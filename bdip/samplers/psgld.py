"""SGLD with a diagonal preconditioner that is adapted in the warm-up and frozen after it."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from bdip.samplers.schedules import Cooling, Schedule
from bdip.trees import frozen_pytree, normal_like
from bdip.types import Params, PRNGKey, Scalar


class PsgldState(NamedTuple):
    """Steps done, the size of the last, the decaying mean of squared gradients, the last noise."""

    step: Scalar
    step_size: Scalar
    square: Params
    noise: Params


@frozen_pytree("granularity", "integrator")
class Psgld:
    """Preconditioned Langevin dynamics (Li et al., AAAI 2016, algorithm 1):

        V ← αV + (1 − α) ∇U²  while t < warmup,   G = 1/(√V̂ + δ)
        θ ← θ − (ε_t/2) G ∇U(θ) + √(ε_t T G) ζ_t,   ξ_t ~ N(0, I)

    V̂ is V with its start-up bias removed. G no longer changes once the first draw is kept, so the
    correction term Γ of the paper is zero and exp(−U/T) is the target, up to the step size.
    `granularity` is "weight" for one G a weight or "tensor" for one G a tensor (the mean square).

    `integrator` is how noise enters. With "euler", ζ_t = ξ_t, and a direction of curvature l has
    variance T/(l(1 − εGl/4)): too hot. With "leimkuhler-matthews", ζ_t = (ξ_t + ξ_{t−1})/2, which
    costs nothing and has the exact variance T/l (Leimkuhler & Matthews, Appl. Math. Res. Express
    2013: their scheme for Brownian dynamics).

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
    integrator: str = "leimkuhler-matthews"

    def __post_init__(self) -> None:
        if self.granularity not in ("weight", "tensor"):
            raise ValueError(f'granularity is {self.granularity!r}: expected "weight" or "tensor".')
        if self.integrator not in ("euler", "leimkuhler-matthews"):
            raise ValueError(
                f'integrator is {self.integrator!r}: expected "euler" or "leimkuhler-matthews".'
            )

    def init(self, params: Params) -> PsgldState:
        square = jax.tree.map(lambda p: jnp.zeros_like(self._square(p)), params)
        noise = jax.tree.map(jnp.zeros_like, params)
        return PsgldState(jnp.int32(0), jnp.float32(0), square, noise)

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

        noise = normal_like(key, params)
        kick = noise
        if self.integrator == "leimkuhler-matthews":
            kick = jax.tree.map(lambda new, old: (new + old) / 2, noise, state.noise)

        def move(p: Params, g: Params, v: Params, zeta: Params) -> Params:
            gain = 1 / (jnp.sqrt(v * unbias) + self.damping)
            return (
                p - step_size / 2 * gain * g + jnp.sqrt(step_size * self.temperature * gain) * zeta
            )

        params = jax.tree.map(move, params, grad, square, kick)
        return params, PsgldState(state.step + 1, step_size, square, noise)

    def _square(self, grad: Params) -> Params:
        return grad**2 if self.granularity == "weight" else jnp.mean(grad**2)

    @classmethod
    def default(cls, information: float) -> "Psgld":
        return cls(Cooling(hot=0.02, cold=0.006))
