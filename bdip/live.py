"""Watching a run: in a notebook, or in a picture file that is renewed while it lasts.

Both are callbacks of `bdip.sample`. They look between blocks of steps, and now and then only, so that
the run hardly notices.
"""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.chain import Progress
from bdip.errors import MissingExtraError
from bdip.files import write_whole

LIVE_SECONDS = 1.0  # from one picture in a notebook to the next
PREVIEW_SECONDS = 5.0  # and in a file
NEEDS_IPYTHON = "bdip.Live needs IPython, which is not installed: pip install 'bdip[notebook]'."


class Every:
    """A clock that says when it is time again: at once, and then every so many seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.last = -np.inf

    def due(self) -> bool:
        """Whether so many seconds have passed since the last time this was so."""
        now = self.clock()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


class Live:
    """A callback that shows a running chain in a notebook: its mean so far, and χ² of every chain.

    `seconds` is the time from one picture to the next. During the warm-up the picture is the last draw.
    Of several chains the image is the first one's.

    Raises MissingExtraError where IPython is not installed.

    Example:
        >>> live = Live(seconds=2)
        >>> posterior = bdip.sample(image, callback=live)  # doctest: +SKIP
    """

    def __init__(self, seconds: float = LIVE_SECONDS) -> None:
        self.every = Every(seconds)
        self.chi2: dict[int, list[tuple[int, float]]] = {}
        self.display = _display()
        self.handle: Any = None

    def __call__(self, progress: Progress) -> None:
        """Note χ², and renew the picture if it is time."""
        self.chi2.setdefault(progress.chain, []).append((progress.step, progress.chi2))
        first = progress.chain == min(self.chi2)
        if first and (self.every.due() or progress.step == progress.steps):
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        from bdip.plot import plot_progress

        what = "last draw, warming up" if progress.warming_up else "mean so far"
        caption = f"{what}: step {progress.step:,} of {progress.steps:,}"
        figure = plot_progress(shown(progress), caption, self.chi2)
        if self.handle is None:
            self.handle = self.display(figure, display_id=True)
        else:
            self.handle.update(figure)


class Preview:
    """A callback that keeps a PNG file of the mean so far, or in the warm-up of the last draw.

    Of 8 bits, from the low to the high end of the data range, whatever the image is; renewed every
    `seconds`, and whole at any time. Of several chains it is the first one's.
    """

    def __init__(self, path: str | os.PathLike[str], seconds: float = PREVIEW_SECONDS) -> None:
        self.path = Path(path)
        self.every = Every(seconds)

    def __call__(self, progress: Progress) -> None:
        """Write the picture if it is time."""
        from bdip.io import encode_png  # here, for `import bdip` does without imageio

        if progress.chain == 0 and (self.every.due() or progress.step == progress.steps):
            pixels = np.rint(255 * shown(progress)).astype(np.uint8)
            write_whole(self.path, encode_png(pixels))


def shown(progress: Progress) -> NDArray[np.float32]:
    """The picture (H, W) or (H, W, 3) from 0 to 1: the mean so far, or in the warm-up the last draw."""
    image = np.array(progress.image if progress.warming_up else progress.mean)
    pixels = np.clip(image, 0, 1)
    return pixels if pixels.shape[-1] == 3 else pixels.mean(axis=-1)


def _display() -> Any:
    """IPython's function that shows things."""
    try:
        from IPython.display import display
    except ImportError as error:
        raise MissingExtraError(NEEDS_IPYTHON) from error
    return display
