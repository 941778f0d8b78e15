"""The planes of a JPEG file as it stores them, by Pillow's decoder, and the steps that they were rounded to."""

import math
import struct
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from bdip.io.notes import overhear
from bdip.io.pictures import ORIENTATION, pillow_limit
from bdip.io.read import load
from bdip.io.record import TURNS, ImageError

SIDE = 8  # pixels of a block
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of the segments that tell the size
SEQUENTIAL = (0xC0, 0xC1)  # those of files in which a block is stored at once
SCAN = 0xDA  # marker before the blocks
SIZE_AT = 5  # bytes from a frame's marker to height and width, 16 bits each
COUNT_AT = {"frame": 9, "scan": 4}  # bytes from a marker to the number of planes
MOST_SIDE = 2**16 - 1
ADOBE_RGB = 0  # what Adobe calls colours that are stored as red, green and blue
MIDDLE = 128  # grey levels, of Cb and Cr where there is no colour
REMEDY = "restore its pixels, without --jpeg"
SETTLED = 20  # rounds, each of which leaves a third of the error


class Planes(NamedTuple):
    """Y, Cb and Cr, or grey alone, (h, w) in grey levels, in whole blocks; Cb and Cr are 0 where there is no colour.

    Pixels of blocks that the picture's edge cuts, and no decoder shows, are NaN.
    `tables` (C, 8, 8) are the steps of their coefficients; `shape` (H, W) is the upright picture's; `subsampling` says how
    many pixels, down and across, share one Cb and Cr; `turn` how what is stored becomes upright (`record.TURNS`).
    """

    planes: tuple[NDArray[np.float64], ...]
    tables: NDArray[np.float64]
    shape: tuple[int, int]
    subsampling: tuple[int, int]
    turn: tuple[bool, tuple[int, ...]]


def load_planes(path: str | Path, max_pixels: int | None = None) -> Planes:
    """The planes of a JPEG file. Raises ImageError where it is none, or of a kind whose rounding is not known."""
    path = Path(path)
    loaded = load(path, max_pixels=max_pixels)  # all of its checks
    if loaded.kind != "JPEG":
        raise ImageError(f"{path} is {loaded.kind}, which was not rounded as JPEG is: {REMEDY}.")
    try:
        with overhear():  # what is said was said by `load`
            return _planes(path, loaded.pixels.shape[:2])
    except ImageError:
        raise
    except Exception as error:  # of damaged files, whose picture is read as far as it goes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{path} does not tell what it was rounded to ({reason}): {REMEDY}."
        ) from error


def _planes(path: Path, shape: tuple[int, ...]) -> Planes:
    content = path.read_bytes()
    with pillow_limit(math.prod(shape)), Image.open(BytesIO(content)) as picture:
        assert isinstance(picture, JpegImagePlugin.JpegImageFile)
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1), TURNS[1])
        subsampling = _subsampling(path, picture)
        tables = [picture.quantization[number] for *_, number in picture.layer]
    whole = _in_whole_blocks(path, content, subsampling)
    most = math.prod(n + 2 * SIDE for n in shape)
    with pillow_limit(most), Image.open(BytesIO(whole)) as picture:
        picture.draft("YCbCr", None)  # colours as they are stored; a grey picture stays grey
        decoded = np.asarray(picture, np.float64)
    light, *colours = [decoded] if decoded.ndim == 2 else np.moveaxis(decoded, -1, 0)
    stored = [_in_blocks(_stored(plane - MIDDLE, subsampling)) for plane in colours]
    steps = np.reshape(np.asarray(tables, np.float64), (-1, SIDE, SIDE))
    return Planes((light, *stored), steps, (shape[0], shape[1]), subsampling, turn)


def _subsampling(path: Path, picture: JpegImagePlugin.JpegImageFile) -> tuple[int, int]:
    """How many pixels, down and across, share one Cb and one Cr."""
    if picture.mode == "L":  # whatever it says there
        return 1, 1
    if picture.info.get("adobe_transform") == ADOBE_RGB:
        raise ImageError(f"{path} stores red, green and blue, not Y, Cb and Cr: {REMEDY}.")
    (_, across, down, _), *others = picture.layer
    if any(layer[1:3] != (1, 1) for layer in others) or not {down, across} <= {1, 2}:
        raise ImageError(
            f"{path} has its colours at other places than one or two pixels: {REMEDY}."
        )
    return down, across


def _in_whole_blocks(path: Path, content: bytes, subsampling: tuple[int, int]) -> bytes:
    """The file as one whose picture ends where its last block does: the decoder then shows all of it.

    Where all planes' blocks lie together, that may be the last block of colours, which reaches twice as far. Where each
    plane is by itself, or the file progressive, there are only so many blocks of light as the picture needs.
    """
    place, scan = (_segment(content, kinds) for kinds in (FRAMES, {SCAN}))
    together = (
        content[place + 1] in SEQUENTIAL
        and content[scan + COUNT_AT["scan"]] == content[place + COUNT_AT["frame"]]
    )
    sides = struct.unpack_from(">HH", content, place + SIZE_AT)
    reach = [SIDE * k if together else SIDE for k in subsampling]
    whole = [-(-n // k) * k for n, k in zip(sides, reach, strict=True)]
    if max(whole) > MOST_SIDE:
        raise ImageError(f"{path} is too long for its last blocks to be read: {REMEDY}.")
    changed = bytearray(content)
    struct.pack_into(">HH", changed, place + SIZE_AT, *whole)
    return bytes(changed)


def _segment(content: bytes, kinds: Collection[int]) -> int:
    """Where the first of these markers stands."""
    place = 2  # behind the file's own marker
    while content[place + 1] not in kinds:
        if content[place + 1] == 0xFF:  # of which any number may stand before a marker
            place += 1
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        place += 2 + length
    return place


def _in_blocks(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane with NaN up to its last block's end."""
    return np.pad(plane, [(0, -n % SIDE) for n in plane.shape], constant_values=np.nan)


def _stored(plane: NDArray[np.float64], subsampling: tuple[int, int]) -> NDArray[np.float64]:
    """A plane of colour as it is stored, from one in which libjpeg interpolated between values that pixels share.

    There a pixel is ¾ of the nearer value and ¼ of the farther, and the two that share c_i have the sum
    s_i = (c_(i−1) + 6 c_i + c_(i+1))/4, at the edges with c_i for the one that is missing. This solves for c by
    c_i ← (4 s_i − c_(i−1) − c_(i+1))/6, whose error falls to a third each time.
    """
    for axis, factor in enumerate(subsampling):
        if factor == 2:
            along = np.moveaxis(plane, axis, 0)
            sums = along[::2] + along[1::2]
            found = sums / 2
            for _ in range(SETTLED):
                more = np.concatenate([found[:1], found, found[-1:]])
                found = (4 * sums - more[:-2] - more[2:]) / 6
            plane = np.moveaxis(found, 0, axis)
    return plane
