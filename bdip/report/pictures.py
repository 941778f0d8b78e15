"""The page's pictures, as PNG files within the text of the page."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.io import encode_png
from bdip.plot import unit_picture

MOST_DRAWS = 12  # of the flip-book
FEWEST_DRAWS = 6  # below which smaller pictures of more draws are better
SMALLEST = 64  # pixels of the longer side of a draw that was made smaller


def bytes_picture(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """The image (H, W, C) as 8 bits: grey, RGB, or RGBA where values are NaN, which is transparent."""
    missing = np.isnan(image).any(axis=-1)
    pixels = unit_picture(image, 2, low, high)
    colours = np.rint(255 * np.nan_to_num(pixels)).astype(np.uint8)
    if not missing.any():
        return colours
    if colours.ndim == 2:
        colours = np.repeat(colours[..., None], 3, axis=-1)
    opaque = np.where(missing, 0, 255).astype(np.uint8)
    return np.dstack([np.where(missing[..., None], 0, colours), opaque])


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The picture as the address of an `<img>`."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(pixels)).decode('ascii')}"


def flip_book(
    draws: Sequence[NDArray[Any]], low: float, high: float, budget: int
) -> tuple[list[str], int]:
    """Addresses of up to MOST_DRAWS of the draws (H, W, C), in `budget` bytes; and the factor by which
    they were made smaller.

    Evenly spaced among all. Halved, by averages of 2 × 2 pixels, until FEWEST_DRAWS of them fit.
    """
    count, factor = min(MOST_DRAWS, len(draws)), 1
    while count:
        size = len(_page(draws[0], factor, low, high))
        fitting = max(1, min(count, budget // size))
        halved = 2 * factor
        small = max(draws[0].shape[:2]) < halved * SMALLEST or min(draws[0].shape[:2]) < halved
        if fitting >= min(count, FEWEST_DRAWS) or small:
            chosen = np.linspace(0, len(draws) - 1, fitting).round().astype(int)
            return [_page(draws[index], factor, low, high) for index in chosen], factor
        factor = halved
    return [], 1


def _page(draw: NDArray[Any], factor: int, low: float, high: float) -> str:
    return data_uri(bytes_picture(_smaller(draw, factor), low, high))


def _smaller(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """Averages of factor × factor pixels; what is left over at the far edges is cut off."""
    height, width = (size // factor for size in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(
        height, factor, width, factor, image.shape[2]
    )
    return np.asarray(blocks.mean(axis=(1, 3)))
