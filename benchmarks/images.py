"""The pictures and noise that every benchmark starts from, in one place.

The standard sets (set9 and set11 of the deep image prior papers; Set5 and Set14; the large holes)
are looked for in the folder that BDIP_DATA names, else in ../shared/data beside the repository.
They are not ours to distribute. Where they are absent, pictures bundled with scikit-image stand
in, under names of their own, "skimage/camera", so that no row carries a name it did not earn.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.io import load_image

Image = NDArray[np.float32]

SUFFIXES = (".png", ".bmp", ".jpg")
# In scikit-image's wheel, so that nothing is downloaded; sources in its data/README.txt.
BUNDLED_GREY = ("skimage/camera", "skimage/brick", "skimage/coins", "skimage/moon")
BUNDLED_COLOUR = ("skimage/astronaut", "skimage/chelsea", "skimage/coffee", "skimage/rocket")
GREY_GROUPS = ("set11",)


def folder() -> Path:
    """Folder of the standard sets, which need not exist."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("BDIP_DATA") or beside)


def names(group: str) -> tuple[str, ...]:
    """Names in a group such as "set9", "set11" or "superresolution/set5", for `load`.

    Those of bundled pictures, grey or colour alike, where the group is absent.
    """
    paths = (folder() / group).glob("*")
    found = sorted(f"{group}/{path.stem}" for path in paths if path.suffix in SUFFIXES)
    return tuple(found) or (BUNDLED_GREY if group in GREY_GROUPS else BUNDLED_COLOUR)


def load(name: str) -> Image:
    """Picture (H, W) or (H, W, 3) in [0, 1], for example "set9/image_House256rgb".

    Raises FileNotFoundError where the standard sets are absent and `name` is none of scikit-image's.
    """
    group, _, stem = name.rpartition("/")
    if group == "skimage":
        import skimage

        return _unit(getattr(skimage.data, stem)())
    for suffix in SUFFIXES:
        path = folder() / group / f"{stem}{suffix}"
        if path.exists():
            return _unit(load_image(path))
    raise FileNotFoundError(
        f"no picture {name!r} in {folder()}: set BDIP_DATA to the folder of the standard sets, or "
        f"use {BUNDLED_GREY[0]!r}."
    )


def crop96_name() -> str:
    """Name of the picture that `crop96` is cut from: the standard one, or its bundled stand-in."""
    standard = "set11/peppers256"
    return standard if standard in names("set11") else BUNDLED_GREY[0]


def crop96() -> Image:
    """Grey crop (96, 96) in [0, 1]: Peppers of set11 averaged 2 × 2, rows and columns 16 to 112.

    The stand-in is averaged to the same 128 × 128 pixels and cut alike.
    """
    return crop(crop96_name(), 96)


def gp_inpainting() -> tuple[Image, NDArray[np.bool_]]:
    """Picture (64, 64) in [0, 1] and mask, True (observed) at 2,066 pixels, of the GP-DIP repository's inpainting.

    Raises FileNotFoundError where the standard sets are absent: nothing stands in for a published figure.
    """
    path = folder() / "gp" / "inpaint64.npz"
    if not path.exists():
        raise FileNotFoundError(f"no {path}: set BDIP_DATA to the folder of the standard sets.")
    with np.load(path) as arrays:
        return arrays["img_np"][0], arrays["img_mask_np"][0] > 0.5


def average(image: Image, factor: int) -> Image:
    """Means (H/factor, W/factor) or (H/factor, W/factor, C) of the square blocks of an image."""
    height, width = (size // factor for size in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(
        height, factor, width, factor, *image.shape[2:]
    )
    return blocks.mean(axis=(1, 3))


def reduced(name: str, pixels: int | None) -> Image:
    """A picture averaged to little more than so many pixels a side, and the middle square of that; the whole without."""
    return load(name) if pixels is None else crop(name, pixels, of=pixels)


def crop(name: str, pixels: int, of: int = 128) -> Image:
    """The middle square, so many pixels a side, of a picture averaged to little more than `of` pixels a side."""
    whole = load(name)
    return middle(average(whole, max(1, min(whole.shape[:2]) // of)), pixels)


def middle(image: Image, pixels: int) -> Image:
    """The middle square of an image, so many pixels a side."""
    top, left = ((size - pixels) // 2 for size in image.shape[:2])
    return image[top : top + pixels, left : left + pixels]


def add_noise(image: Image, std: float, seed: int = 0) -> Image:
    """Image plus white Gaussian noise, not clipped: clipped noise is not Gaussian."""
    noise = np.random.default_rng(seed).standard_normal(image.shape)
    return (image + std * noise).astype(np.float32)


def random_mask(shape: tuple[int, ...], keep: float = 0.5, seed: int = 0) -> NDArray[np.bool_]:
    """Mask (H, W), True (observed) with probability `keep` for each pixel alone."""
    return np.random.default_rng(seed).random(shape[:2]) < keep


def _unit(pixels: NDArray[Any]) -> Image:
    return (pixels / np.iinfo(pixels.dtype).max).astype(np.float32)
