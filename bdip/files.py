"""Files that appear whole or not at all, and what they hold told by a hash."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".part"  # ending of a file that is being written


def write_whole(path: Path, content: bytes) -> None:
    """Write under another name in the same folder, then rename: no reader sees half a file."""
    partial = partial_of(path)
    try:
        write_synced(partial, content)
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """A name in the same folder that no other writer has."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")


@contextmanager
def synced(path: Path) -> Iterator[BinaryIO]:
    """A new file to write to, which is on the disk itself when the context ends."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file, and wait until it is on the disk itself."""
    with synced(path) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk itself, where the system can do that."""
    with suppress(OSError):  # Windows opens no folders, and some file systems cannot sync them
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the file's content, in hexadecimal digits.

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/empty"
    >>> open(path, "wb").close()
    >>> sha256(path)[:8]  # that of no bytes at all (FIPS 180-4)
    'e3b0c442'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
