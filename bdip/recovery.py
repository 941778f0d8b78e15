"""Chains whose energy stops being finite: back to where it was well, and on with half the step."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bdip.chain import BLOCK_CAPACITY, ChainState, DivergedError, Run
from bdip.stopping import Converging, Fixed

COPIES = 2  # of the state: the newer may already be on its way out of bounds, the older is well


class DivergedWarning(UserWarning):
    """A chain diverged, and goes on with a smaller step."""


class Copy(NamedTuple):
    """The state at a step, on the device."""

    step: int
    state: ChainState


class Recovery:
    """Copies of each chain's state, BLOCK_CAPACITY steps apart, and the ways back to them.

    `most` is how often the step may be halved; `went_back` tells of each chain that went back, in JSON
    types. What is kept of a chain that goes back is forgotten: it was drawn with another step size.
    Without a block length of the user's, chains come by every multiple of BLOCK_CAPACITY, so that the clock
    does not change where they go back to.
    """

    def __init__(self, course: Fixed | Converging, most: int) -> None:
        self.course, self.most = course, most
        self.went_back: list[dict[str, Any]] = []
        self.copies: list[list[Copy]] = [[] for _ in course.runs]
        for run in course.runs:
            self.note(run)

    def note(self, run: Run) -> None:
        """Keep a copy of the run's state, where one is due and the chain can still go back."""
        if self.course.halvings == self.most:
            return
        copies = self.copies[self._place(run)]
        if run.done == run.steps:
            copies.clear()
        elif not copies or run.done - copies[-1].step >= BLOCK_CAPACITY:
            copies.append(Copy(run.done, copied(run.state)))
            del copies[:-COPIES]

    def go_back(self, error: DivergedError) -> None:
        """Let the chains that diverged go back and on with half the step, and say so.

        Raises the error, with how often that was tried, where it is tried often enough, or where no
        step would be left to keep.
        """
        broken = [run for run in self.course.runs if _broken(run)]
        tried = self.course.halvings
        if tried >= self.most or not all(self.copies[self._place(run)] for run in broken):
            halved = f" It was halved {tried} time{'s' * (tried > 1)} already." if tried else ""
            raise DivergedError(f"{error}{halved}") from error
        for run in broken:
            self._return(run)
        for run in self.course.moved_with(broken[0]):
            run.halve_step()
        if not self.course.start_again(broken[0]):
            raise DivergedError(f"{error} No step is left to keep after a smaller one.") from error
        for event in self.went_back[-len(broken) :]:
            warnings.warn(event["told"], DivergedWarning, stacklevel=2)

    def _return(self, run: Run) -> None:
        """Go back to the older copy, and note it."""
        copies = self.copies[self._place(run)]
        del copies[1:]
        back = copies[0]
        event = {"chain": run.chain, "diverged_at": _diverged_at(run), "back_to": back.step}
        self.went_back.append(event | {"told": told(event)})
        run.return_to(back.step, copied(back.state))

    def _place(self, run: Run) -> int:
        return next(place for place, each in enumerate(self.course.runs) if each is run)


def told(event: dict[str, Any]) -> str:
    """One way back, in a sentence.

    >>> told({"chain": 0, "diverged_at": 700, "back_to": 256})
    'chain 0 diverged at step 700: it went back to step 256, and on with half the step size.'
    """
    return (
        f"chain {event['chain']} diverged at step {event['diverged_at']}: it went back to step "
        f"{event['back_to']}, and on with half the step size."
    )


@jax.jit
def copied(state: ChainState) -> ChainState:
    """A copy on the same devices, for the next block gives away the arrays that it is passed; in one program."""
    found: ChainState = jax.tree.map(jnp.copy, state)
    return found


def _broken(run: Run) -> bool:
    return bool(run.traces) and not np.isfinite(run.traces[-1].energy).all()


def _diverged_at(run: Run) -> int:
    """The first step whose energy is not finite, in any chain of the run."""
    finite = np.isfinite(np.atleast_2d(run.trace.energy)).all(axis=0)
    return int(np.argmin(finite))
