"""Files that lie, and files that are broken: refused before anything is set aside for them."""

import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bdip.io import ImageError, check_output, load, load_image, load_mask, save_image
from bdip.io.limits import MAX_PIXELS, check_held
from benchmarks import fuzz
from benchmarks.fuzz_files import bases, bombs
from benchmarks.picture_files import cases, png, random_pixels, tiff

ONE_OF_EACH = {case.kind: case for case in cases()}
BOMBS = {f"{name} {number}": content for number, (name, _, content) in enumerate(bombs())}
HARMLESS = ("NPZ tail",)  # its array is small, and nothing else of it is read


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_every_kind_has_a_limit_of_pixels(tmp_path, monkeypatch, kind):
    case = ONE_OF_EACH[kind]
    path = written(tmp_path / f"a{case.suffix}", case.encode(case.pixels((10, 10))))
    # Four bytes a pixel on average: float32 colours and alpha have sixteen.
    most = 100 * -(-case.pixels((1, 1)).nbytes // 4)
    assert load(path, max_pixels=most).pixels.shape[:2] == (10, 10)
    for limit in (99, "99"):
        with pytest.raises(ImageError, match="too many pixels for the limit of .*BDIP_MAX_PIXELS"):
            load(path, max_pixels=limit)
    monkeypatch.setenv("BDIP_MAX_PIXELS", "99")
    with pytest.raises(ImageError, match="too many pixels"):
        load_mask(path)
    assert load(path, max_pixels=most).pixels.shape[:2] == (10, 10)


@pytest.mark.parametrize("text", ["many", "0", "-5", "1e8"])
def test_a_limit_that_is_no_whole_number_is_refused(tmp_path, monkeypatch, text):
    path = written(tmp_path / "a.png", png(np.zeros((2, 2), np.uint8)))
    monkeypatch.setenv("BDIP_MAX_PIXELS", text)
    with pytest.raises(ImageError, match=f"BDIP_MAX_PIXELS is '{text}': expected a whole number"):
        load(path)


def test_pillows_own_limit_gives_way_to_ours(tmp_path, monkeypatch):
    path = written(tmp_path / "a.bmp", ONE_OF_EACH["BMP"].encode(random_pixels((9, 9), "uint8")))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert load_image(path).shape == (9, 9)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_memory_is_set_aside(tmp_path, name):
    path = written(tmp_path / "bomb", BOMBS[name])
    load_safely(path)  # so that imports do not count
    tracemalloc.start()
    try:
        assert load_safely(path) == name.startswith(HARMLESS)
        # The file itself, twice, and what a library sets aside for any file.
        assert tracemalloc.get_traced_memory()[1] < 2 * len(BOMBS[name]) + 2**22
    finally:
        tracemalloc.stop()


def load_safely(path):
    try:
        load(path)
    except ImageError:
        return False
    return True


def test_what_a_file_can_become_bounds_what_its_header_may_say():
    check_held(Path("a"), 1032 * 7, 7, 1032)
    with pytest.raises(ImageError, match="too short"):
        check_held(Path("a"), 1032 * 7 + 1, 7, 1032)
    # Zeros are what deflates best: no more than 1032 bytes from each (RFC 1951).
    assert 2**24 / len(zlib.compress(bytes(2**24), 9)) < 1032


def test_the_default_limit_is_that_of_the_documentation():
    assert MAX_PIXELS == 100_000_000


def test_two_headers_of_a_png_are_refused(tmp_path):
    # The second would be obeyed by one decoder and not by the other.
    deep = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    path = written(tmp_path / "a.png", png(np.zeros((2, 2, 3), np.uint8), (b"IHDR", deep)))
    with pytest.raises(ImageError, match="header is broken"):
        load(path)


def test_pixels_that_a_tiff_does_not_hold_are_not_made_up(tmp_path):
    content = bytearray(tiff(random_pixels((8, 8), "uint8")))
    offset = content.index(struct.pack("<HHII", 273, 4, 1, 8)) + 8
    struct.pack_into("<I", content, offset, len(content) - 10)
    with pytest.raises(ImageError, match="pixels that its header tells of are not in it"):
        load(written(tmp_path / "a.tif", bytes(content)))


# ---- packages that are not installed

DEEP_COLOUR = random_pixels((5, 7, 3), "uint16")


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [("PNG", "imagecodecs", "files"), ("FITS", "astropy.io.fits", "science"),
     ("NIfTI", "nibabel", "science"), ("DICOM", "pydicom", "science")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, kind, package, extra):
    case = ONE_OF_EACH[kind]
    content = png(DEEP_COLOUR) if kind == "PNG" else case.encode(case.pixels())
    path = written(tmp_path / f"a{case.suffix}", content)
    monkeypatch.setitem(sys.modules, package, None)
    name = package.split(".")[0]
    with pytest.raises(
        ImageError, match=rf"needs {name} .*pip install 'bdip\[{extra}\]'"
    ) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    if kind == "PNG":
        with pytest.raises(ImageError, match=r"bdip\[files\]"):
            check_output(tmp_path / "out.png", (5, 7, 3), np.uint16)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("uint8", (5, 7)), ("uint8", (5, 7, 3)), ("uint16", (5, 7))]
)
def test_without_imagecodecs_plain_compressed_tiff_is_still_read(
    tmp_path, monkeypatch, dtype, shape
):
    pixels = random_pixels(shape, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="lzw")
    monkeypatch.setattr("bdip.io.tiff.find_spec", lambda name: None)
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif"), pixels)


