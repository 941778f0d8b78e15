"""Run the Python of the documentation's pages in small, and read its commands: `python -m tests.docs_code`.

The pages' files (`noisy.png`, `mask.png`, …) are there, of 32 × 32 pixels. What a page does not set is set to something
that ends in seconds: a tiny generator, twenty steps, no progress bar. Everything else is what a reader would run. Of commands
the words are parsed, as `bdip` does it; those behind `<!-- not run: … -->` are not.
"""

import functools
import os
import re
import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import bdip
from bdip import cli
from tests.readme_code import run

DOCS = Path(__file__).resolve().parents[1] / "docs"
SHELL = re.compile(r"(?P<skip><!-- not run: [^>]+? -->\n+)?^```sh\n(?P<code>.*?)^```", re.M | re.S)
SMALL: dict[str, Any] = {
    "generator": bdip.Hourglass(scales=2, channels_down=8, channels_up=8), "steps": 20, "progress": False,
}  # fmt: skip
SIZE = 32


def in_small(function: Any) -> Any:
    """The function, with whatever takes long made short where the caller left it open."""

    @functools.wraps(function)
    def short(*args: Any, **options: Any) -> Any:
        return function(*args, **{**SMALL, **options})

    return short


def write_files() -> None:
    """The files that the pages read, in the working folder."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    clean = 60 + 120 * (np.hypot(rows - 0.5, columns - 0.5) < 0.3) + 40 * rows
    noisy = clean + rng.normal(0, 20, clean.shape)
    bdip.io.save_image("clean.png", clean, np.uint8)
    bdip.io.save_image("noisy.png", noisy, np.uint8)
    bdip.io.save_image("noisy.tif", noisy, np.float32)
    bdip.io.save_image("cells.tif", 20 * noisy, np.uint16)
    bdip.io.save_image("photo.png", np.stack([noisy, noisy[::-1], noisy.T], axis=-1), np.uint8)
    bdip.io.save_image("scratches.png", 255 * (rng.random(clean.shape) < 0.1), np.uint8)
    np.save("clean.npy", clean)


def read_commands(path: Path) -> int:
    """How many lines `bdip …` of the page's shell blocks were read; SystemExit where one is wrong."""
    count = 0
    for block in SHELL.finditer(path.read_text(encoding="utf-8")):
        for line in block["code"].replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if block["skip"] is None and words[:1] == ["bdip"]:
                cli._parser().parse_args(words[1:])
                count += 1
    return count


def main() -> None:
    """Each page but the decisions, in an order that is always the same."""
    os.environ.setdefault("MPLBACKEND", "agg")
    bdip.sample, bdip.estimate = in_small(bdip.sample), in_small(bdip.estimate)
    for page in sorted(DOCS.rglob("*.md")):
        if page.is_relative_to(DOCS / "decisions"):
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write_files()
            told, commands = run(page), read_commands(page)
            os.chdir(DOCS)
        print(f"{told[:-1]}, {commands} commands read ({time.perf_counter() - started:.0f} s).", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
