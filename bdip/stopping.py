"""When to stop: chains that find their own warm-up, and end where their mean is known well enough.

Descent must be stopped before it has learned the noise. A sampler need not be stopped at all: more
steps only make the average better, and the rule here says when they are no longer worth it. All it
looks at are the chains themselves, at steps fixed beforehand: the clock changes nothing.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdip import abreast
from bdip.chain import STORES, Progress, Run, kept_steps
from bdip.diagnostics import chi2_blocks, mixing_numbers, relative_chi2
from bdip.diagnostics.chi2 import Blocks

WARMUP_LOOKS = 50  # steps between two looks at a chain that warms up
SHORTEST_WARMUP = 200  # steps before the first look
LONGEST_WARMUP = 0.25  # of the budget, after which it ends in any case
FIRST_LOOK = 300  # kept steps
LOOKS_GROW = 1.2  # each look comes after so many times the kept steps of the last
FIRST_THIN = 5  # steps from one stored draw to the next at least; doubled whenever the room is full
LEAST_DRAWS = 20  # of all chains together, to judge by

SURE = 3.0  # standard errors beyond which a fall is not luck
LEAST_CHI2_FALL = 0.02  # of χ²: one per cent of σ
# Of the energy, most of which is the prior's, of weights that the data hardly reach: those still move
# when the image has long settled.
LEAST_ENERGY_FALL = 0.1

Rows = NDArray[np.floating[Any]]


class Judgement(NamedTuple):
    """Monte Carlo error over standard deviation (root mean squares), and R-hat of half the pixels."""

    mcse: float
    rhat: float


class Fixed:
    """Chains of a length fixed beforehand, one after another."""

    threads = 1

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs

    def blocks(self, length: int | None = None) -> Iterator[tuple[Run, Progress]]:
        """Advance each chain to its end, yielding after each block of `length` steps."""
        for run in self.runs:
            for progress in run.blocks(length):
                yield run, progress

    @property
    def finished(self) -> bool:
        """Whether all chains have come to their end."""
        return all(run.done == run.steps for run in self.runs)

    def record(self) -> dict[str, Any]:
        """What the run's record says of it, in JSON types; the warm-up of a chain that went back is longer."""
        return {"warmup": max(int(run.plan.warmup) for run in self.runs)}

    @property
    def halvings(self) -> int:
        """How often the step size of a chain was halved, all together."""
        return sum(run.halvings for run in self.runs)

    def moved_with(self, run: Run) -> list[Run]:
        """The chains that share their step size with `run`."""
        return [run]

    def start_again(self, run: Run) -> bool:
        """Keep anew from where `run` went back to, or from the end of its warm-up; whether steps are left to keep."""
        run.keep_from(max(run.done, run.plan.warmup))
        return run.plan.warmup < run.steps

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs besides the runs, in JSON types."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""


