"""TIFF by tifffile: grey, colour, palette, alpha; integers and floats; ImageJ's and OME's metadata.

Where imagecodecs is not installed, LZW and JPEG are read by Pillow, if it gives the same numbers.
"""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

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

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 5, 7, 8, 32946, 32773, 50000
# How many bytes one byte can become: LZW's longest string of 4096 in 12 bits; a run of 128 in 2; of
# JPEG and Zstandard there is no bound that excludes anything, so that only the pixels are limited.
RATIOS = {NONE: 1, LZW: 2731, DEFLATE: DEFLATE_RATIO, OLD_DEFLATE: DEFLATE_RATIO, PACKBITS: 64,
          JPEG: 2**31, ZSTD: 2**31}  # fmt: skip
IN_CODECS = (LZW, JPEG, ZSTD)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
PHOTOMETRICS = (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR)
ALPHAS = {1: "assocalpha", 2: "unassalpha"}
ORIENTATION = 274
PALETTE_SHIFT = 8  # a palette holds 16 bits a colour: those of 8 times 257, or times 256
# Tags that are about the picture and not about how it is stored: who, when, with what; where on the
# ground (GeoTIFF) and what GDAL says of it.
KEPT_TAGS = (269, 271, 272, 306, 315, 316, 33432, 33550, 33922, 34264, 34735, 34736, 34737, 42112)
# Lines of ImageJ's description that count pages.
COUNTS = re.compile(r"^(images|channels|slices|frames|hyperstack|loop|mode)=.*\n?", re.MULTILINE)
SIZE_IN_OME = re.compile(r'\b(PhysicalSize[XY](?:Unit)?)="([^"<&]*)"')


@dataclass(frozen=True)
class Surroundings:
    """What a TIFF keeps of a TIFF."""

    byteorder: str
    compressed: bool
    alpha: str | None
    description: str
    pages: int  # of the file
    physical_size: dict[str, Any]  # of a pixel, by OME's names
    resolution: tuple[float, float]
    resolution_unit: int
    tags: tuple[tuple[Any, ...], ...]
    dtype: str


def load_tiff(path: Path, page: int | None, max_pixels: int) -> Loaded:
    """One page of a TIFF file; smaller versions of a page are no pages."""
    with tifffile.TiffFile(path) as file:
        pages: list[Any] = [each for each in file.pages[:MAX_PAGES] if not _is_aside(each)]
        chosen = pages[only_page(path, len(pages), page)]
        _refuse(path, chosen, max_pixels)
        stored = _stored(path, chosen, file.pages)
        photometric = int(chosen.photometric)
        pixels, alpha = split_alpha(_shown(path, chosen, stored, photometric))
        orientation = _tag(chosen, ORIENTATION) or 1
        icc = _tag(chosen, 34675)
        return Loaded(
            pixels=upright(pixels, orientation),
            alpha=None if alpha is None else upright(alpha, orientation),
            kind="TIFF",
            turned=is_turned(orientation),
            icc=bytes(icc) if icc is not None else None,
            dpi=_dpi(chosen),
            native=_surroundings(file, chosen, len(pages)),
        )


def encode_tiff(pixels: NDArray[Any], alpha: NDArray[Any] | None, like: Loaded | None) -> bytes:
    """The bytes of a TIFF file, metadata of `like` included."""
    whole = with_alpha(pixels, alpha)
    options: dict[str, Any] = {
        "photometric": "rgb" if pixels.ndim == 3 else "minisblack",
        "planarconfig": "contig" if whole.ndim == 3 else None,
        "extrasamples": None if alpha is None else ["unassalpha"],
        "metadata": None,
        "software": False,
    }
    order: Any = None
    if like is not None:
        options["iccprofile"] = like.icc
        if like.dpi:
            options |= {"resolution": like.dpi, "resolutionunit": "INCH"}
        if like.kind == "TIFF":
            kept: Surroundings = like.native
            order = kept.byteorder
            options |= _kept(kept, whole, alpha is not None)
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, ome=bool(options["metadata"])) as writer:
        writer.write(whole, **options)
    return buffer.getvalue()


def _kept(kept: Surroundings, pixels: NDArray[Any], has_alpha: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "extratags": kept.tags,
        "resolution": kept.resolution,
        "resolutionunit": kept.resolution_unit,
        "compression": "zlib" if kept.compressed else None,
    }
    if has_alpha and kept.alpha:
        options["extrasamples"] = [kept.alpha]
    same = kept.pages == 1 and pixels.dtype == kept.dtype
    if "<OME" in kept.description and not same:  # whose XML counts pages and names the type
        options["metadata"] = {"axes": "YXS" if pixels.ndim == 3 else "YX", **kept.physical_size}
    elif kept.description:
        options["description"] = kept.description.encode()  # OME has µ in UTF-8
    return options


def _is_aside(page: Any) -> bool:
    """A thumbnail, an overview or a mask of a page."""
    return bool(page.is_reduced or page.is_mask)


def _tag(page: Any, code: int) -> Any:
    return page.tags.valueof(code)


