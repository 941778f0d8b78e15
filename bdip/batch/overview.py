"""What a batch has done, at a glance: a table, `summary.csv`, and sheets of pictures."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.batch.jobs import DONE, Job, Row
from bdip.files import write_whole
from bdip.io import ImageError, load_image
from bdip.plot import plot_rows, std_picture

COLUMNS = (
    "name", "status", "noise_std", "chi2", "verdict", "steps", "seconds", "error", "source",
)  # fmt: skip
ROWS_A_SHEET = 12
SHOWN_PIXELS = 384  # of a picture's longer side
DPI = 110


def write_summary(folder: Path, rows: Sequence[Row]) -> Path:
    """Write `summary.csv`, a row an image, and return its path.

    Words that a spreadsheet would take for a formula are preceded by an apostrophe.
    """
    text = StringIO()
    table = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _cell(row.get(name)) for name in COLUMNS})
    path = folder / "summary.csv"
    write_whole(path, text.getvalue().encode())
    return path


def write_sheets(folder: Path, done: Sequence[tuple[Job, Row]]) -> list[Path]:
    """Write `contact-sheet.png`, input, mean and standard deviation a row, and return its path.

    Of more than a dozen images there are `contact-sheet-2.png` and so on.
    """
    shown = [(job, row) for job, row in done if row["status"] == DONE]
    paths = []
    for first in range(0, len(shown), ROWS_A_SHEET):
        pictures = []
        for job, row in shown[first : first + ROWS_A_SHEET]:
            with suppress(ImageError):  # somebody has taken it away since
                pictures.append(_pictures(job, row))
        if not pictures:
            continue
        number = first // ROWS_A_SHEET + 1
        path = folder / f"contact-sheet{'' if number == 1 else f'-{number}'}.png"
        content = BytesIO()
        plot_rows(pictures, high=1).savefig(content, format="png", dpi=DPI)
        write_whole(path, content.getvalue())
        paths.append(path)
    return paths


def _cell(value: Any) -> Any:
    """A number in six digits; what is not known, as nothing."""
    if isinstance(value, float):
        return f"{value:.6g}" if np.isfinite(value) else ""
    if isinstance(value, str) and value[:1] in tuple("=+-@\t"):
        return f"'{value}"
    return value


def _pictures(job: Job, row: Row) -> list[tuple[str, NDArray[Any]]]:
    low, high = row["data_range"]

    def shown(path: Path) -> NDArray[Any]:
        return (_small(load_image(path).astype(np.float32)) - low) / (high - low)

    found = [(_short(job.image.name), shown(job.image)), ("mean", shown(job.outputs.image))]
    if row["std"]:
        std = _small(load_image(job.outputs.std))
        axis = 2 if std.ndim == 3 else None
        top = float(np.nanpercentile(std, 99))
        found.append((f"std, 0 to {top:.3g}", std_picture(np.nan_to_num(std), axis) / 255))
    return found


def _small(image: NDArray[Any]) -> NDArray[Any]:
    """Every so many-th pixel, so that a sheet of large images stays one of small ones."""
    stride = -(-max(image.shape[:2]) // SHOWN_PIXELS)
    return image[::stride, ::stride]


def _short(name: str, most: int = 36) -> str:
    """The name, its middle left out where it is long; without what matplotlib takes for mathematics."""
    short = name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"
    return short.replace("$", r"\$").encode("utf-8", "replace").decode()
