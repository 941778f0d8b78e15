"""What a file held, in one record, and the one error of reading and writing."""

import importlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ImageError(ValueError):
    """A file cannot be read or written as asked; the message is one line with the remedy."""


@dataclass(frozen=True)
class Loaded:
    """One image of a file, and what surrounded it, to be written back around another image.

    `pixels` (H, W) or (H, W, 3) are uint8, uint16 or float32; `alpha` (H, W), of the same type, is
    None where there is no transparency. `kind` is what the content is, whatever its name ends in.
    `turned` says that the file asked to be shown turned, and that `pixels` are: upright. `notes`
    are sentences for the user. `icc`, `dpi` and `exif` (orientation reset) are what several kinds
    of file can keep; `native` is what only a file of the same kind can.

    >>> import numpy as np
    >>> Loaded(np.zeros((2, 3), np.uint8), kind=".png").alpha is None
    True
    """

    pixels: NDArray[Any]
    kind: str
    alpha: NDArray[Any] | None = None
    turned: bool = False
    notes: tuple[str, ...] = ()
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    native: Any = None


def optional(path: Path, package: str, extra: str, purpose: str) -> Any:
    """The package of an extra; ImageError names the extra where it is absent."""
    try:
        with warnings.catch_warnings():  # astropy sends all warnings to its log when imported
            return importlib.import_module(package)
    except ImportError as error:
        raise ImageError(
            f"{path} needs {package.split('.')[0]} {purpose}: pip install 'bdip[{extra}]'."
        ) from error


def only_page(path: Path, count: int, page: int | None, what: str = "pages") -> int:
    """Number of the page to read, from 0. Raises ImageError where there is a choice and none made."""
    if page is None and count > 1:
        raise ImageError(
            f"{path} holds {count} {what}: choose one from 0 to {count - 1} with page=N (--page N)."
        )
    chosen = page or 0
    if not 0 <= chosen < count:
        raise ImageError(f"{path} has no page {chosen}: its {what} go from 0 to {count - 1}.")
    return chosen


def split_alpha(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Image (H, W) or (H, W, 3) and transparency (H, W) of what has 1 to 4 channels, alpha last."""
    if pixels.ndim == 2 or pixels.shape[-1] == 3:
        return pixels, None
    colours = pixels.shape[-1] - 1
    if colours == 0:
        return pixels[..., 0], None
    return (pixels[..., 0] if colours == 1 else pixels[..., :colours]), pixels[..., -1]


def with_alpha(pixels: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[Any]:
    """The inverse of `split_alpha`: channels last, alpha the last of them."""
    return pixels if alpha is None else np.dstack([pixels, alpha])


# Where EXIF (tag 0x0112) says that rows and columns lie: whether they are exchanged, and then which
# axes run backwards.
TURNS = {
    1: (False, ()), 2: (False, (1,)), 3: (False, (0, 1)), 4: (False, (0,)),
    5: (True, ()), 6: (True, (1,)), 7: (True, (0, 1)), 8: (True, (0,)),
}  # fmt: skip


def upright(pixels: NDArray[Any], orientation: Any) -> NDArray[Any]:
    """Pixels (H, W, ...) as they are to be shown, of those stored under an EXIF orientation."""
    exchanged, backwards = TURNS.get(orientation, TURNS[1])
    return np.flip(pixels.swapaxes(0, 1) if exchanged else pixels, backwards)


def is_turned(orientation: Any) -> bool:
    """Whether an EXIF orientation is one that moves pixels."""
    return orientation in TURNS and orientation != 1
