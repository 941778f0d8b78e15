"""The documentation's pictures, made anew: `python docs/make_pictures.py` (about ten minutes on two cores).

A photograph that comes with scikit-image (`skimage.data.camera`, CC0 by Lav Varshney) is degraded in four ways and
restored; the figures that the pages quote are printed. The truth is used to show errors, and for nothing else.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from skimage.data import camera

import bdip
from bdip.compare import follow
from bdip.diagnostics import psnr, scores
from bdip.plot import plot_curves, plot_posterior

FOLDER = Path(__file__).parent / "pictures"
DPI = 80  # dots an inch: pages show the pictures at 600 to 900 pixels
SIZE = 128  # pixels a side
NOISE_STD = 20.0  # grey levels of 255
RANGE = (0, 255)
KEPT = 0.3  # share of pixels that inpainting is given
STEPS = 3000
FACTOR = 2  # of super-resolution
SMALL_NOISE = 5.0
NETWORK = bdip.Hourglass(scales=4, channels_down=32, channels_up=32)
COMMON: dict[str, Any] = {"generator": NETWORK, "data_range": RANGE, "steps": STEPS, "seed": 0}


def write(figure: Figure, name: str) -> None:
    """Save a picture of the pages."""
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=DPI)


def tell(name: str, clean: np.ndarray, answer: bdip.Posterior, before: np.ndarray | None) -> None:
    """Print what the pages quote."""
    given = "" if before is None else f"{psnr(clean, before, 255):.2f} → "
    covered = scores(clean.reshape(-1, 1), answer.mean.reshape(-1, 1), answer.std.reshape(-1, 1))
    print(f"== {name}: {given}{psnr(clean, answer.mean, 255):.2f} dB; 90 % intervals cover "
          f"{100 * covered['coverage_90']:.1f} %; z {covered['z_std']:.2f}\n{answer.summary()}")  # fmt: skip


def draw_errors(clean: np.ndarray, answer: bdip.Posterior) -> Figure:
    """|mean − truth| beside the standard deviation, and what lies outside the 90 % interval."""
    error = np.abs(answer.mean - clean)
    outside = error > bdip.diagnostics.calibration.half_width(0.9) * answer.std
    top = float(np.percentile(error, 99))
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    names = ("|mean − truth|", "standard deviation", f"outside 90 %: {100 * outside.mean():.1f} %")
    for axes, name, picture in zip(figure.subplots(1, 3), names, (error, answer.std, outside), strict=True):  # fmt: skip
        shown = axes.imshow(picture, cmap="gray_r" if picture is outside else "viridis",
                            vmin=0, vmax=1 if picture is outside else top)  # fmt: skip
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
        if picture is answer.std:
            figure.colorbar(shown, ax=axes, shrink=0.8, extend="max", label="grey levels")
    return figure


def main() -> None:
    """All pictures, in the order of the pages."""
    clean = camera()[64 : 64 + 2 * SIZE, 128 : 128 + 2 * SIZE].astype(float)
    clean = clean.reshape(SIZE, 2, SIZE, 2).mean(axis=(1, 3))
    rng = np.random.default_rng(0)
    noisy = clean + NOISE_STD * rng.standard_normal(clean.shape)
    known = rng.random(clean.shape) < KEPT
    small = clean.reshape(SIZE // FACTOR, FACTOR, SIZE // FACTOR, FACTOR).mean(axis=(1, 3))
    small = small + SMALL_NOISE * rng.standard_normal(small.shape)

    denoised, sampling = follow(noisy, clean=clean, noise_std=NOISE_STD, **COMMON)
    tell("denoised", clean, denoised, noisy)
    write(plot_posterior(denoised, noisy, clean=clean), "denoise")
    write(draw_errors(clean, denoised), "errors")

    _, descent = follow(noisy, clean=clean, sampler="adam", noise_std=NOISE_STD, **COMMON)
    best = int(np.argmax(descent["draw"]))
    print(f"== adam: best {descent['draw'][best]:.2f} dB at {descent['step'][best]}, {descent['draw'][-1]:.2f} at the end")  # fmt: skip
    write(plot_curves({"descent (Adam)": descent, "mclmc": sampling}, with_truth=True), "overfit")

    filled = bdip.sample(np.where(known, noisy, np.nan), noise_std=NOISE_STD, **COMMON)
    tell("inpainted", clean, filled, None)
    write(plot_posterior(filled, noisy, known, clean=clean), "inpaint")

    larger = bdip.sample(small, operator=bdip.Downsample(FACTOR), noise_std=SMALL_NOISE, **COMMON)
    tell("enlarged", clean, larger, np.kron(small, np.ones((FACTOR, FACTOR))))
    write(plot_posterior(larger, np.kron(small, np.ones((FACTOR, FACTOR))), clean=clean), "enlarge")


if __name__ == "__main__":
    sys.exit(main())
