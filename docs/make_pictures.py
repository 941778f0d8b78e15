"""The documentation's pictures, made anew: `python docs/make_pictures.py`, or with the names of some.

Photographs that come with scikit-image (`skimage.data.camera`, CC0 by Lav Varshney; `astronaut`, NASA, public domain) are degraded and restored; what the
pages quote is printed. The truth is used to show errors, and for nothing else. Some minutes on one core.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.data import camera

import bdip
from bdip.demo import photograph as face
from bdip.diagnostics import psnr, scores
from bdip.diagnostics.calibration import half_width
from bdip.plot import plot_posterior, plot_rows

FOLDER = Path(__file__).parent / "pictures"
DPI = 80  # dots an inch: pages show the pictures at 600 to 900 pixels
COLOURS = 256  # of a picture's palette: a third of the bytes, and no difference to be seen
NOISE_STD = 20.0  # grey levels of 255
STRONG, DARK = 50.0, 30  # likewise
QUALITY = 10  # of 100, of the JPEG file
KEPT = 0.3  # share of pixels that inpainting is given
LONG, SHORT = {"steps": 3000}, {"steps": 1000}
COMMON: dict[str, Any] = {"data_range": (0, 255), "seed": 0}


def photograph(size: int) -> np.ndarray:
    """The man and his camera (size, size), from 0 to 255: means over 2 × 2 pixels, from the middle out."""
    rows, columns = slice(192 - size, 192 + size), slice(256 - size, 256 + size)
    return camera()[rows, columns].reshape(size, 2, size, 2).mean(axis=(1, 3))


def noisy_of(clean: np.ndarray) -> np.ndarray:
    """The picture under white noise that is not clipped."""
    return clean + NOISE_STD * np.random.default_rng(0).standard_normal(clean.shape)


def write(figure: Figure, name: str) -> None:
    """Save a picture of the pages."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    figure.savefig(path, dpi=DPI)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def tell(name: str, clean: np.ndarray, answer: bdip.Posterior, before: np.ndarray | None) -> None:
    """Print what the pages quote."""
    given = "" if before is None else f"{psnr(clean, before, 255):.2f} → "
    found = scores(*(each.reshape(-1, 1) for each in (clean, answer.mean, answer.std)))
    print(f"== {name}: {given}{psnr(clean, answer.mean, 255):.2f} dB; 90 % intervals cover "
          f"{100 * found['coverage_90']:.1f} %\n{answer.summary()}", flush=True)  # fmt: skip


def draw_errors(clean: np.ndarray, answer: bdip.Posterior) -> Figure:
    """|mean − truth| beside the standard deviation, and what lies outside the 90 % interval."""
    error = np.abs(answer.mean - clean)
    outside = error > half_width(0.9) * answer.std
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


def denoise() -> None:
    """128 × 128 pixels under noise; and where its error bars are right."""
    clean = photograph(128)
    noisy = noisy_of(clean)
    answer = bdip.sample(noisy, noise_std=NOISE_STD, **COMMON, **LONG)
    tell("denoise", clean, answer, noisy)
    write(plot_posterior(answer, noisy, clean=clean), "denoise")
    write(draw_errors(clean, answer), "errors")


def clipped() -> None:
    """128 × 128 pixels under strong noise in a file of 8 bits, taken as it is and as noise that was cut off."""
    clean = photograph(128)
    noise = STRONG * np.random.default_rng(0).standard_normal(clean.shape)
    noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    as_it_is = bdip.sample(noisy, noise=bdip.Clipped(STRONG, low=-1, high=256), **COMMON, **LONG)
    cut_off = bdip.sample(noisy, noise_std=STRONG, **COMMON, **LONG)
    row = [("clean", clean), ("8 bits", noisy), ("normal noise", as_it_is.mean), ("cut off at 0 and 255", cut_off.mean)]  # fmt: skip
    for name, answer in (("clipped, as it is", as_it_is), ("clipped, cut off", cut_off)):
        tell(name, clean, answer, noisy)
        dark = clean < DARK
        print(f"darker than {DARK}: {clean[dark].mean():.1f} on average, {answer.mean[dark].mean():.1f} found")  # fmt: skip
    write(plot_rows([row]), "clipped")


def inpaint() -> None:
    """96 × 96 pixels of which few are known, under noise."""
    clean = photograph(96)
    noisy, known = noisy_of(clean), np.random.default_rng(1).random(clean.shape) < KEPT
    answer = bdip.sample(noisy, known, noise_std=NOISE_STD, **COMMON, **SHORT)
    tell("inpaint", clean, answer, None)
    write(plot_posterior(answer, noisy, known, clean=clean), "inpaint")


def jpeg() -> None:
    """A face of 128 × 128 pixels, saved with little quality, and its picture from the numbers in the file."""
    clean = face()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "face.jpg"
        Image.fromarray(np.rint(clean).astype(np.uint8)).save(path, quality=QUALITY)
        decoded = bdip.io.load_image(path).astype(float)
        data, operator = bdip.load_jpeg(path)
    answer = bdip.sample(data, operator=operator, **COMMON, **LONG)
    tell("jpeg", clean, answer, decoded)
    write(plot_posterior(answer, decoded, clean=clean), "jpeg")


PICTURES = {each.__name__: each for each in (denoise, clipped, inpaint, jpeg)}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
