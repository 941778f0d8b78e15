"""Images to files: in the kind that the name's end says, all of it or nothing."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bdip.files import write_whole
from bdip.io.arrays import encode_npy, encode_npz
from bdip.io.dicom import encode_dicom, holds
from bdip.io.fits import encode_fits
from bdip.io.nifti import encode_nifti
from bdip.io.pictures import encode_picture, needs_codecs
from bdip.io.record import ImageError, Loaded
from bdip.io.tiff import encode_tiff


class Holds(NamedTuple):
    """What a kind of file can hold."""

    numbers: tuple[str, ...]
    colour: bool = True
    alpha: bool = False


SHALLOW = Holds(("uint8",))
ALL = ("uint8", "uint16", "float32")
WRITABLE: Mapping[str, Holds] = {
    ".png": Holds(("uint8", "uint16"), alpha=True),
    **dict.fromkeys((".tif", ".tiff"), Holds(ALL, alpha=True)),
    **dict.fromkeys((".jpg", ".jpeg", ".bmp"), SHALLOW),
    ".gif": Holds(("uint8",), colour=False),
    ".webp": Holds(("uint8",), alpha=True),
    **dict.fromkeys((".npy", ".npz"), Holds(ALL)),
    **dict.fromkeys((".fits", ".fit", ".fts", ".nii", ".nii.gz"), Holds(ALL, colour=False)),
    ".dcm": Holds(ALL),
}
ELSE = "use .tif or .npy"  # what holds all numbers


def save_image(
    path: str | Path,
    image: ArrayLike,
    like_dtype: DTypeLike | None = None,
    data_range: tuple[float, float] | None = None,
    *,
    like: Loaded | None = None,
) -> None:
    """Write `image` (H, W) or (H, W, 3) as numbers of `like_dtype`: all of it, or nothing.

    For uint8 and uint16, values are rounded and clipped to the type's range, and to `data_range`
    (low, high) where given; any float type is written as float32, as it is. `like` is the file
    that the image was made from: its numbers are the default, or else the image's own, and its transparency and metadata
    are written, too. Raises ImageError.

    >>> import tempfile, numpy as np
    >>> path = f"{tempfile.mkdtemp()}/grey.tif"
    >>> save_image(path, np.full((4, 6), 0.5), np.float32)
    """
    path, pixels = Path(path), np.asarray(image)
    dtype = _dtype(like_dtype, like)
    if dtype is None and pixels.dtype.name in ALL:
        dtype = pixels.dtype
    name = check_output(path, pixels.shape, dtype, like=like)
    if name != "float32":
        if not np.isfinite(pixels).all():
            raise ImageError(
                f"{path}: image has NaN or infinity, which {name} lacks: save float32."
            )
        whole = np.iinfo(name)
        low, high = data_range or (whole.min, whole.max)
        pixels = np.rint(np.clip(pixels, max(low, whole.min), min(high, whole.max)))
    encoded = _encode_what_can_be(path, pixels.astype(name), _alpha(like, name), like)
    try:
        write_whole(path, encoded)
    except OSError as error:
        reason = error.strerror or error
        raise ImageError(f"{path} cannot be written ({reason}): choose another folder.") from error


def check_output(
    path: str | Path,
    shape: tuple[int, ...],
    like_dtype: DTypeLike | None = None,
    *,
    like: Loaded | None = None,
) -> str:
    """Name of the dtype that `save_image` would write: to be called before hours of work.

    Raises ImageError where the folder is missing or such a file cannot hold such an image.

    >>> check_output("restored.tif", (4, 6, 3), np.float64)
    'float32'
    """
    path, dtype = Path(path), np.dtype(_dtype(like_dtype, like))
    name = "float32" if np.issubdtype(dtype, np.floating) else dtype.name
    suffix = suffix_of(path)
    if suffix not in WRITABLE:
        raise ImageError(
            f"{path} is no kind of image that can be written: use one of {', '.join(WRITABLE)}."
        )
    if len(shape) != 2 and not (len(shape) == 3 and shape[-1] == 3):
        raise ImageError(f"{path}: image has shape {shape}: expected (H, W) or (H, W, 3).")
    held, colour = WRITABLE[suffix], len(shape) == 3
    if name not in held.numbers or (colour and not held.colour):
        numbers = f"{name} {'colour' if colour else 'grey'}"
        raise ImageError(f"{path}: {suffix} cannot hold {numbers} here: {ELSE}.")
    has_alpha = like is not None and like.alpha is not None
    if has_alpha and not held.alpha:
        raise ImageError(
            f"{path}: {suffix} cannot hold the input's transparency: use .png or .tif."
        )
    if suffix == ".png" and name == "uint16" and (colour or has_alpha):
        needs_codecs(path)
    if suffix == ".dcm":
        holds(path, shape, name, like)
        _encode_what_can_be(path, like.pixels, None, like)  # type: ignore[union-attr]
    if path.is_dir():
        raise ImageError(f"{path} is a folder: give the name of a file.")
    if not path.parent.is_dir():
        raise ImageError(f"{path}: there is no folder {path.parent}: make it first.")
    return name


def suffix_of(path: Path) -> str:
    """The end of a file's name that tells its kind, in small letters."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """The name without that end: `brain` of `brain.nii.gz`."""
    return path.name[: -len(end)] if (end := suffix_of(path)) else path.name


def _dtype(given: DTypeLike | None, like: Loaded | None) -> DTypeLike | None:
    return like.pixels.dtype if given is None and like is not None else given


def _alpha(like: Loaded | None, name: str) -> NDArray[Any] | None:
    """The transparency of the input, in the numbers to be written."""
    if like is None or like.alpha is None:
        return None
    alpha = like.alpha
    if alpha.dtype.name == name:
        return alpha
    share = alpha / _opaque(alpha.dtype.name)
    return (share * _opaque(name)).round(0 if name != "float32" else 7).astype(name)


def _opaque(name: str) -> int:
    return 1 if name == "float32" else int(np.iinfo(name).max)


def _encode_what_can_be(
    path: Path, pixels: NDArray[Any], alpha: NDArray[Any] | None, like: Loaded | None
) -> bytes:
    """The file with its metadata; without, and with a warning, where those cannot be written."""
    try:
        return _encode(path, pixels, alpha, like)
    except ImageError:
        raise
    except Exception as error:  # encoders raise a dozen types, too
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if like is None or suffix_of(path) == ".dcm":
            raise ImageError(f"{path} cannot be written ({reason}): {ELSE}.") from error
        warnings.warn(f"{path}: the input's metadata are left out ({reason})", stacklevel=3)
        return _encode(path, pixels, alpha, None)


def _encode(
    path: Path, pixels: NDArray[Any], alpha: NDArray[Any] | None, like: Loaded | None
) -> bytes:
    match suffix_of(path):
        case ".npy":
            return encode_npy(pixels)
        case ".npz":
            return encode_npz(pixels, like)
        case ".tif" | ".tiff":
            return encode_tiff(pixels, alpha, like)
        case ".fits" | ".fit" | ".fts":
            return encode_fits(path, pixels, like)
        case ".nii" | ".nii.gz":
            return encode_nifti(path, pixels, like)
        case ".dcm":
            return encode_dicom(path, pixels, like)
        case suffix:
            return encode_picture(path, suffix, pixels, alpha, like)
