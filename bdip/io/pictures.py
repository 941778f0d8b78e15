"""PNG, JPEG, BMP, GIF and WebP by Pillow; PNG of 16-bit colours by imagecodecs; written by imageio."""

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from bdip.io import png
from bdip.io.limits import DEFLATE_RATIO, MAX_PAGES, check_bytes, check_held, check_size
from bdip.io.record import (
    ImageError,
    Loaded,
    is_turned,
    only_page,
    optional,
    split_alpha,
    upright,
    with_alpha,
)  # fmt: skip

# 8-bit greys or colours, with alpha; 1 and P are expanded; I;16 is 16-bit grey.
MODES = ("1", "L", "LA", "RGB", "RGBA", "P", "PA", "I;16", "I;16B")
ORIENTATION = ExifTags.Base.Orientation
MAX_DPI = 65_535  # what JPEG can hold
STRIP = 256  # rows copied at once, so that no second copy of the whole is needed
JPEG_QUALITY = {"quality": 95, "subsampling": 0}  # of 100, and colours as sharp as the light
_limit = threading.Lock()


def load_picture(kind: str, path: Path, page: int | None, max_pixels: int) -> Loaded:
    """The image of a file that Pillow knows."""
    content = path.read_bytes()
    header = None
    if kind == "PNG":
        header = png.header(path, content)
        check_size(path, (header.height, header.width), max_pixels)
        check_bytes(path, header.bytes - header.height, max_pixels)
        check_held(path, header.bytes, len(content), DEFLATE_RATIO)
    if kind == "WebP":
        check_size(path, _webp_size(content), max_pixels)
    with (
        pillow_limit(max_pixels),
        Image.open(BytesIO(content), formats=(kind.upper(),)) as picture,
    ):
        check_size(path, picture.size[::-1], max_pixels)
        _choose(path, picture, page)
        if header and header.is_deep:
            pixels = _deep(path, content, picture)
        else:
            picture.load()
            _refuse_unknown(path, picture)
            pixels = _pixels(path, picture, header)
        loaded = _surroundings(path, picture, Loaded(pixels, kind, native=header))
    return loaded


def encode_picture(
    path: Path, suffix: str, pixels: NDArray[Any], alpha: NDArray[Any] | None, like: Loaded | None
) -> bytes:
    """The bytes of a picture file, metadata of `like` included."""
    whole = with_alpha(pixels, alpha)
    if suffix == ".png":
        deep = whole.dtype == np.uint16 and whole.ndim == 3
        plain = _encode_deep(path, whole) if deep else _encode(whole, suffix)
        return png.with_chunks(plain, like)
    options: dict[str, Any] = {}
    if suffix in (".jpg", ".jpeg"):
        options |= JPEG_QUALITY
    if suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    if like is not None:
        kept = {"icc_profile": like.icc, "dpi": like.dpi, "exif": like.exif}
        options |= {name: value for name, value in kept.items() if value}
    return _encode(whole, suffix, **options)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """The picture (H, W), (H, W, 3) or (H, W, 4) as a small PNG file in memory."""
    return bytes(_encode(pixels, ".png", optimize=True))


def needs_codecs(path: Path) -> Any:
    """The package imagecodecs; ImageError where it is absent."""
    return optional(path, "imagecodecs", "files", "for 16-bit colours in a PNG")


def _encode(pixels: NDArray[Any], suffix: str, **options: Any) -> bytes:
    return imageio.imwrite("<bytes>", pixels, extension=suffix, plugin="pillow", **options)


def _encode_deep(path: Path, pixels: NDArray[Any]) -> bytes:
    return bytes(needs_codecs(path).png_encode(np.ascontiguousarray(pixels)))


@contextmanager
def pillow_limit(max_pixels: int) -> Iterator[None]:
    """Pillow's own limit, which is a global, set to ours: it also checks what only a decoder sees."""
    with _limit, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _webp_size(content: bytes) -> tuple[int, int]:
    """Height and width: Pillow sets the canvas aside while opening (RFC 9649, section 2.5 to 2.7)."""
    chunk = content[12:16]
    if chunk == b"VP8X":
        sizes = [int.from_bytes(content[place : place + 3], "little") + 1 for place in (24, 27)]
    elif chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        sizes = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1]
    else:
        sizes = [size & 0x3FFF for size in struct.unpack_from("<HH", content, 26)]
    return sizes[1], sizes[0]


