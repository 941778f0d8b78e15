"""What a waiting user sees and can do: a progress bar, and Ctrl-C that loses nothing."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tqdm import TqdmWarning

with warnings.catch_warnings():  # without ipywidgets a notebook has the text bar, which will do
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

TERMINATED = 128 + signal.SIGTERM  # exit code, as shells have it
BAR = "{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} steps, {elapsed}<{remaining}{postfix}"


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

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class Interrupt:
    """Which signal asked to stop, "SIGINT" (Ctrl-C) or "SIGTERM"; None while none did."""

    name: str | None = None


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

    def note(number: int, frame: FrameType | None) -> None:
        if noted.name is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(TERMINATED)
        noted.name = signal.Signals(number).name

    before = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        before[signal.SIGTERM] = signal.SIG_DFL
    for number in before:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
