"""DICOM with pydicom: a frame, in the units that its rescale slope gives (PS3.3, C.7.6.3, C.11.1)."""

import copy
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.io.limits import check_bytes, check_held, check_size
from bdip.io.record import ImageError, Loaded, only_page, optional

PHOTOMETRICS = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3}  # fmt: skip
DEFLATED = b"1.2.840.10008.1.2.1.99"
# About the pixels that were, or about frames that are left behind.
DROPPED = (
    "PixelData", "NumberOfFrames", "SmallestImagePixelValue", "LargestImagePixelValue", "FrameIncrementPointer",
    "FrameTime", "FrameTimeVector", "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "LossyImageCompressionRatio", "IconImageSequence",
)  # fmt: skip


def load_dicom(path: Path, page: int | None, max_pixels: int) -> Loaded:
    """Frame number `page` of a DICOM file, its modality's units applied."""
    pydicom = optional(path, "pydicom", "science", "to read DICOM")
    content = path.read_bytes()  # of bytes, a length that lies cannot ask for more than there are
    if DEFLATED in content:  # pydicom would unpack it without a limit
        raise ImageError(
            f"{path} is a deflated DICOM file: unpack it first, for example with dcmconv."
        )
    data = pydicom.dcmread(BytesIO(content))
    frames = _number(data, "NumberOfFrames", 1)
    _refuse(path, data, max_pixels)
    chosen = only_page(path, frames, page, "frames")
    stored = pydicom.pixels.pixel_array(data, index=chosen)
    slope, intercept = _rescaling(data)
    physical = stored
    if (slope, intercept) != (1.0, 0.0):
        physical = stored * np.float64(slope) + np.float64(intercept)
    return Loaded(physical, "DICOM", native=data)


def holds(path: Path, shape: tuple[int, ...], name: str, like: Loaded | None) -> None:
    """Raise ImageError where a DICOM file, or that of `like`, cannot hold an image of such numbers."""
    if like is None or like.kind != "DICOM":
        raise ImageError(f"{path}: DICOM is written for a DICOM input alone: use .tif or .npy.")
    if shape != like.pixels.shape or name != like.pixels.dtype.name:
        raise ImageError(f"{path}: DICOM holds what the input held, {like.pixels.dtype.name} of shape "
                         f"{like.pixels.shape}, not {name} of shape {shape}: use .tif or .npy.")  # fmt: skip


def encode_dicom(path: Path, pixels: NDArray[Any], like: Loaded | None) -> bytes:
    """The bytes of a DICOM file derived from that of `like`: same patient, a new instance."""
    pydicom = optional(path, "pydicom", "science", "to write DICOM")
    holds(path, pixels.shape, pixels.dtype.name, like)
    data = copy.deepcopy(like.native)  # type: ignore[union-attr]
    slope, intercept = _rescaling(data)
    bits = int(data.BitsStored)
    low = -(2 ** (bits - 1)) if data.PixelRepresentation else 0
    stored = np.rint((pixels.astype(np.float64) - intercept) / slope)
    stored = np.clip(stored, low, low + 2**bits - 1)
    kind = f"<{'i' if data.PixelRepresentation else 'u'}{int(data.BitsAllocated) // 8}"
    for name in DROPPED:
        if name in data:
            delattr(data, name)
    pydicom.pixels.set_pixel_data(
        data,
        stored.astype(kind),
        "RGB" if pixels.ndim == 3 else data.PhotometricInterpretation,
        bits,
    )
    data.ImageType = ["DERIVED", "SECONDARY", *list(data.get("ImageType", []))[2:]]
    content = BytesIO()
    data.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _number(data: Any, name: str, default: int) -> int:
    value = data.get(name)
    return default if value is None else int(value)


def _rescaling(data: Any) -> tuple[float, float]:
    slope, intercept = data.get("RescaleSlope", 1), data.get("RescaleIntercept", 0)
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _refuse(path: Path, data: Any, max_pixels: int) -> None:
    rows, columns = _number(data, "Rows", 0), _number(data, "Columns", 0)
    samples, bits = _number(data, "SamplesPerPixel", 1), _number(data, "BitsAllocated", 0)
    photometric = data.get("PhotometricInterpretation")
    if "PixelData" not in data or bits not in (8, 16):
        raise ImageError(
            f"{path} holds no pixels of 8 or 16 bits: convert it, or choose another file."
        )
    check_size(path, (rows, columns), max_pixels)
    if PHOTOMETRICS.get(photometric) != samples or "ModalityLUTSequence" in data:
        raise ImageError(
            f"{path} is {photometric} or has a table of values, neither grey nor RGB: convert it first."
        )
    check_bytes(path, rows * columns * samples * bits // 8, max_pixels)
    slope, intercept = _rescaling(data)
    if not (np.isfinite([slope, intercept]).all() and slope):
        raise ImageError(f"{path} has a rescale slope of {slope}: its values have no meaning.")
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = _number(data, "NumberOfFrames", 1)
        check_held(path, frames * rows * columns * samples * bits // 8, len(data.PixelData))