def _choose(path: Path, picture: Image.Image, page: int | None) -> None:
    """Go to the page asked for; a camera's MPO is a photograph and its previews."""
    frames = getattr(picture, "n_frames", 1)
    if picture.format == "MPO" and page is None:
        page = 0
    chosen = only_page(path, min(frames, MAX_PAGES), page, "pages or frames")
    if chosen:
        picture.seek(chosen)


def _refuse_unknown(path: Path, picture: Image.Image) -> None:
    if picture.mode not in MODES:
        raise ImageError(
            f"{path} is {picture.mode}, neither grey nor RGB: convert it to RGB first, with a program that "
            "knows its colour profile."
        )


def _pixels(path: Path, picture: Image.Image, header: png.Header | None) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, C), alpha the last channel if there is one."""
    key = picture.info.get("transparency")
    if picture.mode in ("P", "PA"):
        see_through = picture.mode == "PA" or key is not None
        return _grey_if_grey(_array(picture.convert("RGBA" if see_through else "RGB")))
    pixels = _array(picture)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if key is None or picture.mode in ("LA", "RGBA"):
        return pixels
    if header is not None and header.depth < 8:  # the key is in the file's numbers
        key = np.asarray(key) * (255 // (2**header.depth - 1))
    return _keyed(pixels, key)


def _array(picture: Image.Image) -> NDArray[Any]:
    width, height = picture.size
    strips = (
        picture.crop((0, row, width, min(row + STRIP, height))) for row in range(0, height, STRIP)
    )
    first = np.asarray(next(strips))
    pixels = np.empty((height, *first.shape[1:]), first.dtype.newbyteorder("="))
    pixels[: len(first)] = first
    for row, strip in enumerate(strips, start=1):
        pixels[row * STRIP : (row + 1) * STRIP] = np.asarray(strip)
    return pixels


def _grey_if_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """A palette that shows nothing but greys is how some formats store a grey picture."""
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., [0, *range(3, pixels.shape[-1])]] if grey else pixels


def _keyed(pixels: NDArray[Any], key: Any) -> NDArray[Any]:
    """Alpha from the one colour that is transparent."""
    same = pixels == np.asarray(key)
    opaque = ~(same.all(axis=-1) if pixels.ndim == 3 else same)
    return np.dstack([pixels, opaque * np.iinfo(pixels.dtype).max]).astype(pixels.dtype)


def _deep(path: Path, content: bytes, picture: Image.Image) -> NDArray[Any]:
    """Pixels of a PNG with more than 8 bits a colour, which Pillow would cut to 8."""
    if getattr(picture, "n_frames", 1) > 1:
        raise ImageError(
            f"{path} is an animation of 16-bit colours: save the frame you mean alone."
        )
    decoded = np.asarray(needs_codecs(path).png_decode(content))
    key = picture.info.get("transparency")
    channels = 1 if decoded.ndim == 2 else decoded.shape[-1]
    return decoded if key is None or channels in (2, 4) else _keyed(decoded, key)


def _surroundings(path: Path, picture: Image.Image, loaded: Loaded) -> Loaded:
    """The pixels upright, alpha apart, and the metadata."""
    exif = picture.getexif()
    orientation = exif.get(ORIENTATION, 1)
    pixels, alpha = split_alpha(upright(loaded.pixels, orientation))
    was_colour = picture.mode not in ("1", "L", "LA", "I;16", "I;16B")
    icc = picture.info.get("icc_profile")
    notes = []
    if ORIENTATION in exif:
        exif[ORIENTATION] = 1
    try:
        kept = exif.tobytes() if len(exif) else None
    except Exception as error:  # whatever a camera wrote that cannot be written again
        kept, notes = None, [f"EXIF of {path} is not kept ({error or type(error).__name__})"]
    return replace(
        loaded,
        pixels=pixels,
        alpha=alpha,
        turned=is_turned(orientation),
        icc=None if was_colour and pixels.ndim == 2 else icc,
        dpi=_dpi(picture.info.get("dpi")),
        exif=kept,
        notes=tuple(notes),
    )


def _dpi(found: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if min(across, down) > 0 and max(across, down) < MAX_DPI else None
