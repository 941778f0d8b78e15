"""NIfTI-1 and -2 (.nii, .nii.gz) with nibabel's headers: a slice, in physical units.

Only the header is read by nibabel. The voxels of the slice are read here, because a packed file
must be unpacked no further than its header says.
"""

import gzip
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.io.limits import DEFLATE_RATIO, check_bytes, check_held, check_size
from bdip.io.record import ImageError, Loaded, only_page, optional

GZIP = b"\x1f\x8b"
HEADER_BYTES = {348: "Nifti1Header", 540: "Nifti2Header"}
MOST_SKIPPED = 2**26  # bytes between header and voxels, where extensions lie
CHUNK = 2**20  # bytes skipped at once


def is_nifti(head: bytes) -> bool:
    """Whether the first bytes of a file, unpacked, are those of NIfTI in one file."""
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def load_nifti(path: Path, page: int | None, max_pixels: int) -> Loaded:
    """Slice number `page` along the third axis, and those after it, of a NIfTI file."""
    nibabel = optional(path, "nibabel", "science", "to read NIfTI")
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) if packed else raw as file:
            header = _header(path, nibabel, file)
            shape = tuple(int(size) for size in header.get_data_shape())
            dtype, offset = header.get_data_dtype(), int(header["vox_offset"])
            _refuse(path, header, shape, max_pixels)
            ratio = DEFLATE_RATIO if packed else 1
            check_held(path, offset + prod(shape) * dtype.itemsize, path.stat().st_size, ratio)
            chosen = only_page(path, prod(shape[2:]), page, "slices")
            size = shape[0] * shape[1] * dtype.itemsize
            _skip(file, offset + chosen * size - file.tell())
            stored = np.frombuffer(file.read(size), dtype).reshape(shape[:2], order="F")
    slope, intercept = header.get_slope_inter()
    header_there = _of_slice(header, chosen % shape[2] if len(shape) > 2 else 0)
    return Loaded(_physical(stored, slope, intercept), "NIfTI", native=header_there)


def encode_nifti(path: Path, pixels: NDArray[Any], like: Loaded | None) -> bytes:
    """The bytes of a .nii or .nii.gz file: one slice, placed where that of `like` was."""
    nibabel = optional(path, "nibabel", "science", "to write NIfTI")
    header = like.native.copy() if like is not None and like.kind == "NIfTI" else None
    affine = np.eye(4) if header is None else header.get_best_affine()
    double = header is not None and header["sizeof_hdr"] == 540
    image = (nibabel.Nifti2Image if double else nibabel.Nifti1Image)(
        pixels[:, :, None], affine, header
    )
    image.header.set_data_dtype(pixels.dtype)
    image.header.set_slope_inter(1, 0)
    content = BytesIO()
    image.to_stream(content)
    return (
        gzip.compress(content.getvalue(), mtime=0) if path.suffix == ".gz" else content.getvalue()
    )


def _header(path: Path, nibabel: Any, file: Any) -> Any:
    head = file.read(max(HEADER_BYTES))
    for size, name in HEADER_BYTES.items():
        for order in ("little", "big"):
            if int.from_bytes(head[:4], order) == size and len(head) >= size:  # type: ignore[arg-type]
                return getattr(nibabel, name)(head[:size], check=False)
    raise ImageError(f"{path} cannot be read (its NIfTI header is broken): save it again.")


def _refuse(path: Path, header: Any, shape: tuple[int, ...], max_pixels: int) -> None:
    if len(shape) < 2:
        raise ImageError(f"{path} holds shape {shape}: expected slices (H, W).")
    check_size(path, shape, max_pixels, "voxels")
    dtype = header.get_data_dtype()
    check_bytes(path, shape[0] * shape[1] * dtype.itemsize, max_pixels)
    if dtype.names or dtype.kind not in "iuf":
        raise ImageError(
            f"{path} holds {dtype}: expected one number a voxel; save its channels apart."
        )
    if not int(header["sizeof_hdr"]) <= int(header["vox_offset"]) <= MOST_SKIPPED:
        raise ImageError(f"{path} cannot be read (its NIfTI header is broken): save it again.")


def _skip(file: Any, count: int) -> None:
    if count < 0:
        file.seek(count, 1)
    while count > 0:
        passed = len(file.read(min(count, CHUNK)))
        if not passed:
            return
        count -= passed


def _physical(stored: NDArray[Any], slope: float | None, intercept: float | None) -> NDArray[Any]:
    if slope in (None, 1.0) and intercept in (None, 0.0):
        return stored
    return stored * np.float64(slope or 1) + np.float64(intercept or 0)


def _of_slice(header: Any, position: int) -> Any:
    """The header of one slice: its affine starts there, and it has no time."""
    affine = header.get_best_affine()
    affine[:3, 3] += position * affine[:3, 2]
    own = header.copy()
    own.set_data_shape((*header.get_data_shape()[:2], 1))
    own.set_sform(affine, code=int(header["sform_code"]) or 1)
    if header["qform_code"]:
        own.set_qform(affine, code=int(header["qform_code"]))
    return own
