"""What `benchmarks.fuzz` breaks: a valid file of every sort; and bombs, which are broken as they are."""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import tifffile
from hypothesis.extra.numpy import arrays
from PIL import Image

from benchmarks.picture_files import (
    Pixels,
    cases,
    dicom,
    fits,
    nifti,
    npy,
    pillow,
    png,
    png_chunk,
    random_pixels,
    tiff,
)

ARRAYS = 30  # that Hypothesis makes
SHAPE = (24, 17)
MANY = 2**26  # bytes that a bomb becomes


class Base(NamedTuple):
    """A valid file; `pack` is done to it after the damage, so that the damage is within."""

    name: str
    content: bytes
    pack: Callable[[bytes], bytes] | None = None


def bases(seed: int) -> list[Base]:
    """All valid files: the rows of the table of kinds, what is special, and Hypothesis' arrays."""
    found = [Base(case.name, case.encode(case.pixels(SHAPE, seed))) for case in cases()]
    grey, colour = (random_pixels(shape, "uint8", seed) for shape in (SHAPE, (*SHAPE, 3)))
    found += [*_pictures(grey, colour), *_tiffs(grey, colour), *_measured(grey)]
    found += [Base("NPY of Hypothesis", npy(array)) for array in made_arrays(seed)]
    return found


def made_arrays(seed: int) -> list[Pixels]:
    """Arrays of any number type, size and value that Hypothesis thinks of."""
    found: list[Pixels] = []
    dtypes = hypothesis.strategies.sampled_from(["u1", "u2", "f2", "f4", "f8", "i4", "?"])
    shapes = hypothesis.strategies.tuples(*[hypothesis.strategies.integers(1, 9)] * 2)

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=ARRAYS, database=None, deadline=None)
    @hypothesis.given(hypothesis.strategies.data())
    def collect(data: Any) -> None:
        found.append(data.draw(arrays(data.draw(dtypes), data.draw(shapes))))

    collect()
    return found[:ARRAYS]


def bombs() -> Iterator[tuple[str, str, bytes]]:
    """Small files that claim or become much: name, "bomb", content."""
    side = 9_999  # squared, just below the default limit
    huge = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    zeros = zlib.compress(bytes(2**24), 9)  # 16 MiB in 16 kB
    start, end = b"\x89PNG\r\n\x1a\n", png_chunk(b"IEND", b"")
    for name, header in {
        "huge": huge,
        "at the limit": struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0),
        "deep at the limit": struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0),
    }.items():
        whole = start + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zeros) + end
        yield f"PNG {name}", "bomb", whole
    profile = b"x\0\0" + zlib.compress(bytes(MANY), 9)
    yield "PNG profile", "bomb", png(np.zeros((4, 4), np.uint8), (b"iCCP", profile))
    text = b"x\0\0" + zlib.compress(bytes(MANY), 9)
    yield "PNG text", "bomb", png(np.zeros((4, 4), np.uint8), (b"zTXt", text))
    yield (
        "NPY huge",
        "bomb",
        npy(np.zeros((4, 4), np.uint8)).replace(b"(4, 4), }      ", b"(99999, 999), }"),
    )
    yield "NPZ", "bomb", _zero_npz((2**12, 2**14))
    member = npy(np.zeros((4, 4), np.uint8)) + bytes(MANY)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", member)
    yield "NPZ tail", "bomb", buffer.getvalue()
    sized = tiff(np.zeros((4, 4), np.uint8))
    for tag in (256, 257):
        entry = struct.pack("<HHII", tag, 4, 1, 4)
        yield "TIFF", "bomb", sized.replace(entry, struct.pack("<HHII", tag, 4, 1, 2**31 - 1))
    yield "TIFF Deflate", "bomb", _deflated_tiff(MANY)
    yield "gzip", "bomb", gzip.compress(bytes(MANY))
    volume = nifti(np.zeros((4, 4), np.uint8))
    shape = struct.pack("<8h", 3, 9_000, 9_000, 9_000, 1, 1, 1, 1)
    yield "NIfTI huge", "bomb", volume[:40] + shape + volume[56:]
    offset = struct.pack("<f", 1e9)
    yield "NIfTI offset", "bomb", gzip.compress(volume[:108] + offset + volume[112:] + bytes(MANY))
    plane = fits(np.zeros((4, 4), np.uint8))
    yield "FITS huge", "bomb", plane.replace(b"  4", b"999", 2)
    yield "WebP huge", "bomb", _huge_webp()
    yield "DICOM huge", "bomb", dicom(np.zeros((4, 4), np.uint8), Rows=60_000, Columns=60_000)
    yield "DICOM frames", "bomb", dicom(np.zeros((4, 4), np.uint8), NumberOfFrames=2**30)


def _zero_npz(shape: tuple[int, int]) -> bytes:
    """An archive of zeros in float64, made without ever holding them."""
    header = npy(np.zeros((1, 1))).replace(
        b"(1, 1), }" + 10 * b" ", f"{shape}, }}".ljust(19).encode()
    )
    buffer = BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("photo.npy", "w") as file,
    ):
        file.write(header[:-8])
        for _ in range(shape[0]):
            file.write(bytes(8 * shape[1]))
    return buffer.getvalue()


