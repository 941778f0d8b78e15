"""Restoration through forward operators, beside the classical method of each, best of its parameters by an oracle.

    python -m benchmarks.operators
    python -m benchmarks.operators --tasks deblur --pictures house

Crops of 48 × 48 pixels (`--side`) of pictures averaged to 128 × 128 (colour ones for `demosaic`), range [0, 1], noise not clipped:

- `deblur`: Gaussian blur of 1.6 pixels, σ = 5/255, reflected at the edges;
- `superresolve`: Lanczos-2 by 4, σ = 5/255;
- `tomography`: 60 views of a detector a pixel, σ = 1 % of the greatest sum; within the circle that all views see, outside which there is nothing;
- `magnetic`: a quarter of the columns of the Fourier plane, σ = 5/255 in either part;
- `demosaic`: Bayer's RGGB, σ = 5/255.

Peers, where a parameter is chosen, get the one of the best PSNR with the truth at hand ("oracle"); bdip has one setting for all rows.
Rows are kept in `results/NAME.json`; a run adds its own, and replaces those of the same key.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from skimage import restoration, transform

import bdip
from bdip.diagnostics import coverage, psnr
from bdip.operators import cartesian_lines
from bdip.plot import plot_rows
from benchmarks import images, record
from benchmarks.generators import sized

Array = NDArray[Any]

SIDE, SMALL = 48, 128  # pixels: of the crop, and of the picture it is cut from
SCALES = 3
STD = 5 / 255  # where chains mix well (docs/decisions/0005)
BLUR = 1.6  # pixels
FACTOR, VIEWS, SHARE = 4, 60, 0.25
SUM_STD = 0.01  # of the greatest sum along a ray
GREY = ("peppers256", "house", "boat")
COLOUR = ("image_House256rgb", "image_Peppers512rgb", "kodim03")
PHANTOM = "phantom"
BALANCES = np.logspace(-6, 0, 25)  # of Wiener's filter
ITERATIONS = (2, 5, 10, 20, 40, 80, 160, 320)  # of Richardson and Lucy
FILTERS = ("ramp", "shepp-logan", "cosine", "hamming", "hann")
COLOURS = "RGB"
# Malvar, He & Cutler (ICASSP 2004), figure 2, times 8: at a pixel, the colour that it does not see, by where that is.
AT_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
IN_ROW = [
    [0, 0, 0.5, 0, 0],
    [0, -1, 0, -1, 0],
    [-1, 4, 5, 4, -1],
    [0, -1, 0, -1, 0],
    [0, 0, 0.5, 0, 0],
]
DIAGONAL = [
    [0, 0, -1.5, 0, 0],
    [0, 2, 0, 2, 0],
    [-1.5, 0, 6, 0, -1.5],
    [0, 2, 0, 2, 0],
    [0, 0, -1.5, 0, 0],
]

HEADER = (
    "| task | picture | peers, dB | draw, dB | mean, dB | χ² | MCSE/std | 90 % coverage | s |\n|"
    + "---|" * 9
)
KEY = (
    "task", "picture", "std", "side", "scales", "channels", "skips", "sampler", "steps", "seed",
)  # fmt: skip


class Task(NamedTuple):
    """What was done to the truth, how much noise, what of the data is seen, and the peers' answers."""

    operator: bdip.operators.Operator
    std: float
    peers: Callable[[Array, Array], dict[str, Array]]
    mask: Array | None = None
    pictures: tuple[str, ...] = GREY


def tasks(side: int) -> dict[str, Task]:
    """The tasks by name, for crops of so many pixels a side."""
    angles = np.linspace(0, 180, VIEWS, endpoint=False)
    lines = cartesian_lines((side, side), SHARE, seed=0)
    return {
        "deblur": Task(bdip.Blur.gaussian(BLUR), STD, deblurred),
        "superresolve": Task(bdip.Downsample(FACTOR, "lanczos2"), STD, enlarged),
        "tomography": Task(
            bdip.Radon(angles), SUM_STD, partial(projected_back, angles), pictures=(*GREY, PHANTOM)
        ),
        "magnetic": Task(bdip.Fourier(), STD, partial(zero_filled, lines), lines),
        "demosaic": Task(bdip.Mosaic("RGGB"), STD, interpolated, pictures=COLOUR),
    }


def picture(name: str, side: int) -> Array:
    """The crop (side, side) or (side, side, 3)."""
    if name == PHANTOM:
        from skimage.data import shepp_logan_phantom

        return np.asarray(transform.resize(shepp_logan_phantom(), (side, side), anti_aliasing=True))
    return images.crop(f"{'set9' if name in COLOUR else 'set11'}/{name}", side, of=SMALL)


