"""Images and masks from and to files: the only module that imports imageio and Pillow.

A file is read in its own numbers or not at all: whatever would be changed without a word (16-bit
colour cut to 8 bits, a page dropped, transparency ignored) is refused, and the message says what
to do instead.
"""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from bdip.files import write_whole

NUMPY = (".npy", ".npz")
TIFF = (".tif", ".tiff")
JPEG = (".jpg", ".jpeg")
# Those that Pillow reads without changing values, the deep ones caught below.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
READABLE = "PNG, JPEG, TIFF, BMP, GIF, WebP, .npy or .npz"
# The numbers that a file of each kind can hold.
WRITABLE = {
    ".png": ("uint8", "uint16"),
    **dict.fromkeys(TIFF, ("uint8", "uint16", "float32")),
    ".npy": ("uint8", "uint16", "float32"),
    **dict.fromkeys((*JPEG, ".bmp"), ("uint8",)),
}
# Byte of a PNG file that holds the bits a sample (IHDR; PNG specification, section 11.2.1).
PNG_DEPTH = 24
# The value for "yes" in a mask, as 1-bit, 8-bit and 16-bit files have it.
MASK_TOPS = (1, 255, 65535)


class ImageError(ValueError):
    """A file cannot be read or written as asked; the message is one line with the remedy."""


def load_image(path: str | Path) -> NDArray[Any]:
    """Image (H, W) or (H, W, 3) of a file, in its own numbers: uint8, uint16 or float32.

    EXIF rotation is applied, palettes are expanded, 1-bit files become 0 and 255, and wider floats
    become float32. NaN stays. Raises ImageError for what cannot be read exactly.

    >>> import tempfile, numpy as np
    >>> path = f"{tempfile.mkdtemp()}/grey.png"
    >>> save_image(path, np.full((4, 6), 200.4), np.uint8)
    >>> image = load_image(path)
    >>> image.shape, image.dtype, int(image[0, 0])
    ((4, 6), dtype('uint8'), 200)
    """
    path = Path(path)
    pixels = _load(path)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(pixels.dtype, np.floating):
        return pixels.astype(np.float32)
    if pixels.dtype.name not in ("uint8", "uint16"):
        raise ImageError(
            f"{path} holds {pixels.dtype.name}: expected uint8, uint16 or a float type; convert it."
        )
    return pixels.astype(pixels.dtype.name)  # in this machine's byte order


def load_mask(path: str | Path) -> NDArray[np.bool_]:
    """Mask (H, W) of a file: True where its value is 1 (or 255, or 65535), False where 0.

    Raises ImageError where another value occurs, or where the colour channels differ.
    """
    path = Path(path)
    pixels = _load(path)
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise ImageError(f"{path} has colours: a mask is black and white, so save it as grey.")
        pixels = pixels[..., 0]
    if not any(np.isin(pixels, (0, top)).all() for top in MASK_TOPS):
        remedy = f"threshold it, for example load_image({str(path)!r}) > 127, and save it as PNG"
        if path.suffix.lower() in JPEG:
            remedy = "JPEG blurs the edges of a mask, so draw it again and save it as PNG"
        raise ImageError(
            f"{path} holds {len(np.unique(pixels))} values from {pixels.min()} to {pixels.max()}, "
            f"but a mask holds 0 and 1, or 0 and 255: {remedy}."
        )
    return pixels > 0


def save_image(
    path: str | Path,
    image: ArrayLike,
    like_dtype: DTypeLike,
    data_range: tuple[float, float] | None = None,
) -> None:
    """Write `image` (H, W) or (H, W, 3) as numbers of `like_dtype`: all of it, or nothing.

    For uint8 and uint16, values are rounded and clipped to the type's range, and to `data_range`
    (low, high) where given; any float type is written as float32, as it is. Raises ImageError.
    """
    path, pixels = Path(path), np.asarray(image)
    name = check_output(path, pixels.shape, like_dtype)
    if name != "float32":
        if not np.isfinite(pixels).all():
            raise ImageError(
                f"{path}: image has NaN or infinity, which {name} lacks: save float32."
            )
        whole = np.iinfo(name)
        low, high = data_range or (whole.min, whole.max)
        pixels = np.rint(np.clip(pixels, max(low, whole.min), min(high, whole.max)))
    encoded = _encode(path.suffix.lower(), pixels.astype(name))
    try:
        write_whole(path, encoded)
    except OSError as error:
        reason = error.strerror or error
        raise ImageError(f"{path} cannot be written ({reason}): choose another folder.") from error


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """The picture (H, W), (H, W, 3) or (H, W, 4) as a small PNG file in memory."""
    return imageio.imwrite("<bytes>", pixels, extension=".png", plugin="pillow", optimize=True)


