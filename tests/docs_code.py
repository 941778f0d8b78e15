"""Run the Python of the documentation's pages in small, and read its commands: `python -m tests.docs_code [PAGE ...]`.

The pages' files (`noisy.png`, `mask.png`, …) are there, of 32 × 32 pixels. What a page does not set is set to something
that ends in seconds: a tiny generator, forty steps, no progress bar. Everything else is what a reader would run. Of commands
the words are parsed, as `bdip` does it; those behind `<!-- not run: … -->` are not.
"""

import functools
import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import bdip
from bdip.cli.parser import parser
from tests.readme_code import run

DOCS = Path(__file__).resolve().parents[1] / "docs"
SHELL = re.compile(r"(?P<skip><!-- not run: [^>]+? -->\n+)?^```sh\n(?P<code>.*?)^```", re.M | re.S)
SMALL: dict[str, Any] = {
    "generator": bdip.Hourglass(scales=1, channels_down=4, channels_up=4), "steps": 40, "progress": False,
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
    pages = [Image.fromarray(np.rint(20 * noisy).clip(0).astype(np.uint16))] * 13
    pages[0].save("stack.tif", save_all=True, append_images=pages[1:])
    bdip.io.save_image("photo.png", np.stack([noisy, noisy[::-1], noisy.T], axis=-1), np.uint8)
    bdip.io.save_image("photo.jpg", noisy, np.uint8)
    bdip.io.save_image("scratches.png", 255 * (rng.random(clean.shape) < 0.1), np.uint8)
    np.save("clean.npy", clean)
    write_data_of_operators(clean / 255)


def write_data_of_operators(image: NDArray[np.float64]) -> None:
    """A point of light, a sinogram of 20 angles, and the frequencies, of an image in [0, 1], without noise."""
    star = np.asarray(bdip.Blur.gaussian(1.6).psf)
    bdip.io.save_image("star.png", 255 * star / star.max(), np.uint8)
    sinogram = bdip.Radon(np.linspace(0, 180, 20, endpoint=False))(image[..., None])
    np.save("sinogram.npy", sinogram[..., 0])
    np.save("kspace.npy", np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho")))


def read_commands(path: Path) -> int:
    """How many lines `bdip …` of the page's shell blocks were read; SystemExit where one is wrong."""
    count = 0
    for block in SHELL.finditer(path.read_text(encoding="utf-8")):
        for line in block["code"].replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if block["skip"] is None and words[:1] == ["bdip"]:
                parser().parse_args(words[1:])
                count += 1
    return count


def main() -> None:
    """The pages named, or each but the decisions, in an order that is always the same."""
    os.environ.setdefault("MPLBACKEND", "agg")
    bdip.sample, bdip.estimate = in_small(bdip.sample), in_small(bdip.estimate)
    bdip.sample_tiled = in_small(bdip.sample_tiled)
    named = [Path(name).resolve() for name in sys.argv[1:]]
    pages = [page for page in sorted(DOCS.rglob("*.md")) if "decisions" not in page.parts]
    for page in named or pages:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write_files()
            told, commands = run(page), read_commands(page)
            os.chdir(DOCS)
        print(f"{told[:-1]}, {commands} commands read ({time.perf_counter() - started:.0f} s).", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