def measured(task: Task, truth: Array) -> tuple[Array, float]:
    """The data, complex where the operator's are, and σ."""
    image = truth if truth.ndim == 3 else truth[..., None]
    clean = np.asarray(task.operator(jnp.asarray(image, jnp.float32)), np.float64)
    std = task.std * (clean.max() if isinstance(task.operator, bdip.Radon) else 1)
    noisy = clean + std * np.random.default_rng(0).standard_normal(clean.shape)
    if task.operator.complex_data:
        return noisy[..., 0] + 1j * noisy[..., 1], std
    return (noisy[..., 0] if noisy.shape[-1] == 1 else noisy), std


def deblurred(data: Array, truth: Array) -> dict[str, Array]:
    """Wiener's filter, Richardson and Lucy's iteration, and Wiener's without a parameter (Orieux et al. 2010)."""
    psf = np.asarray(bdip.Blur.gaussian(BLUR).psf, np.float64)
    margin = len(psf)
    wide = np.pad(data, margin, mode="symmetric")
    inner = (slice(margin, -margin),) * 2

    def best(answers: list[Array]) -> Array:
        return max((answer[inner] for answer in answers), key=lambda answer: psnr(truth, answer))

    positive = np.clip(wide, 1e-6, None)
    return {
        "Wiener (oracle)": best([restoration.wiener(wide, psf, b, clip=False) for b in BALANCES]),
        "Richardson–Lucy (oracle)": best(
            [restoration.richardson_lucy(positive, psf, n, clip=False) for n in ITERATIONS]
        ),
        "unsupervised Wiener": best(
            [restoration.unsupervised_wiener(wide, psf, clip=False, rng=0)[0]]
        ),
    }


def enlarged(data: Array, truth: Array) -> dict[str, Array]:
    """Cubic interpolation."""
    return {"bicubic": transform.resize(data, truth.shape, order=3, mode="symmetric")}


def projected_back(angles: Array, data: Array, truth: Array) -> dict[str, Array]:
    """Filtered back-projection, with the best of five filters."""
    answers = [transform.iradon(data, angles, filter_name=name, circle=True) for name in FILTERS]
    seen = scored(truth.shape, True)
    best = max(answers, key=lambda answer: psnr(truth[seen], answer[seen]))
    return {"back-projection (oracle filter)": best}


def zero_filled(lines: Array, data: Array, truth: Array) -> dict[str, Array]:
    """What was not measured taken for zero."""
    plane = np.fft.ifftshift(np.where(lines, data, 0))
    return {"zero-filled": np.fft.fftshift(np.fft.ifft2(plane, norm="ortho")).real}


def interpolated(data: Array, truth: Array) -> dict[str, Array]:
    """Bilinear, and Malvar, He & Cutler's linear filters."""
    return {"bilinear": _bilinear(data), "Malvar": _malvar(data)}


def _bilinear(data: Array) -> Array:
    from scipy.ndimage import convolve  # type: ignore[import-untyped]

    filters = _filters(data.shape)
    hat = np.outer([1, 2, 1], [1, 2, 1]) / 4
    seen = [convolve(filters[..., c] * data, hat, mode="mirror") for c in range(3)]
    count = [convolve(filters[..., c], hat, mode="mirror") for c in range(3)]
    return np.stack(seen, -1) / np.stack(count, -1)


def _malvar(data: Array) -> Array:
    from scipy.ndimage import convolve  # type: ignore[import-untyped]

    filters = _filters(data.shape) > 0
    made = {
        name: convolve(data, np.array(kernel) / 8, mode="mirror")
        for name, kernel in {
            "green": AT_GREEN, "row": IN_ROW, "column": np.array(IN_ROW).T, "diagonal": DIAGONAL
        }.items()
    }  # fmt: skip
    even_row = (np.arange(len(data)) % 2 == 0)[:, None] & np.ones(data.shape, bool)  # red and green
    red, green, blue = (filters[..., c] for c in range(3))
    answer = np.empty((*data.shape, 3))
    answer[..., 1] = np.where(green, data, made["green"])
    for colour, own, other, in_row in ((0, red, blue, even_row), (2, blue, red, ~even_row)):
        at_green = np.where(in_row, made["row"], made["column"])
        answer[..., colour] = np.where(own, data, np.where(other, made["diagonal"], at_green))
    return answer


def _filters(shape: tuple[int, ...]) -> Array:
    ones = np.ones((*shape, 3), np.float32)
    return np.stack(
        [
            np.asarray(bdip.Mosaic("RGGB")(jnp.asarray(ones * np.eye(3)[c])))[..., 0]
            for c in range(3)
        ],
        -1,
    )


