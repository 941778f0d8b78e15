"""One run at a time on one output: a lock that ends with its process, however that ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where no such lock ends with its process: there is none
    fcntl = None  # type: ignore[assignment]


TICK = 0.1  # seconds between two looks at a lock that another holds


class LockedError(OSError):
    """Another run writes there."""


class UnwritableError(OSError):
    """The folder cannot be written."""


@contextmanager
def locked(path: Path, patience: float = 0) -> Iterator[None]:
    """No other process gets this lock meanwhile; it is a hidden file beside `path`, removed at the end.

    The system lets go of the lock of a process that has died, so that its file stands in nobody's way.
    Raises LockedError where another run holds it for longer than `patience` seconds, and UnwritableError where the folder cannot be written.
    """
    name = path.with_name(f".{path.name}.lock")
    opened = _waited_for(name, path, patience)
    try:
        with suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(opened, 0)
            os.write(opened, f"{os.getpid()}\n".encode())
        yield
    finally:
        with suppress(OSError):
            name.unlink(missing_ok=True)
        os.close(opened)


def _waited_for(name: Path, path: Path, patience: float) -> int:
    deadline = time.monotonic() + patience
    while True:
        try:
            return _opened(name, path)
        except LockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(TICK)


def _opened(name: Path, path: Path) -> int:
    """The lock's file, opened and locked."""
    while True:
        try:
            opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            reason = error.strerror or error
            raise UnwritableError(
                f"{path.parent} cannot be written ({reason}): choose another folder."
            ) from error
        try:
            if fcntl is not None:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(opened, name):
                return opened
        except BlockingIOError:
            owner = os.read(opened, 20).decode(errors="replace").strip()
            os.close(opened)
            raise LockedError(
                f"{path} is being written by another run (process {owner or 'not known'}): wait for it, "
                "or choose another name."
            ) from None
        except OSError:  # a file system without locks
            return opened
        os.close(opened)  # its last owner removed the file in between


def _is_still(opened: int, name: Path) -> bool:
    """Whether `name` is still the file that was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(opened), os.stat(name))
    return False
