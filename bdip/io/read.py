"""Images and masks from files: one way in, whatever the kind, which the content tells."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bdip.io.arrays import load_npy, load_npz
from bdip.io.dicom import load_dicom
from bdip.io.fits import load_fits
from bdip.io.limits import LESS, check_size, pixel_limit
from bdip.io.nifti import GZIP, is_nifti, load_nifti
from bdip.io.notes import overhear
from bdip.io.pictures import load_picture
from bdip.io.record import ImageError, Loaded
from bdip.io.tiff import load_tiff

READABLE = "PNG, JPEG, TIFF, BMP, GIF, WebP, FITS, DICOM, NIfTI, .npy or .npz"
HEAD = 352  # bytes by which any kind is known: NIfTI's magic ends at 348
# The value for "yes" in a mask, as 1-bit, 8-bit and 16-bit files have it.
MASK_TOPS = (1, 255, 65535)
MEASURED = ("FITS", "DICOM", "NIfTI")  # whose signed and wide integers are measurements
MOST_NOTES = 3  # of a library's warnings

# (path, page, max_pixels) -> Loaded, of each kind.
READERS: dict[str, Callable[[Path, int | None, int], Loaded]] = {
    **{kind: partial(load_picture, kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "WebP")},
    "TIFF": load_tiff,
    "NPY": load_npy,
    "NPZ": load_npz,
    "FITS": load_fits,
    "DICOM": load_dicom,
    "NIfTI": load_nifti,
}
MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    b"\x93NUMPY": "NPY", b"PK\x03\x04": "NPZ", b"PK\x05\x06": "NPZ", b"SIMPLE  =": "FITS",
}  # fmt: skip


def load(path: str | Path, page: int | None = None, max_pixels: int | None = None) -> Loaded:
    """The image of a file, its transparency apart, and what to keep around it: see `Loaded`.

    EXIF rotation is applied, palettes are expanded, 1-bit files become 0 and 255, wider floats
    become float32, and the units of FITS, DICOM and NIfTI are applied. NaN stays. `page` counts
    pages, frames and slices from 0; where there are several, it must be given. An image of more
    than `max_pixels` is refused before it is decoded [BDIP_MAX_PIXELS, or 100 million]. Raises
    ImageError for what cannot be read exactly.

    >>> import tempfile, numpy as np
    >>> path = f"{tempfile.mkdtemp()}/grey.png"
    >>> save_grey = np.full((4, 6), 200, np.uint8)
    >>> from bdip.io import save_image
    >>> save_image(path, save_grey, np.uint8)
    >>> loaded = load(path)
    >>> loaded.kind, loaded.pixels.shape, loaded.alpha
    ('PNG', (4, 6), None)
    """
    path = Path(path)
    loaded = _read(path, page, max_pixels)
    pixels, note = _numbers(path, loaded.pixels, loaded.kind)
    alpha = None if loaded.alpha is None else _numbers(path, loaded.alpha, loaded.kind)[0]
    return replace(loaded, pixels=pixels, alpha=alpha, notes=(*loaded.notes, *note))


def load_image(
    path: str | Path, page: int | None = None, max_pixels: int | None = None
) -> NDArray[Any]:
    """Image (H, W) or (H, W, 3) of a file, in its own numbers: uint8, uint16 or float32.

    As `load`, for opaque images: raises ImageError where transparency would be lost.

    >>> import tempfile, numpy as np
    >>> from bdip.io import save_image
    >>> path = f"{tempfile.mkdtemp()}/grey.png"
    >>> save_image(path, np.full((4, 6), 200.4), np.uint8)
    >>> image = load_image(path)
    >>> image.shape, image.dtype, int(image[0, 0])
    ((4, 6), dtype('uint8'), 200)
    """
    loaded = load(path, page, max_pixels)
    _refuse_transparency(Path(path), loaded)
    return loaded.pixels


def load_mask(
    path: str | Path,
    page: int | None = None,
    max_pixels: int | None = None,
    *,
    like: Loaded | None = None,
) -> NDArray[np.bool_]:
    """Mask (H, W) of a file: True where its value is 1 (or 255, or 65535), False where 0.

    The mask's own EXIF rotation is applied. With `like`, the image that it is for, their shapes
    are compared. Raises ImageError where they differ, where another value occurs, where colour
    channels differ, or where there is transparency.

    >>> import tempfile, numpy as np
    >>> path = f"{tempfile.mkdtemp()}/mask.npy"
    >>> np.save(path, np.array([[0, 255]], np.uint8))
    >>> load_mask(path)
    array([[False,  True]])
    """
    path = Path(path)
    loaded = _read(path, page, max_pixels)
    _refuse_transparency(path, loaded)
    pixels = loaded.pixels
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise ImageError(f"{path} has colours: a mask is black and white, so save it as grey.")
        pixels = pixels[..., 0]
    if not any(((pixels == 0) | (pixels == top)).all() for top in MASK_TOPS):
        remedy = f"threshold it, for example load_image({str(path)!r}) > 127, and save it as PNG"
        if loaded.kind == "JPEG":
            remedy = "JPEG blurs the edges of a mask, so draw it again and save it as PNG"
        raise ImageError(
            f"{path} holds more than two values, or others, from {pixels.min()} to {pixels.max()}, but a mask "
            f"holds 0 and 1, or 0 and 255: {remedy}."
        )
    if like is not None:
        _refuse_other_shape(path, pixels, loaded.turned, like)
    return pixels > 0


def _refuse_other_shape(path: Path, mask: NDArray[Any], turned: bool, like: Loaded) -> None:
    shape = like.pixels.shape[:2]
    if mask.shape == shape:
        return
    why = "save it in the image's size"
    if turned != like.turned and mask.shape == shape[::-1]:
        one = "image" if like.turned else "mask"
        why = f"EXIF says that the {one} is to be turned, which the other does not: turn both alike"
    raise ImageError(f"{path}: mask has shape {mask.shape} but image is {shape}: {why}.")


def _refuse_transparency(path: Path, loaded: Loaded) -> None:
    """An alpha channel that says "opaque" everywhere says nothing."""
    alpha = loaded.alpha
    if alpha is None:
        return
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1
    if (alpha != opaque).any():
        raise ImageError(
            f"{path} has transparency: bdip.io.load() keeps it apart; or save it without, and what is "
            "missing as a mask of its own."
        )


def _read(path: Path, page: int | None, max_pixels: int | None) -> Loaded:
    """What a file holds, pixels of any number type. Raises nothing but ImageError."""
    if path.is_dir():
        raise ImageError(f"{path} is a folder: give the name of a file.")
    if not path.exists():
        raise ImageError(f"{path} does not exist: check the name and the folder you are in.")
    limit = pixel_limit(max_pixels)
    with overhear() as said:
        try:
            loaded = READERS[_kind(path)](path, page, limit)
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            raise _unknown(path) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ImageError(
                f"{path} has too many pixels for the limit of {limit:,}: {LESS}."
            ) from error
        except Exception as error:  # decoders raise a dozen types, by format and version
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(
                f"{path} cannot be read ({reason}): it may be incomplete; copy or save it again."
            ) from error
    notes = tuple(f"{path}: {words}" for words in list(dict.fromkeys(said))[:MOST_NOTES])
    pixels = _grey_or_colour(path, loaded.pixels)
    check_size(path, pixels.shape[:2], limit)
    return replace(loaded, pixels=pixels, notes=(*loaded.notes, *notes))


def _kind(path: Path) -> str:
    """What the content is, whatever the name says."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(GZIP):
        head = _unpacked(path)
        if head.startswith(b"SIMPLE  ="):
            raise ImageError(f"{path} is packed: unpack it first, with gunzip.")
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[128:132] == b"DICM":
        return "DICOM"
    if is_nifti(head):
        return "NIfTI"
    raise _unknown(path)