def scored(shape: tuple[int, ...], circle: bool) -> Array:
    """Which pixels count: all, or those of the circle."""
    rows, columns = (np.arange(n) - n // 2 for n in shape[:2])
    inside = rows[:, None] ** 2 + columns**2 < (min(shape[:2]) // 2) ** 2
    return inside if circle else np.ones(shape[:2], bool)


def measure(
    name: str,
    task: Task,
    pictured: str,
    side: int,
    scales: int,
    channels: int | None,
    skips: int | None,
    **options: Any,
) -> tuple[dict[str, Any], list[Any]]:
    """One run, as a row of figures, and its pictures with captions."""
    truth = picture(pictured, side)
    seen = scored(truth.shape, name == "tomography")
    truth = np.where(seen if truth.ndim == 2 else seen[..., None], truth, 0)
    data, std = measured(task, truth)
    started = perf_counter()
    posterior = bdip.sample(
        data, task.mask, operator=task.operator, noise_std=std, data_range=(0, 1),
        generator=sized(scales, channels, skips), progress=False, **options,
    )  # fmt: skip
    seconds = perf_counter() - started
    peers = task.peers(data, truth)
    scores = {peer: psnr(truth[seen], answer[seen]) for peer, answer in peers.items()}
    draws = posterior.draws.reshape(-1, *truth.shape)
    row = {
        "task": name, "picture": pictured, "std": std, "side": side,
        "scales": scales, "channels": channels, "skips": skips, **options,
        "commit": record.surroundings()["commit"],
        "peers": scores,
        "draw": float(np.mean([psnr(truth[seen], draw[seen]) for draw in draws])),
        "mean": psnr(truth[seen], posterior.mean[seen]),
        "coverage": coverage(truth[seen], posterior.mean[seen], posterior.std[seen]),
        **posterior.diagnostics, "seconds": seconds, "settings": posterior.settings,
    }  # fmt: skip
    shown = np.abs(data) if np.iscomplexobj(data) else data
    shown = shown / shown.max()
    if task.mask is not None:  # a plane whose middle outshines all else
        shown = np.log1p(99 * np.where(task.mask, shown, 0)) / np.log(100)
    best = max(scores, key=lambda peer: scores[peer])
    sheet = [
        (f"{name}, {pictured}: data", shown),
        (f"{best} {scores[best]:.2f} dB", peers[best]),
        (f"mean {row['mean']:.2f} dB", posterior.mean),
        (f"standard deviation, to {posterior.std.max():.2f}", posterior.std / posterior.std.max()),
        ("truth", truth),
    ]
    return row, sheet


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    peers = ", ".join(f"{peer} {value:.2f}" for peer, value in row["peers"].items())
    numbers = [f"{row[name]:.2f}" for name in ("draw", "mean")]
    shares = [f"{row[name]:.3f}" for name in ("chi2", "mcse_ratio", "coverage")]
    return (
        "| "
        + " | ".join(
            [row["task"], row["picture"], peers, *numbers, *shares, f"{row['seconds']:.0f}"]
        )
        + " |"
    )


def main() -> None:
    """Run all, print a table, write results/NAME.json and a sheet of pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(tasks(SIDE)), choices=list(tasks(SIDE)))
    parser.add_argument("--pictures", nargs="+", help="of those of the task [all]")
    parser.add_argument("--side", type=int, default=SIDE, help=f"of the crop, in pixels [{SIDE}]")
    parser.add_argument("--scales", type=int, default=SCALES, help=f"[{SCALES}]")
    parser.add_argument("--channels", type=int, help="[the generator's own]")
    parser.add_argument("--skips", type=int, help="channels, of an hourglass [the pyramid]")
    parser.add_argument("--sampler", default="mclmc")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="operators", help="of the file in results/")
    parser.add_argument("--sheet", type=Path, help="a PNG file for the pictures")
    options = parser.parse_args()
    print(HEADER, flush=True)
    sheets = []
    for name in options.tasks:
        task = tasks(options.side)[name]
        for pictured in task.pictures:
            if options.pictures and pictured not in options.pictures:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # scikit-image's, of corners outside the circle
                row, sheet = measure(
                    name,
                    task,
                    pictured,
                    options.side,
                    options.scales,
                    options.channels,
                    options.skips,
                    sampler=options.sampler,
                    steps=options.steps,
                    seed=options.seed,
                )
            sheets.append(sheet)
            print(line(row), flush=True)
            path = record.put(options.name, row, KEY)
            if options.sheet:
                plot_rows(sheets, 1).savefig(options.sheet, dpi=70)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