def _refuse(path: Path, page: Any, max_pixels: int) -> None:
    """Whatever is too large, or would not be read as it is meant."""
    check_size(path, (page.imagelength, page.imagewidth, page.imagedepth), max_pixels)
    samples = page.samplesperpixel
    if page.axes not in ("YX", "YXS", "SYX") or samples > 4:
        raise ImageError(
            f"{path} holds {samples} channels and a depth of {page.imagedepth}: expected grey or RGB pages."
        )
    if page.compression not in RATIOS:
        raise ImageError(
            f"{path} is compressed ({getattr(page.compression, 'name', page.compression)}), which is not read "
            "here: save it with LZW or Deflate, or uncompressed."
        )
    if page.is_tiled:
        check_size(path, (page.tilelength, page.tilewidth, page.tiledepth), max_pixels)
    extra = tuple(int(each) for each in page.extrasamples)
    photometric = page.photometric
    if photometric not in PHOTOMETRICS or (photometric == YCBCR and page.compression != JPEG):
        raise ImageError(
            f"{path} is {getattr(photometric, 'name', photometric)}, neither grey nor RGB: convert it to RGB "
            "first, with a program that knows its colour profile."
        )
    colours = 3 if photometric in (RGB, YCBCR) else 1
    if samples != colours + len(extra) or len(extra) > 1 or any(e not in ALPHAS for e in extra):
        raise ImageError(
            f"{path} holds {samples} channels, of which {samples - colours} are neither colour nor "
            "transparency: save it as grey, RGB or RGBA, or a channel a page."
        )
    _check_segments(path, page, max_pixels)


def _check_segments(path: Path, page: Any, max_pixels: int) -> None:
    size = page.parent.filehandle.size
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not segments or any(
        count < 1 or start < 1 or start + count > size for start, count in segments
    ):
        raise ImageError(
            f"{path} cannot be read (pixels that its header tells of are not in it): it may be incomplete; "
            "copy or save it again."
        )
    bits = page.imagelength * page.imagewidth * page.samplesperpixel * page.bitspersample
    check_bytes(path, bits // 8, max_pixels)
    check_held(path, bits // 8, sum(count for _, count in segments), RATIOS[page.compression])
    if page.is_tiled:
        tile = page.tilelength * page.tilewidth * page.bitspersample // 8
        check_bytes(path, tile, max_pixels)
        check_held(path, tile, max(count for _, count in segments), RATIOS[page.compression])


def _stored(path: Path, page: Any, pages: Any) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, C) in the numbers of the file."""
    if find_spec("imagecodecs") is None and (page.compression in IN_CODECS or page.predictor != 1):
        pixels = _by_pillow(path, page)
    else:
        pixels = page.asarray(squeeze=True, maxworkers=1).reshape(page.shape)
    return np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels


def _by_pillow(path: Path, page: Any) -> NDArray[Any]:
    with Image.open(path, formats=("TIFF",)) as picture:
        picture.seek(page.index)
        pixels = np.asarray(picture)
    if pixels.shape != page.shape or pixels.dtype != page.dtype:
        optional(path, "imagecodecs", "files", f"for TIFF compressed as {page.compression.name}")
    return pixels


def _shown(path: Path, page: Any, stored: NDArray[Any], photometric: int) -> NDArray[Any]:
    """Pixels with palettes expanded, 1-bit as 0 and 255, few bits spread, and 0 for black."""
    if photometric == PALETTE:
        colours = np.asarray(_tag(page, 320))
        if colours.ndim != 2 or len(colours) != 3 or stored.max(initial=0) >= colours.shape[1]:
            raise ImageError(f"{path} cannot be read (its palette is broken): save it as RGB.")
        return (colours >> PALETTE_SHIFT).astype(np.uint8).T[stored]
    bits = page.bitspersample
    if stored.dtype == bool or (stored.dtype == np.uint8 and bits < 8):
        stored = stored.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
        bits = 8
    if photometric == WHITE_IS_ZERO:
        if stored.dtype.kind != "u":
            raise ImageError(f"{path} has floats of which 0 is white: save it with 0 for black.")
        return stored.dtype.type(2**bits - 1) - stored
    return stored


def _dpi(page: Any) -> tuple[float, float] | None:
    """Dots an inch, where the file says so."""
    unit, resolution = page.resolutionunit, page.resolution
    factor = {2: 1.0, 3: 2.54}.get(int(unit))
    if factor is None or min(resolution) <= 0:
        return None
    return resolution[0] * factor, resolution[1] * factor


def _surroundings(file: Any, page: Any, pages: int) -> Surroundings:
    """What to write back; of a stack's descriptions only what holds for one page."""
    description = str(page.description or "")
    tags = [_plain(page.tags[code]) for code in KEPT_TAGS if code in page.tags]
    if file.is_imagej:
        description = str(file.pages[0].imagej_description)  # which only the first page has
        description = description if pages == 1 else COUNTS.sub("", description)
        metadata = file.imagej_metadata or {}
        names = ("Info", "Properties") + (
            ("Labels", "Ranges", "LUTs", "ROI", "Overlays") if pages == 1 else ()
        )
        kept = {name: metadata[name] for name in names if name in metadata}
        tags += tifffile.tifffile.imagej_metadata_tag(kept, file.byteorder)
    elif file.is_ome:
        description = str(file.ome_metadata)
    elif page.is_shaped:
        description = ""  # tifffile's own, of shapes that are written anew
    return Surroundings(
        byteorder=file.byteorder,
        compressed=page.compression != NONE,
        alpha=ALPHAS[int(page.extrasamples[0])] if page.extrasamples else None,
        description=description,
        pages=pages,
        physical_size=_physical_size(description),
        resolution=page.resolution,
        resolution_unit=int(page.resolutionunit),
        tags=tuple(tags),
        dtype=str(page.dtype),
    )


def _plain(tag: Any) -> tuple[Any, ...]:
    return (tag.code, int(tag.dtype), tag.count, tag.value, True)


def _physical_size(description: str) -> dict[str, Any]:
    found = dict(SIZE_IN_OME.findall(description))
    return {name: value if name.endswith("Unit") else float(value) for name, value in found.items()}
