"""How large an image may be, checked against its header before anything is set aside for it.

A header is a claim: forty bytes can say that a terabyte follows. So its size must be below the
limits, and the file must be long enough to hold it under the best compression that there is.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from bdip.io.record import ImageError

MAX_PIXELS = 100_000_000  # unless argument or environment say otherwise
BYTES_A_PIXEL = 4  # on average: 100 million greys of float32, or a third of that in 16-bit colour
MAX_SIDE = 2**16 - 1  # pixels; what JPEG can hold, too
MAX_PAGES = 10_000  # to walk through in search of the one asked for
ENVIRONMENT = "BDIP_MAX_PIXELS"
LESS = f"crop it, scale it down, or raise the limit with max_pixels= or {ENVIRONMENT}"
# Bytes that one byte of a deflated stream can become (RFC 1951: 258 bytes from 2 bits).
DEFLATE_RATIO = 1032


def pixel_limit(given: int | None = None) -> int:
    """Most pixels that an image may have: as given, as the environment says, or the default."""
    text = os.environ.get(ENVIRONMENT) if given is None else given
    if text is None or text == "":
        return MAX_PIXELS
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        name = ENVIRONMENT if given is None else "max_pixels"
        raise ImageError(f"{name} is {text!r}: expected a whole number above 0.")
    return limit


def check_size(path: Path, shape: Sequence[int], max_pixels: int, unit: str = "pixels") -> None:
    """Raise ImageError where an image of `shape`, its first two axes rows and columns, is too large."""
    count = math.prod(int(size) for size in shape)
    if count > max_pixels:
        raise ImageError(
            f"{path} has {count:,} {unit}, too many pixels for the limit of {max_pixels:,}: {LESS}."
        )
    if max(shape[:2], default=0) > MAX_SIDE:
        raise ImageError(
            f"{path} is {max(shape[:2]):,} pixels long: at most {MAX_SIDE:,}; crop it."
        )
    if min(shape, default=0) < 1:
        raise ImageError(
            f"{path} holds shape {tuple(shape)}: expected one image, (H, W) or (H, W, 3)."
        )


def check_bytes(path: Path, needed: int, max_pixels: int) -> None:
    """Raise ImageError where the pixels, in the numbers of the file, take too much memory."""
    most = BYTES_A_PIXEL * max_pixels
    if needed > most:
        raise ImageError(
            f"{path} has {needed:,} bytes of pixels, too many pixels for the limit of {most:,} bytes: "
            f"{LESS}."
        )


def check_held(path: Path, needed: int, held: int, ratio: int = 1) -> None:
    """Raise ImageError where `held` bytes cannot become the `needed` ones, `ratio` from each."""
    if needed > ratio * held:
        raise ImageError(
            f"{path} cannot be read (it is too short for what its header says): it may be incomplete; copy or "
            "save it again."
        )
