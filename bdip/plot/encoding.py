"""Arrays as pictures: grey and colours from 0 to 1, and the uncertainty by a colour map."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import ArrayLike, NDArray

from bdip.plot.style import UNCERTAINTY, last, single

Bytes = NDArray[np.uint8]
TOP_PERCENTILE = 99  # of the std, where its scale ends: a few edges do not darken the rest


def unit_picture(
    image: ArrayLike, channel_axis: int | None, low: float, high: float
) -> NDArray[np.float64]:
    """The image (H, W) or (H, W, 3) from 0 to 1; other numbers of channels as their mean."""
    pixels = np.asarray(last(np.asarray(image), channel_axis), np.float64)
    pixels = np.clip((pixels - low) / (high - low), 0, 1)
    return pixels.mean(axis=-1) if pixels.ndim == 3 and pixels.shape[-1] != 3 else pixels


def std_top(std: NDArray[Any], channel_axis: int | None) -> float:
    """Where the scale of the std ends: its 99th percentile, the root mean square of its channels."""
    top = float(np.nanpercentile(single(std, channel_axis), TOP_PERCENTILE))
    return max(top, float(np.finfo(np.float32).tiny))


def std_picture(std: NDArray[np.float32], channel_axis: int | None) -> Bytes:
    """The uncertainty as a coloured picture (H, W, 3), dark where it is least: viridis.

    The scale runs from zero to the 99th percentile, so that a few edges do not darken the rest.
    """
    relative = np.clip(single(std, channel_axis) / std_top(std, channel_axis), 0, 1)
    return np.rint(255 * colormaps[UNCERTAINTY](relative)[..., :3]).astype(np.uint8)


def colours_of(name: str = UNCERTAINTY, count: int = 256) -> Bytes:
    """The colours (count, 3) of a matplotlib colour map."""
    return np.rint(255 * colormaps[name](np.linspace(0, 1, count))[:, :3]).astype(np.uint8)
