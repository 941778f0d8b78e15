"""Arrays for the page's script: whole numbers of the last decimal that is shown, compressed."""

import base64
import math
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdip.diagnostics.calibration import half_width

LEVEL = 0.9  # of the intervals shown
DIGITS_OF_STD = 2  # of its median
DIGITS_OF_RANGE = 4  # of the data range, where there is no std
MOST_DECIMALS = 12
MOST_VALUES = (
    2**20
)  # of an array on the page; of larger images it shows every second pixel, or fewer


class Table(NamedTuple):
    """An image's numbers: `value` and the half-width of its interval, each round(x · 10^decimals).

    int32 (H, W, C), of every `stride`-th pixel. `half` is None where there is no std.
    """

    value: NDArray[np.int32]
    half: NDArray[np.int32] | None
    decimals: int
    stride: int


def table(mean: NDArray[Any], std: NDArray[Any], span: float) -> Table:
    """The numbers of an image (H, W, C) and its std; `span` is the width of the data range."""
    stride = stride_of(mean.shape)
    mean, std = mean[::stride, ::stride], std[::stride, ::stride]
    certain = not np.isfinite(std).any()
    decimals = _decimals(span, DIGITS_OF_RANGE)
    if not certain and (median := float(np.nanmedian(std))) > 0:
        decimals = _decimals(median, DIGITS_OF_STD)
    half = None if certain else whole(half_width(LEVEL) * std.astype(np.float64), decimals)
    return Table(whole(mean, decimals), half, decimals, stride)


def stride_of(shape: tuple[int, ...]) -> int:
    """The least stride along rows and columns that leaves MOST_VALUES values or fewer."""
    stride = 1
    while math.prod((-(-shape[0] // stride), -(-shape[1] // stride), *shape[2:])) > MOST_VALUES:
        stride += 1
    return stride


def whole(values: NDArray[Any], decimals: int) -> NDArray[np.int32]:
    """round(x · 10^decimals), within what 32 bits hold; NaN becomes the least of them."""
    scaled = np.rint(np.asarray(values, np.float64) * 10.0**decimals)
    limits = np.iinfo(np.int32)
    bounded = np.clip(scaled, limits.min + 1, limits.max)
    return np.where(np.isnan(scaled), limits.min, bounded).astype(np.int32)


def packed(values: NDArray[np.int32]) -> str:
    """The whole numbers as base64 text of compressed bytes.

    Channel by channel, differences from each pixel to the next (modulo 2³²), their sign in the lowest
    bit, the four bytes of all of them apart, and zlib: neighbours differ little, so that most bytes
    are zero.
    """
    line = np.moveaxis(values, -1, 0).ravel()
    steps = np.diff(line, prepend=np.int32(0)).astype(np.int32)
    signed = (steps << 1) ^ (steps >> 31)
    planes = signed.astype("<u4").view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes(), level=9)).decode("ascii")


def _decimals(value: float, digits: int) -> int:
    """Decimals, 0 or more, that show so many significant digits of a number above 0."""
    return min(max(0, digits - 1 - math.floor(math.log10(value))), MOST_DECIMALS)
