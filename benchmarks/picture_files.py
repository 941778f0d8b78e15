"""Valid files of every kind, written by hand or by other libraries than `bdip.io` reads them with.

So that a test of reading is a comparison of two, and `benchmarks.fuzz` has something to break.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
CHANNELS = {"grey": 1, "grey and alpha": 2, "colour": 3, "colour and alpha": 4}
LOSSY = "JPEG"


class Case(NamedTuple):
    """One row of the table of kinds: "PNG", ".png", "uint16", "colour and alpha"."""

    kind: str
    suffix: str
    dtype: str
    channels: str

    @property
    def name(self) -> str:
        """The row in words."""
        return f"{self.kind} {self.dtype} {self.channels}"

    def pixels(self, shape: tuple[int, int] = (5, 7), seed: int = 0) -> Pixels:
        """Random pixels (H, W) or (H, W, C) of every value that the type has, alpha last."""
        count = CHANNELS[self.channels]
        return random_pixels((*shape, count) if count > 1 else shape, self.dtype, seed)

    def encode(self, pixels: Pixels) -> bytes:
        """A file that holds them."""
        return WRITERS[self.kind](pixels)


def random_pixels(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Pixels:
    """Pixels that use all of an integer type; floats beyond [0, 1] on purpose."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0.5, 1, shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def cases() -> Iterator[Case]:
    """All rows: every kind, with each number and channel that it can hold."""
    for kind, (suffix, numbers, channels) in KINDS.items():
        for dtype in numbers:
            for channel in channels:
                yield Case(kind, suffix, dtype, channel)


