"""What a sampler is: how the weights θ move, given the gradient of the energy U."""

from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from bdip.samplers.schedules import Constant, Schedule, scaled
from bdip.types import Params, PRNGKey, Scalar

SamplerState = Any
AnySampler = TypeVar("AnySampler", bound="Sampler")


class Sampler(Protocol):
    """A frozen pytree of numbers with two pure functions.

    `warmup` is the number of steps before the first kept one; `exact` says whether the kept draws
    have the posterior as their law (up to discretisation); `uncertain` whether their spread means
    anything; `input_jitter` is the noise that its recipe puts on the latent; `cycle` is how many steps
    lie between two whose images are kept, the first of which is the last of a cycle after the warm-up. A state carries
    `step_size`, the ε_t of the step that made it: the weight of a draw; and, where the dynamics
    conserves an energy, `energy_error`, what that step added to it, for the trace. One that moves all weights by one rule,
    whatever tensor they are in, may say so, `alike = True`, beside its `step`: it is then given them as one vector, which is faster.
    """

    exact: ClassVar[bool]
    uncertain: ClassVar[bool]
    input_jitter: ClassVar[float]

    @property
    def warmup(self) -> int: ...

    @property
    def step_size(self) -> Schedule: ...

    @property
    def cycle(self) -> int: ...

    def init(self, params: Params) -> SamplerState: ...

    def step(
        self, key: PRNGKey, params: Params, grad: Params, state: SamplerState, energy: Scalar
    ) -> tuple[Params, SamplerState]: ...

    @classmethod
    def default(cls, information: float, values: int, kept: int) -> "Sampler":
        """The sampler with the package's numbers, for n observed `values` of `information` n/σ² (unit range).

        `kept` is how many steps there will be after the warm-up, at most.
        """
        ...


def schedule(step_size: float | Schedule) -> Schedule:
    """A number as a constant schedule; a schedule as it is.

    >>> schedule(0.001)
    Constant(value=0.001)
    """
    return step_size if callable(step_size) else Constant(step_size)


def moves_alike(sampler: Sampler) -> bool:
    """Whether it moves all weights by one rule: as `alike` says, if not said before the `step` that it has, by a class that this one extends.

    >>> from bdip.samplers import Sgld
    >>> class ByTensor(Sgld):
    ...     def step(self, key, params, grad, state, energy):
    ...         return {**params, "latents": 0.0}, state
    >>> moves_alike(Sgld(0.001)), moves_alike(ByTensor(0.001))
    (True, False)
    """
    for kind in type(sampler).__mro__:
        if "alike" in vars(kind):
            return bool(sampler.alike)  # type: ignore[attr-defined]
        if "step" in vars(kind):
            return False
    return False


def halved(sampler: AnySampler) -> AnySampler:
    """The sampler with steps of half the size."""
    return replace(sampler, step_size=scaled(sampler.step_size, 0.5))  # type: ignore[type-var]