def test_without_imagecodecs_deep_compressed_colours_are_refused(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", DEEP_COLOUR, compression="lzw")
    monkeypatch.setattr("bdip.io.tiff.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        ImageError, match=r"for TIFF compressed as LZW: pip install 'bdip\[files\]'"
    ):
        load(tmp_path / "a.tif")


# ---- masks of turned pictures

MASK = np.zeros((5, 7), np.uint8)
MASK[0, 1:4] = 255


def saved(path, pixels, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_mask_is_turned_as_its_own_exif_says(tmp_path, orientation):
    photo = saved(tmp_path / "photo.png", MASK, orientation)
    mask = load_mask(saved(tmp_path / "mask.png", MASK, orientation), like=load(photo))
    np.testing.assert_array_equal(mask, load_image(photo) > 0)


def test_a_mask_that_is_not_turned_with_its_picture_is_explained(tmp_path):
    turned = saved(tmp_path / "turned.png", MASK, 6)
    plain = saved(tmp_path / "plain.png", MASK)
    with pytest.raises(ImageError, match="EXIF says that the image is to be turned"):
        load_mask(plain, like=load(turned))
    with pytest.raises(ImageError, match="EXIF says that the mask is to be turned"):
        load_mask(turned, like=load(plain))
    small = saved(tmp_path / "small.png", MASK[1:])
    with pytest.raises(ImageError, match=r"mask has shape \(4, 7\) but image is \(5, 7\): save it"):
        load_mask(small, like=load(plain))


def test_a_mask_renamed_from_a_jpeg_gets_the_advice(tmp_path):
    disc = np.add.outer(np.arange(-16, 16) ** 2, np.arange(-16, 16) ** 2) < 100
    Image.fromarray(disc * np.uint8(255)).save(tmp_path / "mask.png", "JPEG")
    with pytest.raises(ImageError, match="JPEG blurs.*PNG"):
        load_mask(tmp_path / "mask.png")


# ---- broken files

FEW = 300


def test_broken_files_end_in_an_error_or_in_an_image(tmp_path):
    bad = []
    for number, (base, mutation, content) in enumerate(fuzz.broken_files(FEW, seed=1)):
        found = fuzz.outcome(written(tmp_path / "broken", content))
        if found not in ("read", "refused"):
            bad.append((number, base, mutation, found))
    assert bad == []


def test_what_is_broken_was_whole(tmp_path):
    refused = {
        base.name
        for base in bases(0)
        if fuzz.outcome(written(tmp_path / "whole", (base.pack or bytes)(base.content))) != "read"
    }
    # CMYK is refused by intention, and Hypothesis thinks of numbers beyond float32.
    assert refused <= {"JPEG CMYK", "NPY of Hypothesis"}


def test_the_fuzzer_notices_what_should_not_be(tmp_path, monkeypatch):
    path = written(tmp_path / "a.png", png(np.zeros((2, 2), np.uint8)))
    assert fuzz.outcome(path) == "read"
    for wrong, seen in [(KeyError("size"), "KeyError"), (ImageError("two\nlines"), "many lines")]:
        monkeypatch.setattr(fuzz, "_read", lambda _, wrong=wrong: (_ for _ in ()).throw(wrong))
        assert fuzz.outcome(path).startswith(seen)


def test_broken_files_of_a_seed_are_always_the_same():
    first, second = (list(fuzz.broken_files(20, seed=3)) for _ in range(2))
    assert first == second


def test_save_of_a_picture_goes_through_without_metadata(tmp_path):
    save_image(tmp_path / "a.png", DEEP_COLOUR, np.uint16)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), DEEP_COLOUR)
