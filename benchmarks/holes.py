"""Holes that nobody knows the truth of: looked at, with each generator, and measured at their edges.

    python -m benchmarks.holes --sheet build/holes.png                 # about 64 pixels high: minutes
    python -m benchmarks.holes --height 448 --channels 128 --scales 5  # the papers' sizes, for a GPU

The pictures are those of the Deep Image Prior's inpainting: `library` (a large hole), `vase` (a ring), `kate` (text), averaged to
about so many rows; a pixel is missing where any of its block is. "Seam" is the mean difference of neighbours across the hole's edge
over that of neighbours on its seen side, up to three pixels away: well above 1, an eye sees the edge. Rows are kept in `results/NAME.json`.
"""

import argparse
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation  # type: ignore[import-untyped]

import bdip
from bdip.networks.network import Activation
from bdip.plot import plot_rows
from benchmarks import images, record
from benchmarks.generators import sized

PICTURES = ("library", "vase", "kate")
# Channels of the skip connections, and the last nonlinearity of a pyramid that has another one.
GENERATORS: dict[str, tuple[int | None, Activation | None]] = {
    "pyramid": (None, None),
    "pyramid, softsign at the last": (None, "softsign"),
    "pyramid, tanh at the last": (None, "tanh"),
    "hourglass": (4, None),
    "no skips": (0, None),
}
NEAR = 3  # pixels from the hole
HEADER = (
    "| picture | pixels | missing | generator | χ² | seam of the mean | seam of a draw | std in the hole | std outside | MCSE/std | s |\n|"
    + "---|" * 11
)
KEY = ("picture", "height", "width", "generator", "channels", "scales", "steps", "seed")

Image = NDArray[Any]


def holed(name: str, height: int) -> tuple[Image, NDArray[np.bool_]]:
    """The picture (H, W, 3) with zeros where it is missing, and its mask (H, W), True where it is observed."""
    picture, mask = images.load(f"inpainting/{name}"), images.load(f"inpainting/{name}_mask")
    factor = max(1, picture.shape[0] // height)
    small = images.average(picture, factor)
    known = images.average(mask if mask.ndim == 2 else mask[..., 0], factor) == 1
    return np.where(known[..., None], small, 0).astype(np.float32), known


def seam(image: Image, known: NDArray[np.bool_]) -> float:
    """Mean difference of neighbours across the hole's edge over that of neighbours which are both seen and near it."""
    near = known & binary_dilation(~known, iterations=NEAR)
    across, beside = [], []
    for axis in (0, 1):
        step = np.abs(np.diff(image, axis=axis)).mean(axis=-1)
        first, second = (np.delete(known, place, axis) for place in (-1, 0))
        here, there = (np.delete(near, place, axis) for place in (-1, 0))
        across.append(step[first != second])
        beside.append(step[here & there])
    return float(np.concatenate(across).mean() / np.concatenate(beside).mean())


def measure(
    name: str,
    data: Image,
    known: NDArray[np.bool_],
    kind: str,
    scales: int,
    channels: int | None,
    **options: Any,
) -> tuple[dict[str, Any], bdip.Posterior]:
    """One run, as a row of figures."""
    started = perf_counter()
    generator = sized(scales, channels, *GENERATORS[kind])
    posterior = bdip.sample(
        data,
        known,
        data_range=(0, 1),
        generator=generator,
        progress=False,
        **options,
    )
    row = {
        "picture": name, "height": data.shape[0], "width": data.shape[1], "missing": float(1 - known.mean()),
        "generator": kind, "channels": channels, "scales": scales,
        **options, "commit": record.surroundings()["commit"], "seconds": perf_counter() - started,
        "seam": seam(posterior.mean, known),
        "seam_draw": float(np.mean([seam(draw, known) for draw in posterior.draws[0]])),
        "std_missing": float(posterior.std[~known].mean()), "std_known": float(posterior.std[known].mean()),
        **posterior.diagnostics,
    }  # fmt: skip
    return row, posterior


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table; standard deviations in grey levels of 255."""
    cells = [row["picture"], f"{row['height']} × {row['width']}", f"{100 * row['missing']:.0f} %", row["generator"]]  # fmt: skip
    cells += [f"{row['chi2']:.3f}", f"{row['seam']:.2f}", f"{row['seam_draw']:.2f}"]
    cells += [f"{255 * row[name]:.1f}" for name in ("std_missing", "std_known")]
    return "| " + " | ".join([*cells, f"{row['mcse_ratio']:.2f}", f"{row['seconds']:.0f}"]) + " |"


def main() -> None:
    """Run what is asked for, write each row and the pictures, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES), choices=PICTURES)
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS), choices=GENERATORS)
    parser.add_argument("--height", type=int, default=64, help="pixels, about")
    parser.add_argument("--channels", type=int, help="[the generator's own]")
    parser.add_argument("--scales", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="holes", help="of the file in results/")
    parser.add_argument("--sheet", type=Path, help="a PNG file for the pictures")
    options = parser.parse_args()
    print(HEADER, flush=True)
    sheet = []
    for name, kind in product(options.pictures, options.generators):
        data, known = holed(name, options.height)
        row, posterior = measure(
            name, data, known, kind, options.scales, options.channels,
            steps=options.steps, seed=options.seed,
        )  # fmt: skip
        record.put(options.name, row, KEY)
        print(line(row), flush=True)
        shown = [
            (name, data), (f"mean, {kind}", posterior.mean),
            ("draw", posterior.draws[0, -1]), ("std, times 4", 4 * posterior.std),
        ]  # fmt: skip
        sheet.append([(caption, np.clip(image, 0, 1)) for caption, image in shown])
        if options.sheet:
            options.sheet.parent.mkdir(parents=True, exist_ok=True)
            plot_rows(sheet, 1).savefig(options.sheet, dpi=90)


if __name__ == "__main__":
    main()