def png(pixels: Pixels, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file, chunks put between header and data (PNG, third edition, section 5)."""
    deep = pixels.dtype == np.uint16
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[-1]]
    header = struct.pack(">IIBBBBB", *pixels.shape[1::-1], 16 if deep else 8, colour_type, 0, 0, 0)
    rows = pixels.astype(">u2" if deep else "u1").reshape(len(pixels), -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    listed = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in listed)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and its check sum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(pixels: Pixels, *entries: tuple[int, int, int, int]) -> bytes:
    """An uncompressed TIFF file of one strip; entries are (tag, type, count, value) (TIFF 6.0, section 2)."""
    count = 1 if pixels.ndim == 2 else pixels.shape[-1]
    colour, bits = count >= 3, 8 * pixels.dtype.itemsize
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    each = len(data) + 8  # where the samples' bit depths stand
    formats = each + 2 * count
    sample_format = 3 if pixels.dtype.kind == "f" else 1
    short, long = 3, 4
    fields = [
        (256, long, 1, pixels.shape[1]), (257, long, 1, pixels.shape[0]),
        (258, short, count, bits if count == 1 else bits * 65537 if count == 2 else each),
        (259, short, 1, 1), (262, short, 1, 2 if colour else 1), (273, long, 1, 8), (277, short, 1, count),
        (278, long, 1, pixels.shape[0]), (279, long, 1, len(data)), (284, short, 1, 1),
        (339, short, count, sample_format if count == 1 else sample_format * 65537 if count == 2 else formats),
        *([(338, short, 1, 2)] if count in (2, 4) else []), *entries,
    ]  # fmt: skip
    samples = struct.pack(f"<{2 * count}H", *[bits] * count, *[sample_format] * count)
    directory = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    start = formats + 2 * count
    return (
        struct.pack("<2sHI", b"II", 42, start) + data + samples
        + struct.pack("<H", len(fields)) + directory + struct.pack("<I", 0)
    )  # fmt: skip


def npy(pixels: Pixels) -> bytes:
    """A .npy file, version 1.0."""
    header = f"{{'descr': '{pixels.dtype.str}', 'fortran_order': False, 'shape': {pixels.shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + pixels.tobytes()


def npz(pixels: Pixels) -> bytes:
    """An .npz file of one array."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("photo.npy"), npy(pixels), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def fits(pixels: Pixels, **cards: Any) -> bytes:
    """A FITS file of one image or cube (FITS 4.0, section 3); uint16 by its BZERO convention."""
    bitpix = {"uint8": 8, "uint16": 16, "int16": 16, "int32": 32, "float32": -32, "float64": -64}
    own = {"SIMPLE": "T", "BITPIX": bitpix[pixels.dtype.name], "NAXIS": pixels.ndim}
    own |= {f"NAXIS{n + 1}": size for n, size in enumerate(pixels.shape[::-1])}
    if pixels.dtype == np.uint16:
        own |= {"BSCALE": 1, "BZERO": 32768}
        pixels = (pixels.astype(np.int32) - 32768).astype(np.int16)
    text = "".join(f"{key:<8}= {value!s:>20}".ljust(80) for key, value in (own | cards).items())
    data = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    block = 2880
    header = (text + "END".ljust(80)).encode()
    return header.ljust(-(-len(header) // block) * block) + data.ljust(
        -(-len(data) // block) * block, b"\0"
    )


def nifti(pixels: Pixels, slope: float = 1, intercept: float = 0, affine: Any = None) -> bytes:
    """A NIfTI-1 file, little-endian; pixels (H, W) or (H, W, slices)."""
    codes = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "uint16": 512}
    header = bytearray(352)
    sizes = (*pixels.shape, *(7 - pixels.ndim) * (1,))
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, pixels.ndim, *sizes)
    struct.pack_into("<hh", header, 70, codes[pixels.dtype.name], 8 * pixels.dtype.itemsize)
    struct.pack_into("<8f", header, 76, 1, *[1] * 7)
    struct.pack_into("<fff", header, 108, 352, slope, intercept)
    if affine is not None:
        struct.pack_into("<h", header, 254, 1)
        struct.pack_into("<12f", header, 280, *np.asarray(affine, float)[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header) + pixels.tobytes(order="F")


def dicom(pixels: Pixels, **elements: Any) -> bytes:
    """A DICOM file (Secondary Capture), uncompressed; a stack of frames where NumberOfFrames says so."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = UID("1.2.3")
    data.PatientName, data.ImageType = "Test^Picture", ["ORIGINAL", "PRIMARY"]
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    data.Rows, data.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = (
        (3, "RGB") if colour else (1, "MONOCHROME2")
    )
    if colour:
        data.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    data["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in elements.items():
        setattr(data, name, value)
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def pillow(pixels: Pixels, kind: str, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[Pixels], bytes]] = {
    "PNG": png,
    "TIFF": tiff,
    "JPEG": lambda pixels: bytes(imagecodecs.jpeg_encode(pixels, level=95)),
    "BMP": lambda pixels: bytes(imagecodecs.bmp_encode(pixels)),
    "GIF": lambda pixels: bytes(imagecodecs.gif_encode(pixels)),
    "WebP": lambda pixels: bytes(imagecodecs.webp_encode(pixels, lossless=True)),
    "NPY": npy,
    "NPZ": npz,
    "FITS": fits,
    "DICOM": dicom,
    "NIfTI": nifti,
}
SHALLOW, WHOLE, ALL = ("uint8",), ("uint8", "uint16"), ("uint8", "uint16", "float32")
GREY, OPAQUE = ("grey",), ("grey", "colour")
KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "PNG": (".png", WHOLE, tuple(CHANNELS)),
    "TIFF": (".tif", ALL, tuple(CHANNELS)),
    "JPEG": (".jpg", SHALLOW, OPAQUE),
    "BMP": (".bmp", SHALLOW, OPAQUE),
    "GIF": (".gif", SHALLOW, GREY),
    "WebP": (".webp", SHALLOW, ("colour", "colour and alpha")),
    "NPY": (".npy", ALL, OPAQUE),
    "NPZ": (".npz", ALL, OPAQUE),
    "FITS": (".fits", ALL, GREY),
    "DICOM": (".dcm", WHOLE, OPAQUE),
    "NIfTI": (".nii", ALL, GREY),
}
