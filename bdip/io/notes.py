"""What libraries warn of and log while they read, to be told to the user with the image."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("PIL", "tifffile", "pydicom", "nibabel")


class _Listener(logging.Handler):
    """A handler that keeps the words of each record."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(" ".join(record.getMessage().split()))


@contextmanager
def overhear() -> Iterator[list[str]]:
    """A list that fills, until the end of the block, with warnings: one line each, printed nowhere."""
    said: list[str] = []
    listener = _Listener(said)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.propagate for logger in loggers]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            for logger in loggers:
                logger.addHandler(listener)
                logger.propagate = False
            yield said
        finally:
            for logger, propagated in zip(loggers, before, strict=True):
                logger.removeHandler(listener)
                logger.propagate = propagated
            said += [" ".join(str(warning.message).split()) for warning in heard]
