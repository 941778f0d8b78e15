"""One image of a batch: a job with a record on disk, done once, whoever comes to it.

A record is a small JSON file, `DIR/.bdip/NAME.json`, that appears whole. It says "done" with a key: the
hash of the image's and mask's bytes and of all settings. A lock beside it is held while the job is done, by
whichever process of whichever machine does it; it is the system's, and so goes with the process. A checkpoint
lies there as long as the job is not done.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdip.answer import described
from bdip.chain import DivergedError, Progress
from bdip.errors import ProblemError
from bdip.files import write_whole
from bdip.io import ImageError
from bdip.lock import LockedError, locked
from bdip.progress import deferred_interrupt
from bdip.restoring import Outputs, load, of_jpeg, solve, write
from bdip.settings import SettingsError

Row = dict[str, Any]  # of the summary

RECORDS = ".bdip"  # folder within the output folder
DONE, FAILED, INTERRUPTED, ELSEWHERE = "done", "failed", "interrupted", "elsewhere"
# What another attempt would end in as well.
KEY_DIGITS = 16  # of the key, in the names of checkpoints
FINAL = (ImageError, ProblemError, SettingsError, DivergedError)
# Of the options of `sample`, those that the answer does not depend on.
NO_SETTINGS = ("progress", "callback", "devices", "memory_limit")


@dataclass(frozen=True)
class Job:
    """An image to restore: plain words and numbers, so that it can go to another machine.

    `name` is that of its outputs in `folder`; `suffix` their kind; `options` are those of `restoring.solve`.
    """

    name: str
    image: Path
    folder: Path
    suffix: str
    known: Path | None = None
    missing: Path | None = None
    keep_known: bool = False
    jpeg: bool = False
    save: bool = False
    overwrite: bool = False
    retries: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> Outputs:
        """The files that it makes."""
        # Not `with_suffix`: a name may have dots of its own.
        saved = self.folder / f"{self.name}.npz" if self.save else None
        image = self.folder / f"{self.name}{self.suffix}"
        std = self.folder / f"{self.name}-std.tif"
        return Outputs(image, std, saved, keep_known=self.keep_known)

    def record(self, kind: str = "json") -> Path:
        """Its file of this kind beside its record."""
        return self.folder / RECORDS / f"{self.name}.{kind}"

    def key(self) -> str:
        """Hash of all that its answer depends on. Raises OSError where a file cannot be read."""
        chosen = {k: described(v) for k, v in self.options.items() if k not in NO_SETTINGS}
        if self.keep_known:  # keys of before it was there are as they were
            chosen["keep_known"] = True
        if self.jpeg:
            chosen["jpeg"] = True
        found = hashlib.sha256(json.dumps(chosen, sort_keys=True, default=described).encode())
        for role in ("image", "known", "missing"):
            path = getattr(self, role)
            if path is not None:
                found.update(f"{role}:{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        return found.hexdigest()


def perform(
    job: Job, callback: Callable[[Progress], Any] | None = None, patience: float = 0
) -> Row:
    """Do the job unless it is done, and return its row of the summary, whatever happens to it.

    Where another process is at it for longer than `patience` seconds, the row says "elsewhere".
    """
    job.record().parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(job.record(), patience):
            return _done_before(job) or _recorded(job, _attempts(job, callback))
    except LockedError:
        return _row(job, ELSEWHERE)


def _done_before(job: Job) -> Row | None:
    """The row of a job that is done with the same input and settings, its outputs still there."""
    row = recorded(job)
    if row is None or row["status"] != DONE or not all(Path(p).exists() for p in _made(job, row)):
        return None
    try:
        same = row["key"] == job.key()
    except OSError:
        return None
    return row | {"skipped": True} if same else None


def _made(job: Job, row: Row) -> list[Path]:
    """The outputs that there should be: a descent has no standard deviation."""
    return [path for path in job.outputs.paths if path != job.outputs.std or row["std"]]


def recorded(job: Job) -> Row | None:
    """The row on disk, or None where there is none that can be read."""
    try:
        row = json.loads(job.record().read_text(encoding="utf-8"))
        return row if {"status", "key", "std"} <= set(row) else None
    except (OSError, ValueError, TypeError):
        return None


def _recorded(job: Job, row: Row) -> Row:
    """The row, once it is on disk; `made` in it says whether the outputs, if any, are a batch's."""
    row = row | {"made": row["status"] == DONE or row.get("made", False) or _is_ours(job)}
    write_whole(job.record(), json.dumps(row, indent=1).encode())
    return row


def _attempts(job: Job, callback: Callable[[Progress], Any] | None) -> Row:
    """The row of the job, done; tried again where something other than its input is wrong."""
    for left in range(job.retries, -1, -1):
        try:
            return _restored(job, callback)
        except Exception as error:  # one image's trouble, of whatever kind, is not the next one's
            if left == 0 or isinstance(error, FINAL):
                message = " ".join(str(error).split()) or type(error).__name__
                return _row(job, FAILED, error=message)
    raise AssertionError("unreachable: the last attempt returns")


def _restored(job: Job, callback: Callable[[Progress], Any] | None) -> Row:
    _refuse_what_is_not_ours(job)
    start = time.monotonic()
    loaded, mask = load(job.image, job.known, job.missing)
    data, options = loaded.pixels, job.options | {"progress": False, "callback": callback}
    if job.jpeg:
        data, options = of_jpeg(job.image, mask, **options)
    job.outputs.check(loaded, mask, options.get("operator"))
    key = job.key()
    with deferred_interrupt() as interrupt:
        posterior = solve(
            data, mask, checkpoint=job.record(f"{key[:KEY_DIGITS]}.checkpoint"), **options
        )
    if interrupt.pressed and not posterior.complete:
        return _row(job, INTERRUPTED)
    _recorded(job, _row(job, INTERRUPTED, made=True))  # were it killed now, what is there is ours
    written = write(posterior, job.outputs, loaded, job.image.name, options.get("operator"))
    _forget_checkpoints(job)
    sigma, found = posterior.noise_std[0], posterior.diagnostics
    return _row(
        job, DONE, key=key, std="std" in written,
        noise_std=sigma, chi2=found["chi2"], verdict="; ".join(posterior.verdict),
        steps=posterior.trace["chi2"].shape[1], complete=posterior.complete,
        data_range=posterior.settings["data_range"], seconds=time.monotonic() - start,
    )  # fmt: skip


def _refuse_what_is_not_ours(job: Job) -> None:
    """Raise ImageError where an output exists that no batch has made."""
    there = [path for path in job.outputs.paths if path.exists()]
    if there and not (_is_ours(job) or job.overwrite):
        raise ImageError(
            f"{there[0]} exists, and no batch made it: choose another folder, or add --overwrite."
        )


def _is_ours(job: Job) -> bool:
    return bool((recorded(job) or {}).get("made"))


def _forget_checkpoints(job: Job) -> None:
    """Remove what is of no use once the job is done: of all settings, one a tile, and each with the one before it."""
    ours = re.compile(rf"{re.escape(job.name)}\.[0-9a-f]{{{KEY_DIGITS}}}\.checkpoint.*")
    for path in job.record().parent.iterdir():
        if ours.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _row(job: Job, status: str, error: str = "", **figures: Any) -> Row:
    """A row of the summary, in JSON types."""
    unknown: Row = {
        "noise_std": None, "chi2": None, "verdict": "", "steps": None, "seconds": None,
        "key": "", "std": False,
    }  # fmt: skip
    own = {"name": job.name, "source": str(job.image), "status": status, "error": error}
    return own | unknown | figures