class Converging:
    """Chains on their way to a mean known to `target_mcse` of its standard deviation.

    `judgement` is the last one, and `reached` says whether it was good enough. All decisions are
    made where every chain has come to the next look, and all that they depend on, besides the
    chains, is in STATE: a run can be cut anywhere and go on.

    warmup: steps before the first kept one; None while that is to be found.
    threads: chains that go at once.
    looked: looks taken at a warm-up whose end is to be found.
    look: kept steps at the next look; None before the end of the warm-up.
    ended: whether there are no more steps to do.
    """

    STATE = ("warmup", "looked", "look", "ended", "reached")

    def __init__(
        self,
        runs: list[Run],
        target_mcse: float,
        target_rhat: float,
        warmup: int | None,
        threads: int = 1,
    ) -> None:
        self.runs = runs
        self.threads = threads
        self.target = Judgement(target_mcse, target_rhat)
        self.warmup = warmup
        self.looked = 0
        self.look: int | None = None
        self.ended = self.reached = False
        self.judgement: Judgement | None = None
        if warmup is not None:
            self._warm_up_to(warmup)

    def blocks(self, length: int | None = None) -> Iterator[tuple[Run, Progress]]:
        """Advance all chains to their end, yielding after each block of `length` steps."""
        while not self.ended:
            step = self._next()
            yield from abreast.blocks(self.runs, self.threads, length, step)
            self._decide(step)

    @property
    def finished(self) -> bool:
        """Whether the mean is known well enough, or the budget is spent."""
        return self.reached or all(run.done == run.steps for run in self.runs)

    def record(self) -> dict[str, Any]:
        """Steps of each chain done or, where cut short, allowed, and of all the most; the warm-up found; why it ended."""
        found = None
        if self.judgement is not None:
            found = {**self.judgement._asdict(), "reached": self.reached}
        return {
            "steps": self.done if self.finished else self.budget,
            "warmup": self.runs[0].plan.warmup,
            "max_steps": self.budget * sum(run.width for run in self.runs),
            "stopped": found,
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs besides the runs, in JSON types."""
        return {name: getattr(self, name) for name in self.STATE} | {"judgement": self.judgement}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; beyond its end where the budget or the target is now another."""
        for name in self.STATE:
            setattr(self, name, state[name])
        self.judgement = state["judgement"] and Judgement(*state["judgement"])
        self.reached = self.ended and self._good_enough()
        self.ended = self.ended and (self.reached or self.done >= self.budget)

    @property
    def halvings(self) -> int:
        """How often the step size of all chains was halved."""
        return self.runs[0].halvings

    def moved_with(self, run: Run) -> list[Run]:
        """The chains that share their step size with `run`: all of them, for they go in step."""
        return self.runs

    def start_again(self, run: Run) -> bool:
        """Keep anew, in all chains, from where the foremost is; whether steps are left to keep."""
        if self.look is None:  # nothing is kept yet
            return True
        step = max(self.runs[0].plan.warmup, *(each.done for each in self.runs))
        for each in self.runs:
            each.keep_from(step)
        self.look, self.judgement = FIRST_LOOK, None
        return step < self.budget

    @property
    def done(self) -> int:
        """Steps done, of each chain."""
        return self.runs[0].done

    @property
    def budget(self) -> int:
        """The most steps, of each chain."""
        return self.runs[0].steps

    @property
    def kept(self) -> int:
        """Steps in the average, of each chain."""
        return self.done - self.runs[0].plan.warmup

    def _next(self) -> int:
        """The step of the next decision."""
        if self.warmup is None:
            return self._warmup_looks[self.looked]
        if self.look is None:
            return self.warmup
        start = self.runs[0].plan.warmup
        return min(start + self.look, *self._full().values(), self.budget)

    def _decide(self, step: int) -> None:
        """What to do where all chains have come to `step`."""
        if self.warmup is None:
            self._look_at_warm_up(step)
        elif self.look is None:
            self.look, self.ended = FIRST_LOOK, self.done >= self.budget
        else:
            self._look_at_kept(self.look)

    @property
    def _warmup_looks(self) -> list[int]:
        most = max(1, int(LONGEST_WARMUP * self.budget / 2))
        return [*range(min(SHORTEST_WARMUP, most), most, WARMUP_LOOKS), most]

    def _look_at_warm_up(self, step: int) -> None:
        """Hot until χ² and energy are stationary, then as long again: schedules cool in the second half."""
        self.looked += 1
        last = self.looked == len(self._warmup_looks)
        if last or settled(self._trace("energy"), self._chi2()):
            self.warmup = 2 * step
            self._warm_up_to(self.warmup)

    def _warm_up_to(self, step: int) -> None:
        for run in self.runs:
            run.warm_up_to(step)

    def _look_at_kept(self, look: int) -> None:
        for store, step in self._full().items():
            if step == self.done:
                for run in self.runs:
                    run.thin_out(store)
        if self.kept >= look or self.done == self.budget:
            self.look = math.ceil(LOOKS_GROW * look)
            if self.kept <= self.budget - self.done and self._still_falls():
                for run in self.runs:
                    run.keep_from_here()
                self.look = FIRST_LOOK
            else:
                self.judgement = judge(self.runs)
                self.reached = self._good_enough()
        self.ended = self.reached or self.done >= self.budget

    def _full(self) -> dict[str, int]:
        """The step at which each store is full."""
        return {store: self.runs[0].full_at(store) for store in STORES}

    def _still_falls(self) -> bool:
        """Whether χ² of the kept steps surely falls: then they belong to the warm-up, if there are as many to come."""
        run = self.runs[0]
        kept = kept_steps(self._chi2(), run.plan.warmup, run.sampler.cycle)
        return falls(chi2_blocks(kept), LEAST_CHI2_FALL)

    def _good_enough(self) -> bool:
        found, target = self.judgement, self.target
        return found is not None and found.mcse <= target.mcse and found.rhat <= target.rhat

    def _trace(self, name: str) -> Rows:
        """A column of the trace, of all chains (k, t)."""
        rows = [np.atleast_2d(getattr(run.trace, name)) for run in self.runs]
        return np.concatenate(rows).astype(np.float64)

    def _chi2(self) -> Rows:
        sampled = self.runs[0].problem.noise.sampled
        return relative_chi2(self._trace("chi2"), self._trace("noise_std") if sampled else None)


def settled(energy: Rows, chi2: Rows) -> bool:
    """Whether neither χ² nor energy (k, t) surely falls in the second half of the steps so far."""
    half = energy.shape[1] // 2
    level = abs(energy[:, half:].mean())
    return not (
        falls(chi2_blocks(chi2[:, half:]), LEAST_CHI2_FALL)
        or moves(chi2_blocks(energy[:, half:]), LEAST_ENERGY_FALL * level)
    )


def falls(blocks: Blocks, least: float) -> bool:
    """Whether the last block is lower than the first by more than `least` and more than luck."""
    return blocks.fall > max(least, SURE * blocks.fall_error)


def moves(blocks: Blocks, least: float) -> bool:
    """The same, or higher."""
    return abs(blocks.fall) > max(least, SURE * blocks.fall_error)


def judge(runs: list[Run]) -> Judgement:
    """How well the mean is known, and whether chains and their halves agree, by the probed pixels.

    Infinite where there are too few draws to say.
    """
    draws = np.concatenate([run.probe() for run in runs])
    if draws.shape[0] * draws.shape[1] < LEAST_DRAWS:
        return Judgement(math.inf, math.inf)
    numbers = mixing_numbers(draws)
    found = [np.nan_to_num(numbers[name], nan=np.inf) for name in ("mcse_ratio", "rhat_median")]
    return Judgement(*map(float, found))