def _unpacked(path: Path) -> bytes:
    """The first bytes of a packed file; only NIfTI may be one."""
    try:
        with gzip.open(path) as file:
            head = file.read(HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise _unknown(path) from error
    if not is_nifti(head) and not head.startswith(b"SIMPLE  ="):
        raise _unknown(path)
    return head


def _unknown(path: Path) -> ImageError:
    return ImageError(f"{path} is no image that can be read: expected {READABLE}.")


def _grey_or_colour(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or pixels.shape[2:] not in ((), (3,)):
        raise ImageError(
            f"{path} holds shape {pixels.shape}: expected one image, (H, W) or (H, W, 3); save it so."
        )
    return pixels


def _numbers(path: Path, pixels: NDArray[Any], kind: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Pixels as uint8, uint16 or float32, and what is to be said about it."""
    name = pixels.dtype.name
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255), ()
    if name in ("uint8", "uint16"):
        return np.ascontiguousarray(pixels.astype(name)), ()  # in this machine's byte order
    if pixels.dtype.kind == "f":
        return _float32(path, pixels), ()
    if kind not in MEASURED or pixels.dtype.kind not in "iu":
        raise ImageError(
            f"{path} holds {name}: expected uint8, uint16 or a float type; convert it."
        )
    single = _float32(path, pixels)
    if (single.astype(np.float64) == pixels).all():
        return single, ()
    return single, (f"{path} holds {name}: rounded to float32, which has 24 bits",)


def _float32(path: Path, pixels: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(pixels, np.float32)
    if not np.isfinite(single).all() and (np.isinf(single) & np.isfinite(pixels)).any():
        raise ImageError(
            f"{path} holds values beyond {np.finfo(np.float32).max:.2g}: scale them down."
        )
    return single
