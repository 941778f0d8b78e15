"""A run's state on the disk: whole, checked, in two copies, without pickle.

A file is one line of JSON, NumPy's own `.npy` format once for each array, and the SHA-256 of all
that. It is written beside its place and moved there, the last one stays as `NAME.previous`.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdip.files import PARTIAL, partial_of, sync_folder, synced
from bdip.lock import locked

MAGIC = "bdip checkpoint"
FORMAT = 2  # since samplers move one vector
DIGEST_BYTES = hashlib.sha256().digest_size
EVERY = 60.0  # seconds


class CheckpointError(ValueError):
    """A checkpoint is damaged, or is of another run."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or not be read, and the run goes on without it."""


class Content(NamedTuple):
    """What a checkpoint holds: a header in JSON types, and arrays."""

    header: dict[str, Any]
    arrays: list[NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """Where a run keeps its state, for `bdip.sample(..., checkpoint=...)`; a path alone will do, too.

    path: the file; the one before it is kept as `NAME.previous`.
    every: seconds from one to the next, at least. Where writing takes long they are fewer.
    note: what else to keep with it, in JSON types.

    Raises CheckpointError where `every` is negative, or a folder has that name or is not there.

    Example:
        >>> import bdip
        >>> bdip.Checkpoint("run.ckpt", every=300).previous.name
        'run.ckpt.previous'
    """

    path: Path
    every: float = EVERY
    note: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not self.every >= 0:
            raise CheckpointError(f"every is {self.every}: expected seconds, 0 or more.")

    @property
    def previous(self) -> Path:
        """Where the one before the newest is."""
        return self.path.with_name(f"{self.path.name}.previous")

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Nobody else writes it meanwhile; what a killed process left half written is removed.

        Raises CheckpointError where there is no folder, UnwritableError where it cannot be written,
        and LockedError where another run writes it.
        """
        if self.path.is_dir():
            raise CheckpointError(f"{self.path} is a folder: give the name of a file.")
        if not self.path.parent.is_dir():
            raise CheckpointError(
                f"{self.path}: there is no folder {self.path.parent}: make it first."
            )
        with locked(self.path):
            for left in self.path.parent.glob(f".{self.path.name}.*{PARTIAL}"):
                left.unlink(missing_ok=True)
            yield

    def write(self, header: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Write the newest; the one so far becomes the previous. OSError leaves both as they are."""
        partial = partial_of(self.path)
        first = {"magic": MAGIC, "format": FORMAT, "arrays": len(arrays), "note": self.note}
        try:
            with synced(partial) as file:
                _write(file, first | header, arrays)
            if self.path.exists():
                self.path.replace(self.previous)
            partial.replace(self.path)
            sync_folder(self.path.parent)
        finally:
            partial.unlink(missing_ok=True)

    def read(self) -> Content | None:
        """The newest that is whole; None where there is none at all.

        Warns where the newest is damaged and the one before it is whole. The damaged one is set aside, as
        `NAME.damaged`, so as not to take that one's place. Raises CheckpointError where none is whole.
        """
        complaints = []
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            try:
                content = load(path)
            except CheckpointError as error:
                complaints.append(str(error))
                continue
            if complaints:
                self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
                told = f"{complaints[0]} The one before it, {path.name}, is whole and is used."
                warnings.warn(told, CheckpointWarning, stacklevel=2)
            return content
        if complaints:
            raise CheckpointError(
                f"{' '.join(complaints)} Nothing is left to resume: remove it to start anew."
            )
        return None


def load(path: Path) -> Content:
    """What the file holds. Raises CheckpointError where it is damaged, or is something else."""
    content = path.read_bytes()
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"{path} is damaged, or no checkpoint of bdip.")
    stream = BytesIO(body)
    header = json.loads(stream.readline())
    if header.get("magic") != MAGIC or header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {header.get('format')}, this bdip reads {FORMAT}: use the version of "
            "bdip that wrote it."
        )
    arrays = [np.load(stream, allow_pickle=False) for _ in range(header["arrays"])]
    return Content(header, arrays)


class _Hashing:
    """A file to write to that keeps the hash of what went through."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.hash = file, hashlib.sha256()

    def write(self, content: Any) -> int:
        self.hash.update(content)
        return self.file.write(content)


def _write(file: BinaryIO, header: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
    through = _Hashing(file)
    through.write(json.dumps(header).encode() + b"\n")
    for array in arrays:
        np.lib.format.write_array(through, np.asarray(array), allow_pickle=False)
    file.write(through.hash.digest())


def as_checkpoint(given: str | os.PathLike[str] | Checkpoint) -> Checkpoint:
    """A path as a checkpoint; a checkpoint as it is."""
    return given if isinstance(given, Checkpoint) else Checkpoint(Path(given))