def check_output(path: str | Path, shape: tuple[int, ...], like_dtype: DTypeLike) -> str:
    """Name of the dtype that `save_image` would write: to be called before hours of work.

    Raises ImageError where the folder is missing or such a file cannot hold such an image.
    """
    path, dtype = Path(path), np.dtype(like_dtype)
    name = "float32" if np.issubdtype(dtype, np.floating) else dtype.name
    kind = path.suffix.lower()
    if kind not in WRITABLE:
        raise ImageError(
            f"{path} is no kind of image that can be written: use one of {', '.join(WRITABLE)}."
        )
    if len(shape) != 2 and not (len(shape) == 3 and shape[-1] == 3):
        raise ImageError(f"{path}: image has shape {shape}: expected (H, W) or (H, W, 3).")
    deep_colour = kind == ".png" and name == "uint16" and len(shape) == 3
    if name not in WRITABLE[kind] or deep_colour:
        colour = "grey" if len(shape) == 2 else "colour"
        raise ImageError(f"{path}: {kind} cannot hold {name} {colour} here: use .tif or .npy.")
    if path.is_dir():
        raise ImageError(f"{path} is a folder: give the name of a file.")
    if not path.parent.is_dir():
        raise ImageError(f"{path}: there is no folder {path.parent}: make it first.")
    return name


def _load(path: Path) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, 3) of any number type."""
    if path.is_dir():
        raise ImageError(f"{path} is a folder: give the name of a file.")
    if not path.exists():
        raise ImageError(f"{path} does not exist: check the name and the folder you are in.")
    try:
        numpy_file = path.suffix.lower() in NUMPY
        pixels = _load_numpy(path) if numpy_file else _load_picture(path)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is no image that can be read: expected {READABLE}.") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} has too many pixels: crop it or scale it down first.") from error
    except Exception as error:  # decoders raise a dozen types, by format and version
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{path} cannot be read ({reason}): it may be incomplete; copy or save it again."
        ) from error
    return _grey_or_colour(path, pixels)


def _grey_or_colour(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or pixels.shape[2:] not in ((), (3,)):
        raise ImageError(
            f"{path} holds shape {pixels.shape}: expected one image, (H, W) or (H, W, 3), without "
            "transparency; save it so."
        )
    return pixels


def _load_numpy(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            arrays = dict(loaded)
    except ValueError as error:  # NumPy's message recommends unpickling, which nobody should
        raise ImageError(
            f"{path} is no complete NumPy file of plain numbers: write it again with numpy.save."
        ) from error
    if len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise ImageError(f"{path} holds {len(arrays)} arrays ({names}): save the image's alone.")
    return arrays.popitem()[1]


def _load_picture(path: Path) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path, formats=FORMATS)
        except UnidentifiedImageError:
            if path.suffix.lower() in TIFF:
                return imageio.imread(path, plugin="tifffile")  # float colour, which Pillow lacks
            raise
    with picture:
        _refuse_ambiguous(path, picture)
        if _is_deep_colour(path, picture):
            return _load_deep_colour(path, picture)
        upright = ImageOps.exif_transpose(picture)
        return np.array(upright.convert("RGB") if upright.mode == "P" else upright)


def _refuse_ambiguous(path: Path, picture: Image.Image) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a camera's MPO is a photograph and its previews
        raise ImageError(f"{path} holds {frames} pages or frames: save the one you mean as PNG.")
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        raise ImageError(
            f"{path} has transparency: save it without, and what is missing as a mask of its own."
        )
    if picture.mode not in ("1", "L", "P", "RGB", "I;16", "I;16B", "F"):
        raise ImageError(
            f"{path} is {picture.mode}, neither grey nor RGB: convert it to RGB first."
        )


def _is_deep_colour(path: Path, picture: Image.Image) -> bool:
    """Whether the file holds colours of more than 8 bits, which Pillow would cut to 8."""
    if isinstance(picture, TiffImageFile):
        return picture.mode == "RGB" and max(picture.tag_v2.get(BITSPERSAMPLE, (8,))) > 8
    if picture.format == "PNG":
        with path.open("rb") as file:
            return picture.mode == "RGB" and file.read(PNG_DEPTH + 1)[PNG_DEPTH] > 8
    return False


def _load_deep_colour(path: Path, picture: Image.Image) -> NDArray[Any]:
    if picture.format == "PNG":
        raise ImageError(
            f"{path} has 16-bit colours, which cannot be read from a PNG here without loss: save "
            "it as an uncompressed TIFF, or its array as .npy."
        )
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        raise ImageError(f"{path} is marked as rotated: rotate its pixels, and save it again.")
    try:
        return imageio.imread(path, plugin="tifffile")
    except ValueError as error:
        raise ImageError(f"{path} is compressed ({error}): save it uncompressed.") from error


def _encode(kind: str, pixels: NDArray[Any]) -> bytes:
    if kind == ".npy":
        buffer = BytesIO()
        np.save(buffer, pixels)
        return buffer.getvalue()
    plugin = "tifffile" if kind in TIFF else "pillow"
    return imageio.imwrite("<bytes>", pixels, extension=kind, plugin=plugin)
