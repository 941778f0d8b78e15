"""The host's loop over all chains of a run: progress, checkpoints, and every way out of it."""

from collections.abc import Callable
from time import monotonic
from typing import Any

from bdip.chain import DivergedError, Progress, Run
from bdip.keeping import Keeper
from bdip.progress import Interrupt, ProgressBar, deferred_interrupt
from bdip.recovery import Recovery
from bdip.settings import Resolved
from bdip.stopping import Converging, Fixed

CONTROL_C, OUT_OF_TIME = "SIGINT", "time limit"

Callback = Callable[[Progress], Any]


def course_of(runs: list[Run], settings: Resolved, threads: int = 1) -> Fixed | Converging:
    """How the chains are driven: a fixed length, or until their mean is known well enough, so many at once."""
    if settings.target_mcse is None or settings.target_rhat is None:
        return Fixed(runs)
    return Converging(runs, settings.target_mcse, settings.target_rhat, settings.warmup, threads)


class Drive:
    """One run under way.

    `keeper` writes its checkpoints, `recovery` lets chains that diverge go back; `keeper` may be None.
    """

    def __init__(
        self,
        course: Fixed | Converging,
        recovery: Recovery,
        keeper: Keeper | None,
        bar: ProgressBar,
    ) -> None:
        self.course, self.recovery, self.keeper, self.bar = course, recovery, keeper, bar

    def run(
        self, block: int | None, callback: Callback | None, time_limit: float | None
    ) -> str | None:
        """Advance the chains. What cut them short, "SIGINT", "SIGTERM" or "time limit", or None.

        Whatever the way out, a last checkpoint is written, unless it is in the middle of a block.
        """
        deadline = monotonic() + (time_limit or float("inf"))
        try:
            with deferred_interrupt() as interrupt:
                cut = self._blocks(block, callback, deadline, interrupt)
                self._write()
        except KeyboardInterrupt:
            if not any(run.done for run in self.course.runs):
                raise
            cut = CONTROL_C
        return None if self.course.finished else cut

    def _blocks(
        self, block: int | None, callback: Callback | None, deadline: float, interrupt: Interrupt
    ) -> str | None:
        while True:
            try:
                for run, progress in self.course.blocks(block):
                    self.recovery.note(run)
                    self._show(run, progress)
                    cut = self._call(callback, progress) or interrupt.name
                    late = cut or monotonic() > deadline
                    if late and not self.course.finished:  # at its end only a last decision is left
                        return cut or OUT_OF_TIME
                    if self.keeper is not None:
                        self.keeper.offer(self.course, self.recovery)
                return None
            except DivergedError as error:
                self.recovery.go_back(error)

    def _show(self, run: Run, progress: Progress) -> None:
        done = sum(each.width * each.done for each in self.course.runs)
        phase = "warm-up" if progress.warming_up else "sampling"
        speed = self.course.threads * run.width * progress.steps_per_second
        self.bar.update(done, phase, progress.chi2, speed)

    def _call(self, callback: Callback | None, progress: Progress) -> str | None:
        """The user's own look; an error of theirs is raised when what there is has been kept."""
        try:
            if callback is not None:
                callback(progress)
        except KeyboardInterrupt:
            return CONTROL_C
        except Exception:
            self._write()
            raise
        return None

    def _write(self) -> None:
        if self.keeper is not None:
            self.keeper.write(self.course, self.recovery)
