"""How long to run and what to keep: the numbers of a run that belong to no sampler."""

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple, TypeVar

T = TypeVar("T")

WARMUP_SHARE = 0.4  # of the steps, where warmup is not given
FIXED_STEPS = 3000  # of what cannot say by itself when to stop, such as descents
CHAINS = 4  # of a run that ends by itself: better than one at the same cost (docs/decisions/0045)
DRAWS = 100  # of each chain of a fixed length, or of all those together that end by themselves
# The mean loses 10 log₁₀(1 + 0.08²) = 0.03 dB by it (the 3 dB law), and twice the steps gain half of that.
MCSE_SHARE = 0.08
RHAT = 1.1  # Gelman et al., Bayesian Data Analysis (3rd ed., 2013), p. 287


class SettingsError(ValueError):
    """A setting is out of range, or a name is not known."""


def require(holds: bool, name: str, found: object, expected: str) -> None:
    """Raise SettingsError, saying what was found and what was expected, unless it `holds`."""
    if not holds:
        raise SettingsError(f"{name} is {found}: expected {expected}.")


@dataclass(frozen=True)
class Settings:
    """How long to run and what to keep; `None` stands for the default said beside it.

    steps: steps of each chain, warm-up included. By default a sampler of the posterior ends by itself, where
        `target_mcse` and `target_rhat` are reached or else after `max_steps`; all others do 3,000.
    max_steps: the budget of a run that ends by itself, of all its chains together.
    chains: independent chains, each with its own weights and latent, averaged together. By default 4 in a run that
        ends by itself, which is better than one as long as all of them, and else 1.
    target_mcse: Monte Carlo error of the mean image, as a part of its standard deviation (root mean
        squares over the pixels), at which to stop.
    target_rhat: R-hat, of half the pixels, below which to stop.
    warmup: steps before the first kept one. By default 40 % of a given number of `steps`; where the chain ends by
        itself, until χ² and energy are stationary, and as long again to cool; none for descents.
    draws: thinned draws of each chain stored for quantiles and diagnostics, evenly spaced after the warm-up; by
        default 100, or in a run that ends by itself 100 of all chains together. The mean and the standard deviation
        use *every* kept step, whatever this is: all after the warm-up, or the last one of each cycle of `mclmc`.
    draws_memory: bytes that the stored draws of all chains may take; fewer are stored rather than
        more used.
    output_average: factor β of an exponential average of the outputs, as users of the Deep Image
        Prior know it (0.99). By default samplers average all kept steps by their step sizes and
        descents return the last image.
    input_jitter: standard deviation of fresh Gaussian noise on the latent at each step; by default
        1/30 for `gp-dip` and none for the rest. It makes the gradient noisy and heats a sampler.
    weight_precision: λ, precision of the Gaussian prior on the weights; 1 for samplers, 0 for the
        descents and `gp-dip`, which has a weight decay of its own.
    block: steps between two looks of the host; by default about half a second's worth.
    step_halvings: how often a run may go back, where a chain's energy stops being finite, and on with half
        the step size, before it gives up with DivergedError; 0 gives up at once.
    memory_limit: bytes beyond which a run is refused before it starts; by default what is free on
        the device. `math.inf` refuses none.

    Raises SettingsError where a number is out of its range, which the message tells.

    >>> Settings(steps=2000, draws=50).warmup is None  # 40 % of the steps, when the run starts
    True
    >>> Settings(target_mcse=0)
    Traceback (most recent call last):
    bdip.settings.SettingsError: target_mcse is 0: expected above 0, such as 0.1.
    """

    steps: int | None = None
    max_steps: int = 60_000
    chains: int | None = None
    target_mcse: float = MCSE_SHARE
    target_rhat: float = RHAT
    warmup: int | None = None
    draws: int | None = None
    draws_memory: int = 2**28
    output_average: float | None = None
    input_jitter: float | None = None
    weight_precision: float | None = None
    block: int | None = None
    step_halvings: int = 3
    memory_limit: float | None = None

    def __post_init__(self) -> None:
        warmup = 0 if self.warmup is None else self.warmup
        for name in ("steps", "max_steps", "chains", "warmup", "draws", "block", "step_halvings"):
            value = getattr(self, name)
            require(value is None or isinstance(value, Integral), name, value, "a whole number")
        name, most = ("max_steps", self.max_steps) if self.steps is None else ("steps", self.steps)
        require(most >= 1, name, most, "at least 1")
        require(self.chains is None or self.chains >= 1, "chains", self.chains, "at least 1")
        require(0 <= warmup < most, "warmup", warmup, f"from 0 to {name} − 1 = {most - 1}")
        require(self.target_mcse > 0, "target_mcse", self.target_mcse, "above 0, such as 0.1")
        require(self.target_rhat > 1, "target_rhat", self.target_rhat, "above 1, such as 1.1")
        require(self.draws is None or self.draws >= 0, "draws", self.draws, "0 or more")
        average = 0 if self.output_average is None else self.output_average
        require(0 <= average <= 1, "output_average", average, "from 0 to 1, such as 0.99")
        jitter = 0 if self.input_jitter is None else self.input_jitter
        require(jitter >= 0, "input_jitter", jitter, "0 or more, such as 1/30")
        require(self.block is None or self.block >= 1, "block", self.block, "at least 1")
        require(self.step_halvings >= 0, "step_halvings", self.step_halvings, "0 or more")
        limit = 1 if self.memory_limit is None else self.memory_limit
        require(limit > 0, "memory_limit", limit, "above 0 bytes, or math.inf for none")

    def resolve(self, exact: bool, uncertain: bool, input_jitter: float) -> "Resolved":
        """The settings with every default filled in, for a sampler of these properties.

        Raises SettingsError where each chain's part of `max_steps` is too small.
        """
        ends_itself = self.steps is None and exact
        chains = _given(self.chains, min(CHAINS, self.max_steps) if ends_itself else 1)
        steps = self.max_steps // chains if ends_itself else _given(self.steps, FIXED_STEPS)
        require(steps >= 1, "max_steps", self.max_steps, f"at least 1 for each of {chains} chains")
        warmup = _given(
            self.warmup, None if ends_itself else int(WARMUP_SHARE * steps) if uncertain else 0
        )
        draws = -(-DRAWS // chains) if ends_itself else DRAWS
        expected = f"below {steps}, the steps of each of {chains} chains"
        require(warmup is None or warmup < steps, "warmup", warmup, expected)
        return Resolved(
            steps=steps,
            chains=chains,
            target_mcse=self.target_mcse if ends_itself else None,
            target_rhat=self.target_rhat if ends_itself else None,
            warmup=warmup,
            draws=_given(self.draws, draws) if uncertain else 0,
            draws_memory=self.draws_memory,
            output_average=_given(self.output_average, 1.0 if uncertain else 0.0),
            input_jitter=_given(self.input_jitter, input_jitter),
            weight_precision=_given(self.weight_precision, 1.0 if exact else 0.0),
        )


class Resolved(NamedTuple):
    """`Settings` without open questions; the record of a run.

    With a `target_mcse` the chains end by themselves and `steps` is the budget of each; without a `warmup`, so does
    the warm-up. `draws` is of each chain.
    """

    steps: int
    chains: int
    target_mcse: float | None
    target_rhat: float | None
    warmup: int | None
    draws: int
    draws_memory: int
    output_average: float
    input_jitter: float
    weight_precision: float

    @property
    def all_steps(self) -> int:
        """The most steps, of all chains together."""
        return self.chains * self.steps


def _given(value: T | None, default: T) -> T:
    return default if value is None else value