def _deflated_tiff(size: int) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.zeros((16, 16), np.uint8), compression="zlib")
    small = zlib.compress(bytes(size), 9)
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        tags = file.pages[0].tags  # type: ignore[union-attr]
        places = {code: tags[code].valueoffset for code in (273, 279)}
    content = bytearray(buffer.getvalue())
    struct.pack_into("<I", content, places[273], len(content))
    struct.pack_into("<I", content, places[279], len(small))
    return bytes(content) + small


def _huge_webp() -> bytes:
    content = bytearray(pillow(np.zeros((4, 4, 3), np.uint8), "WEBP", lossless=True))
    struct.pack_into("<I", content, 21, 0x0FFFFFFF)  # both sides 16384
    return bytes(content)


def _pictures(grey: Pixels, colour: Pixels) -> Iterator[Base]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    pages = [Image.fromarray(colour), Image.fromarray(colour[::-1].copy())]
    several: dict[str, Any] = {"save_all": True, "append_images": pages[1:]}
    palette = Image.fromarray(colour).convert("P")
    yield Base("JPEG with EXIF", pillow(colour, "JPEG", exif=exif, icc_profile=bytes(300)))
    yield Base("JPEG progressive", pillow(colour, "JPEG", progressive=True))
    yield Base("JPEG CMYK", _saved(Image.fromarray(colour).convert("CMYK"), "JPEG"))
    yield Base("JPEG of several", _saved(pages[0], "MPO", **several))
    yield Base("PNG palette", _saved(palette, "PNG", transparency=3))
    yield Base("PNG 1-bit", _saved(Image.fromarray(grey > 99), "PNG"))
    yield Base("PNG animated", _saved(pages[0], "PNG", **several))
    yield Base("PNG key", png(colour.astype(np.uint16), (b"tRNS", bytes(6))))
    chunks = [(b"iCCP", b"x\0\0" + zlib.compress(bytes(200))), (b"eXIf", exif.tobytes()[6:])]
    yield Base("PNG with EXIF", png(colour, *chunks, (b"tEXt", b"a\0b")))
    yield Base("GIF animated", _saved(pages[0].convert("P"), "GIF", **several))
    yield Base("GIF transparent", _saved(palette, "GIF", transparency=3))
    yield Base("WebP lossy", _saved(pages[0], "WEBP", exif=exif))
    yield Base("WebP animated", _saved(pages[0], "WEBP", **several))
    yield Base("BMP palette", _saved(palette, "BMP"))


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _tiffs(grey: Pixels, colour: Pixels) -> Iterator[Base]:
    def written(pixels: Pixels, **options: Any) -> bytes:
        buffer = BytesIO()
        kind = {name: options.pop(name, False) for name in ("bigtiff", "imagej", "ome")}
        tifffile.imwrite(buffer, pixels, **kind, **options)
        return buffer.getvalue()

    yield Base("TIFF LZW", written(grey, compression="lzw", predictor=True))
    yield Base("TIFF Deflate", written(colour, compression="zlib"))
    yield Base("TIFF Zstandard", written(grey, compression="zstd"))
    yield Base("TIFF PackBits", written(grey, compression="packbits"))
    yield Base("TIFF JPEG", written(colour, compression="jpeg", photometric="rgb"))
    yield Base("TIFF tiled", written(colour, tile=(16, 16), compression="zlib"))
    yield Base(
        "TIFF planes",
        written(np.moveaxis(colour, -1, 0), photometric="rgb", planarconfig="separate"),
    )
    yield Base("TIFF pages", written(np.stack([grey, grey]), photometric="minisblack"))
    yield Base("TIFF big", written(grey, bigtiff=True))
    yield Base(
        "TIFF ImageJ", written(grey, imagej=True, resolution=(3, 3), metadata={"unit": "um"})
    )
    yield Base("TIFF OME", written(grey, ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.5}))
    yield Base("TIFF palette", _saved(Image.fromarray(colour).convert("P"), "TIFF"))
    yield Base("TIFF 1-bit", _saved(Image.fromarray(grey > 99), "TIFF"))


def _measured(grey: Pixels) -> Iterator[Base]:
    signed = grey.astype(np.int16)
    volume = np.stack([signed, signed], axis=-1)
    yield Base("NIfTI packed", gzip.compress(nifti(volume, 2, -5), mtime=0))
    yield Base(
        "NIfTI within", nifti(volume, 2, -5), lambda content: gzip.compress(content, mtime=0)
    )
    yield Base("NPY within NPZ", npy(grey), _zipped)
    yield Base("FITS cube", fits(np.moveaxis(volume, -1, 0), BSCALE=0.5, BZERO=3, BLANK=7))
    yield Base("DICOM rescaled", dicom(signed, RescaleSlope=2, RescaleIntercept=-1024))
    yield Base("DICOM frames", dicom(np.stack([grey, grey]), NumberOfFrames=2))
    yield Base("DICOM RLE", _packed_dicom(grey))


def _zipped(content: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo.npy", content)
    return buffer.getvalue()


def _packed_dicom(grey: Pixels) -> bytes:
    import pydicom

    data = pydicom.dcmread(BytesIO(dicom(grey)))
    data.compress(pydicom.uid.RLELossless)
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
