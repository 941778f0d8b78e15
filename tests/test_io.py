import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bdip.io import ImageError, check_output, load_image, load_mask, save_image

RNG = np.random.default_rng(0)
SHAPES = {"grey": (5, 7), "colour": (5, 7, 3)}


def pixels(shape, dtype):
    if dtype == "float32":
        return RNG.normal(0.5, 1, shape).astype(np.float32)  # beyond [0, 1] on purpose
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def png(width, height, depth, colour_type, rows):
    """A PNG file by hand, for the kinds that Pillow reads but does not write."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", "uint8"), (".bmp", "uint8")]
    + [(suffix, dtype) for suffix in (".tif", ".npy") for dtype in ("uint8", "uint16", "float32")],
)
def test_what_is_saved_is_loaded_in_its_own_numbers(tmp_path, suffix, dtype, shape):
    image = pixels(shape, dtype)
    save_image(tmp_path / f"image{suffix}", image, dtype)
    loaded = load_image(tmp_path / f"image{suffix}")
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(loaded, image)


def test_sixteen_bit_grey_png_keeps_its_sixteen_bits(tmp_path):
    image = pixels((5, 7), "uint16")
    save_image(tmp_path / "image.png", image, "uint16")
    np.testing.assert_array_equal(load_image(tmp_path / "image.png"), image)


# EXIF orientation (tag 0x0112): the stored array as the camera wrote it, from the upright one.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),  # to be shown turned clockwise
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_rotated_photograph_is_loaded_upright(tmp_path, orientation, suffix):
    upright = pixels((5, 7, 3), "uint8")
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / f"photo{suffix}", exif=exif)
    np.testing.assert_array_equal(load_image(tmp_path / f"photo{suffix}"), upright)


def test_a_palette_is_expanded(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "L").convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "palette.png")
    expected = np.array([[10, 20, 30], [40, 50, 60]])[[[0, 1], [1, 0]]]
    np.testing.assert_array_equal(load_image(tmp_path / "palette.png"), expected)


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = np.array([[True, False], [False, False]])
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(load_image(tmp_path / "bits.png"), bits * np.uint8(255))
    np.testing.assert_array_equal(load_mask(tmp_path / "bits.png"), bits)


def test_a_compressed_grey_tiff_keeps_its_sixteen_bits(tmp_path):
    image = pixels((5, 7), "uint16")
    Image.fromarray(image).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(load_image(tmp_path / "lzw.tif"), image)


def test_of_a_cameras_photograph_and_previews_the_photograph_is_loaded(tmp_path):
    photograph, preview = Image.new("RGB", (64, 32), "red"), Image.new("RGB", (8, 4))
    photograph.save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=[preview])
    assert load_image(tmp_path / "photo.jpg").shape == (32, 64, 3)


def test_float64_arrays_become_float32_and_keep_nan(tmp_path):
    image = np.array([[0.5, np.nan]])
    np.save(tmp_path / "image.npy", image)
    np.savez(tmp_path / "image.npz", only=image)
    for name in ("image.npy", "image.npz"):
        loaded = load_image(tmp_path / name)
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, image)


def save_as(mode, **options):
    return lambda path: Image.new(mode, (7, 5)).save(path, **options)


def save_array(array):
    return lambda path: np.save(path, array, allow_pickle=True)


def save_pages(path):
    pages = [Image.new("L", (7, 5), level) for level in (0, 100)]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def save_bytes(content):
    return lambda path: path.write_bytes(content)


def save_truncated(path):
    save_image(path, pixels((64, 64), "uint8"), "uint8")
    path.write_bytes(path.read_bytes()[:1000])


def save_broken_lzw(path):
    save_image(path, pixels((5, 7, 3), "uint16"), "uint16")
    plain, lzw = (struct.pack("<HHIHH", 259, 3, 1, value, 0) for value in (1, 5))  # Compression
    content = path.read_bytes()
    assert content.count(plain) == 1
    path.write_bytes(content.replace(plain, lzw))


REFUSED = {
    "missing": ("none.png", lambda path: None, "does not exist"),
    "folder": ("folder.png", lambda path: path.mkdir(), "is a folder"),
    "empty": ("empty.png", save_bytes(b""), "no image that can be read"),
    "text": ("notes.png", save_bytes(b"hello"), "no image that can be read"),
    "text as tiff": ("notes.tif", save_bytes(b"hello"), "no image that can be read"),
    "truncated": ("short.png", save_truncated, "incomplete"),
    "truncated tiff": ("short.tif", save_truncated, "incomplete"),
    "truncated bmp": ("short.bmp", save_truncated, "incomplete"),
    "truncated array": ("short.npy", save_truncated, "numpy.save"),
    "transparent": ("alpha.png", save_as("RGBA"), "transparency"),
    "transparent grey": ("alpha.png", save_as("LA"), "transparency"),
    "transparent colour": ("alpha.png", save_as("RGB", transparency=(0, 0, 0)), "transparency"),
    "cmyk": ("print.jpg", save_as("CMYK"), "CMYK.*convert it to RGB"),
    "integers": ("deep.tif", save_as("I"), "int32: expected uint8"),
    "pages": ("pages.tif", save_pages, r"2 pages: .* 0 to 1 .*--page N"),
    "animation": ("film.gif", save_pages, "2 pages or frames.*--page N"),
    "broken lzw": ("deep.tif", save_broken_lzw, "LZW.*incomplete"),
    "int64": ("image.npy", save_array(np.zeros((4, 4), np.int64)), "int64.*convert"),
    "volume": ("image.npy", save_array(np.zeros((4, 4, 4, 3))), r"\(4, 4, 4, 3\): expected"),
    "nothing": ("image.npy", save_array(np.zeros((0, 4))), r"\(0, 4\): expected"),
    "pickle": ("image.npy", save_array(np.array([[None]])), "plain numbers"),
    "arrays": ("many.npz", lambda path: np.savez(path, a=[1], b=[2]), r"2 arrays \(a, b\)"),
    "no zip": ("many.npz", save_bytes(b"PK\x03\x04 broken"), "cannot be read"),
}


@pytest.mark.parametrize(("name", "write", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_read_exactly_gives_one_line(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


MASK = np.array([[True, False, True], [False, False, True]])


@pytest.mark.parametrize(
    "stored",
    [
        MASK,
        MASK.astype(np.uint8),
        MASK.astype(np.int64),
        MASK.astype(np.float64),
        MASK * np.uint8(255),
        MASK * np.uint16(65535),
        np.stack([MASK * np.uint8(255)] * 3, axis=-1),
    ],
    ids=lambda stored: f"{stored.dtype} up to {stored.max()}",
)
def test_masks_of_two_values_are_read_as_booleans(tmp_path, stored):
    np.save(tmp_path / "mask.npy", stored)
    mask = load_mask(tmp_path / "mask.npy")
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.array([[0, 128, 255]], np.uint8), "from 0 to 255.*threshold"),
        (np.array([[1, 255]], np.uint8), "from 1 to 255"),
        (np.array([[0, np.nan]]), "from nan"),
        (np.array([[[255, 0, 0]]], np.uint8), "has colours"),
    ],
    ids=["three values", "one and 255", "nan", "colours"],
)
def test_a_mask_of_other_values_is_refused(tmp_path, stored, message):
    np.save(tmp_path / "mask.npy", stored)
    with pytest.raises(ImageError, match=message):
        load_mask(tmp_path / "mask.npy")


def test_a_jpeg_mask_gets_advice(tmp_path):
    disc = np.add.outer(np.arange(-16, 16) ** 2, np.arange(-16, 16) ** 2) < 100
    Image.fromarray(disc * np.uint8(255)).save(tmp_path / "mask.jpg")
    with pytest.raises(ImageError, match="JPEG blurs.*PNG"):
        load_mask(tmp_path / "mask.jpg")


def test_integers_are_rounded_and_clipped_to_the_type_and_the_data_range(tmp_path):
    image = np.array([[-3.0, 0.49, 0.51, 254.6, 300.0]])
    save_image(tmp_path / "image.png", image, np.uint8)
    np.testing.assert_array_equal(load_image(tmp_path / "image.png"), [[0, 0, 1, 255, 255]])
    twelve_bits = np.array([[4094.6, 5000.0, -1.0]])
    save_image(tmp_path / "image.png", twelve_bits, np.uint16, data_range=(0, 4095))
    np.testing.assert_array_equal(load_image(tmp_path / "image.png"), [[4095, 4095, 0]])


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("image.xyz", (4, 4), "uint8", "use one of .png, .tif"),
        ("image", (4, 4), "uint8", "use one of .png, .tif"),
        ("image.png", (4, 4), "float32", "cannot hold float32 grey.*.tif or .npy"),
        ("image.gif", (4, 4, 3), "uint8", "cannot hold uint8 colour"),
        ("image.fits", (4, 4, 3), "float32", "cannot hold float32 colour"),
        ("image.dcm", (4, 4), "uint16", "for a DICOM input alone"),
        ("image.jpg", (4, 4), "uint16", "cannot hold uint16 grey"),
        ("image.tif", (4, 4), "int64", "cannot hold int64"),
        ("image.png", (4, 4, 2), "uint8", r"\(4, 4, 2\): expected"),
        ("none/image.png", (4, 4), "uint8", "no folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_beforehand(
    tmp_path, name, shape, dtype, message
):
    with pytest.raises(ImageError, match=message):
        check_output(tmp_path / name, shape, dtype)
    with pytest.raises(ImageError, match=message):
        save_image(tmp_path / name, np.zeros(shape), dtype)
    assert not list(tmp_path.iterdir())


def test_nan_is_not_written_as_an_integer(tmp_path):
    with pytest.raises(ImageError, match="NaN"):
        save_image(tmp_path / "image.png", np.array([[np.nan]]), np.uint8)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    save_image(path, np.full((4, 4), 7), np.uint8)

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ImageError, match="No space left"):
        save_image(path, np.full((4, 4), 9), np.uint8)
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.png"]
    assert (load_image(path) == 7).all()


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".png", "uint8"), (".png", "uint16"), (".tif", "float32")]
)
def test_an_image_is_saved_in_its_own_numbers_where_none_are_named(tmp_path, suffix, dtype):
    image = pixels((5, 7), dtype)
    save_image(tmp_path / f"image{suffix}", image)
    found = load_image(tmp_path / f"image{suffix}")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)
