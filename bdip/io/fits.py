"""FITS with astropy: an image or a plane of a cube, in physical units (FITS 4.0, section 4.4.2.5)."""

from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.io.limits import MAX_PAGES, check_bytes, check_held, check_size
from bdip.io.record import ImageError, Loaded, only_page, optional

# Cards that describe how numbers were stored, which is decided anew.
STORED = ("BLANK", "CHECKSUM", "DATASUM", "DATAMIN", "DATAMAX", "EXTNAME", "EXTVER", "INHERIT")


def load_fits(path: Path, page: int | None, max_pixels: int) -> Loaded:
    """Plane number `page` of all image planes of a FITS file, counted through its extensions."""
    fits = optional(path, "astropy.io.fits", "science", "to read FITS")
    with fits.open(path, memmap=False, disable_image_compression=True) as file:
        units = [unit for unit in file[:MAX_PAGES] if _is_image(fits, unit)]
        counts = [prod(unit.shape[:-2]) for unit in units]
        if not units:
            raise ImageError(
                f"{path} holds no image: expected one in plain FITS; unpack a compressed one with funpack."
            )
        plane = only_page(path, sum(counts), page, "planes")
        while plane >= counts[0]:
            plane -= counts.pop(0)
            units.pop(0)
        unit = units[0]
        itemsize = abs(unit.header["BITPIX"]) // 8
        check_size(path, unit.shape[-2:], max_pixels)
        check_bytes(path, prod(unit.shape[-2:]) * itemsize, max_pixels)
        check_held(path, prod(unit.shape) * itemsize, path.stat().st_size)
        place = np.unravel_index(plane, unit.shape[:-2]) if unit.shape[:-2] else ()
        pixels = np.asarray(unit.section[(*(int(n) for n in place), slice(None), slice(None))])
        header = unit.header.copy(strip=True)
    for card in STORED:
        header.remove(card, ignore_missing=True, remove_all=True)
    return Loaded(pixels, "FITS", native=header)


def encode_fits(path: Path, pixels: NDArray[Any], like: Loaded | None) -> bytes:
    """The bytes of a FITS file, with the cards of `like`."""
    fits = optional(path, "astropy.io.fits", "science", "to write FITS")
    header = like.native.copy() if like is not None and like.kind == "FITS" else None
    buffer = BytesIO()
    fits.PrimaryHDU(pixels, header=header).writeto(buffer, output_verify="silentfix")
    return buffer.getvalue()


def _is_image(fits: Any, unit: Any) -> bool:
    kinds = (fits.PrimaryHDU, fits.ImageHDU)
    return isinstance(unit, kinds) and len(unit.shape) >= 2 and 0 not in unit.shape
