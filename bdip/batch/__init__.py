"""Many images, one after another in this process or side by side on a Ray cluster.

Every image is a job with a record on disk (`bdip.batch.jobs`): what is done is not done again, what failed or was
interrupted is, and two batches on one folder share the work.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from bdip.batch.jobs import DONE, ELSEWHERE, FAILED, INTERRUPTED, Job, Row, perform
from bdip.batch.overview import write_sheets, write_summary
from bdip.batch.plan import Images, plan
from bdip.chain import Progress
from bdip.progress import ImagesBar, Interrupt, deferred_interrupt
from bdip.settings import require

RETRIES = 1  # of what failed for another reason than its input
PATIENCE = 1.0  # seconds between two looks at what another batch is doing

Callback = Callable[[Progress], Any]


class Summary(NamedTuple):
    """The rows, one an image, as in `summary.csv`; whether Ctrl-C ended it; the files written."""

    rows: list[Row]
    interrupted: bool
    files: list[Path]

    def count(self, status: str) -> int:
        """How many are "done" or "failed"."""
        return sum(row["status"] == status for row in self.rows)

    @property
    def skipped(self) -> int:
        """How many had been done before."""
        return sum(bool(row.get("skipped")) for row in self.rows)

    def __str__(self) -> str:
        before = f" ({self.skipped} of them before)" if self.skipped else ""
        lines = [f"{self.count(DONE)} of {len(self.rows)} images done{before}"]
        lines += [f"failed    {row['name']}: {row['error']}" for row in self.rows if row["status"] == FAILED]  # fmt: skip
        if self.interrupted:
            lines.append("INTERRUPTED: the same command goes on from here")
        return "\n".join(lines)


def run(
    images: Images,
    folder: str | Path,
    *,
    known: str | None = None,
    missing: str | None = None,
    keep_known: bool = False,
    jpeg: bool = False,
    save: bool = False,
    overwrite: bool = False,
    retries: int = RETRIES,
    ray: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    progress: bool = True,
    **options: Any,
) -> Summary:
    """Restore many image files into a folder, each as `bdip restore` would; what became of each.

    Writes, for each image, its restored one and `NAME-std.tif`, then `summary.csv` and `contact-sheet.png`. What
    is done already, with the same input and settings, is left as it is. An image that fails stops no other.

    Args:
        images: folders, files and patterns such as "photos/*.png"; or a mapping of names for the outputs to
            files (see `bdip.batch.plan`).
        folder: where the outputs go; it is made.
        known, missing: patterns of mask files, such as "{stem}-mask.png" beside each image.
        keep_known: write the known pixels as they are, and fill in what is missing (`Posterior.filled`).
        jpeg: the images are JPEG files: undo their compression (see `bdip.load_jpeg`).
        save: also write each posterior, as `NAME.npz`.
        overwrite: replace files of the same names that no batch has made.
        retries: how often an image is tried again where something other than its input is wrong.
        ray: the address of a Ray cluster, or "local"; needs the extra `bdip[ray]`. The folders must be the
            same on all its machines.
        cpus, gpus: what one image takes of the cluster.
        progress: show one progress bar over all images.
        options: what `bdip.sample` takes, and `tile`, `overlap` of `bdip.sample_tiled`.

    Returns:
        A `Summary`. Ctrl-C ends it after the block of steps under way; the same call goes on.

    Raises:
        ImageError: there is no image, or an output's name is not one.
        SettingsError: a number is out of range.

    Example:
        >>> import tempfile, numpy as np, bdip
        >>> from bdip import batch
        >>> folder = tempfile.mkdtemp()
        >>> np.save(f"{folder}/one.npy", np.random.default_rng(0).random((16, 16)))
        >>> tiny = bdip.Hourglass(scales=1, channels_down=4, channels_up=4)
        >>> summary = batch.run([folder], f"{folder}/out", generator=tiny, steps=8, progress=False)
        >>> print(summary)
        1 of 1 images done
    """
    require(retries >= 0, "retries", retries, "0 or more")
    require(cpus > 0, "cpus", cpus, "above 0")
    require(gpus >= 0, "gpus", gpus, "0 or more")
    jobs = plan(
        images, folder, known, missing,
        keep_known=keep_known, jpeg=jpeg, save=save, overwrite=overwrite, retries=retries, options=options,
    )  # fmt: skip
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Row] = {}
    with closing(ImagesBar(len(jobs), progress)) as bar, deferred_interrupt() as interrupt:
        for row in _rows(jobs, bar, interrupt, rows, ray, cpus, gpus):
            rows[row["name"]] = row
            failed = sum(each["status"] == FAILED for each in rows.values())
            ended = sum(each["status"] != INTERRUPTED for each in rows.values())
            bar.update(ended, row["name"], f"{failed} failed" if failed else "")
    all_rows = [rows.get(job.name, _not_begun(job)) for job in jobs]
    interrupted = any(row["status"] in (INTERRUPTED, ELSEWHERE) for row in all_rows)
    done = [(job, rows[job.name]) for job in jobs if job.name in rows]
    files = [write_summary(folder, all_rows), *write_sheets(folder, done)]
    return Summary(all_rows, interrupted, files)


def _rows(
    jobs: list[Job], bar: ImagesBar, interrupt: Interrupt, rows: dict[str, Row],
    address: str | None, cpus: float, gpus: float,
) -> Iterator[Row]:  # fmt: skip
    """The rows as the jobs end, here or on the cluster."""
    if address is None:
        yield from _here(jobs, bar, interrupt, rows)
        return
    from bdip.batch.ray_jobs import rows_of

    yield from rows_of(jobs, address, cpus, gpus, lambda: interrupt.pressed)


def _here(
    jobs: list[Job], bar: ImagesBar, interrupt: Interrupt, rows: dict[str, Row]
) -> Iterator[Row]:
    """One job after another in this process; those that another batch is at come last."""
    waiting = deque(jobs)
    held: set[str] = set()
    while waiting and not interrupt.pressed:
        job = waiting.popleft()
        patience = PATIENCE if job.name in held else 0
        row = perform(job, _watch(job, bar, interrupt, rows), patience)
        if row["status"] == ELSEWHERE:
            bar.update(len(rows), f"{job.name}: another batch is at it")
            held.add(job.name)
            waiting.append(job)
        else:
            yield row


def _watch(job: Job, bar: ImagesBar, interrupt: Interrupt, rows: dict[str, Row]) -> Callback:
    """What shows the steps of a job, and ends it where Ctrl-C was pressed before it looked out for that."""
    steps: dict[int, float] = {}

    def watch(progress: Progress) -> None:
        tile, tiles = getattr(progress, "tile", 0), getattr(progress, "tiles", 1)
        steps[progress.chain] = progress.step / progress.steps
        part = (tile + sum(steps.values()) / len(steps)) / tiles
        words = f"{progress.steps_per_second:.3g} steps/s, χ² {progress.chi2:.3f}"
        bar.update(len(rows) + part, job.name, words)
        if interrupt.pressed:
            raise KeyboardInterrupt

    return watch


def _not_begun(job: Job) -> Row:
    return {"name": job.name, "source": str(job.image), "status": INTERRUPTED, "error": ""}
