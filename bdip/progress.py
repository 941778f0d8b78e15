"""What a waiting user sees and can do: a progress bar, and Ctrl-C that loses nothing."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tqdm import TqdmWarning

with warnings.catch_warnings():  # without ipywidgets a notebook has the text bar, which will do
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

TERMINATED = 128 + signal.SIGTERM  # exit code, as shells have it
BAR = "{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} steps, {elapsed}<{remaining}{postfix}"

IMAGES_BAR = (
    "{desc}: {percentage:3.0f}% |{bar}| {n:.1f}/{total_fmt} images, {elapsed}<{remaining}{postfix}"
)


class ProgressBar:
    """Steps done over all chains, speed, χ² and time left, on standard error."""

    def __init__(self, total: int, shown: bool, notes: tuple[str, ...] = ()) -> None:
        if shown:
            for note in notes:
                print(note, file=sys.stderr)
        self._bar = tqdm(total=total, disable=not shown, desc="compiling", bar_format=BAR)

    def update(self, done: int, phase: str, chi2: float, speed: float) -> None:
        """Show `done` steps in all, what the chain is doing, its χ² and its steps a second."""
        self._bar.set_description_str(phase, refresh=False)
        self._bar.set_postfix_str(f"{speed:.3g} steps/s, χ² {chi2:.3f}", refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def expect(self, total: int) -> None:
        """Let `total` be the steps in all from now on."""
        self._bar.total = total

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class ImagesBar:
    """Images done of a batch, the one under way as a part of one, on standard error."""

    def __init__(self, total: int, shown: bool) -> None:
        self._bar = tqdm(total=total, disable=not shown, desc="starting", bar_format=IMAGES_BAR)

    def update(self, done: float, phase: str, note: str = "") -> None:
        """Show `done` images, what is being done, and a note at the end."""
        self._bar.set_description_str(phase, refresh=False)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.n = round(done, 2)
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class Interrupt:
    """Which signal asked to stop, "SIGINT" (Ctrl-C) or "SIGTERM", or None; as their handler, what notes it.

    The first is noted, and the second takes effect at once. Within another one it tells that one, too: who runs
    many chains one after another then knows that it was the user who ended the last.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.around: Any = None  # the handler that this one stands in for

    @property
    def pressed(self) -> bool:
        """Whether there was one."""
        return self.name is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(TERMINATED)
        self.note(signal.Signals(number).name)

    def note(self, name: str) -> None:
        """Remember it, here and in those around."""
        self.name = name
        if isinstance(self.around, Interrupt):
            self.around.note(name)


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Note the first Ctrl-C or SIGTERM instead of obeying, so that a block of steps is never cut in two.

    The second one takes effect at once. A SIGTERM that the program around handles in its own way is
    left to it, and outside the main thread nothing changes.
    """
    noted = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    noted.around = signal.getsignal(signal.SIGINT)
    before = {signal.SIGINT: noted.around}
    terminate = signal.getsignal(signal.SIGTERM)
    if terminate is signal.SIG_DFL or isinstance(terminate, Interrupt):
        before[signal.SIGTERM] = terminate
    for number in before:
        signal.signal(number, noted)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
