"""PNG's chunks: what Pillow does not say of them, and what it does not write (PNG, third edition)."""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL.PngImagePlugin import putchunk

from bdip.io.record import ImageError, Loaded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = 33  # bytes: the signature, and the 25 of IHDR (section 11.2.1)
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type
GREY, PALETTE = 0, 3
# Chunks about the colours, size and origin of the picture, not about its pixels.
KEPT = (
    b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"tEXt", b"zTXt", b"iTXt",
)  # fmt: skip
XMP = b"XML:com.adobe.xmp"  # may have an orientation of its own
INCH = 0.0254  # metres


@dataclass(frozen=True)
class Header:
    """IHDR, and the chunks worth keeping."""

    width: int
    height: int
    depth: int
    colour_type: int
    kept: tuple[tuple[bytes, bytes], ...]
    has_key: bool

    @property
    def is_deep(self) -> bool:
        """Whether Pillow would cut its 16 bits to 8: all but plain grey."""
        return self.depth == 16 and (self.colour_type != GREY or self.has_key)

    @property
    def bytes(self) -> int:
        """Bytes of the inflated rows, each with its filter."""
        bits = self.width * CHANNELS[self.colour_type] * self.depth
        return self.height * (1 + (bits + 7) // 8)


def header(path: Path, content: bytes) -> Header:
    """What the chunks of a PNG file say. Raises ImageError where its IHDR is not one, or not alone."""
    chunks = list(_chunks(content))
    names = [name for name, _ in chunks]
    if names[:1] != [b"IHDR"] or names.count(b"IHDR") > 1 or len(chunks[0][1]) != 13:
        raise ImageError(f"{path} cannot be read (its PNG header is broken): save it again.")
    width, height, depth, colour_type = struct.unpack(">IIBB", chunks[0][1][:10])
    if colour_type not in CHANNELS:
        raise ImageError(f"{path} cannot be read (PNG colour type {colour_type}): save it again.")
    kept = tuple(chunk for chunk in chunks if chunk[0] in KEPT and not chunk[1].startswith(XMP))
    return Header(width, height, depth, colour_type, kept, b"tRNS" in names)


def with_chunks(encoded: bytes, like: Loaded | None) -> bytes:
    """A PNG file with the metadata of another file put behind its header."""
    if like is None:
        return encoded
    buffer = BytesIO()
    for name, data in like.native.kept if like.kind == "PNG" else _standard(like):
        putchunk(buffer, name, data)
    if like.exif:
        putchunk(buffer, b"eXIf", like.exif.removeprefix(b"Exif\0\0"))
    return encoded[:HEADER_END] + buffer.getvalue() + encoded[HEADER_END:]


def _standard(like: Loaded) -> list[tuple[bytes, bytes]]:
    chunks = []
    if like.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(like.icc)))
    if like.dpi:
        dots = [round(float(dpi) / INCH) for dpi in like.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *dots, 1)))
    return chunks


def _chunks(content: bytes):  # type: ignore[no-untyped-def]
    place = len(SIGNATURE)
    while place + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        yield name, content[place + 8 : place + 8 + length]
        place += 12 + length
