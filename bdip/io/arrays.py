"""NumPy's .npy and .npz: plain numbers only, never a pickle, headers checked before the data."""

import zipfile
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bdip.io.limits import DEFLATE_RATIO, check_bytes, check_held, check_size
from bdip.io.record import ImageError, Loaded, only_page

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def load_npy(path: Path, page: int | None, max_pixels: int) -> Loaded:
    """The array of a .npy file."""
    only_page(path, 1, page)
    with path.open("rb") as file:
        return Loaded(_array(path, file, path.stat().st_size, max_pixels), "NPY")


def load_npz(path: Path, page: int | None, max_pixels: int) -> Loaded:
    """The one array of an .npz file."""
    only_page(path, 1, page)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(members) != 1:
            listed = ", ".join(names) or "none"
            raise ImageError(
                f"{path} holds {len(members)} arrays ({listed}): save the image's alone."
            )
        (member,) = members
        if member.compress_type not in METHODS:
            raise ImageError(f"{path} is no archive as numpy.savez writes it: write it again.")
        ratio = DEFLATE_RATIO if member.compress_type == zipfile.ZIP_DEFLATED else 1
        check_held(path, member.file_size, member.compress_size, ratio)
        with archive.open(member) as file:
            pixels = _array(path, file, member.file_size, max_pixels)
    return Loaded(pixels, "NPZ", native=names[0])


def encode_npy(pixels: NDArray[Any]) -> bytes:
    """The bytes of a .npy file."""
    buffer = BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()


def encode_npz(pixels: NDArray[Any], like: Loaded | None) -> bytes:
    """The bytes of an .npz file, its array named as in `like`."""
    name = like.native if like is not None and like.kind == "NPZ" else "image"
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", encode_npy(pixels))
    return buffer.getvalue()


def _array(path: Path, file: IO[bytes], held: int, max_pixels: int) -> NDArray[Any]:
    try:
        shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
        if dtype.hasobject or dtype.names or dtype.subdtype or dtype.kind not in "biuf":
            raise ValueError("no plain numbers")
        if len(shape) not in (2, 3):
            raise ImageError(
                f"{path} holds shape {shape}: expected one image, (H, W) or (H, W, 3)."
            )
        check_size(path, shape[:2], max_pixels)
        needed = prod(shape) * dtype.itemsize
        check_bytes(path, needed, max_pixels)
        if needed > held:
            raise ValueError("too short")
        content = file.read(needed)
        return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, KeyError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"{path} is no complete NumPy file of plain numbers: write it again with numpy.save."
        ) from error
