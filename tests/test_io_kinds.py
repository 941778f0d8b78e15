"""The table of docs/files.md: what each kind of file holds is read exactly, and written back so.

The files read are written by hand or by another library than the one that reads them: see
benchmarks/picture_files.py.
"""

import gzip
import re
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from astropy.io import fits as astropy_fits
from PIL import Image

from bdip.io import (
    WRITABLE,
    ImageError,
    check_output,
    load,
    load_image,
    load_mask,
    save_image,
    stem_of,
)
from bdip.io.record import split_alpha
from bdip.restoring import Outputs
from benchmarks.picture_files import (
    KINDS,
    LOSSY,
    cases,
    dicom,
    fits,
    nifti,
    pillow,
    png,
    random_pixels,
    tiff,
)

TABLE = {case.name: case for case in cases()}
EXACT = {name: case for name, case in TABLE.items() if case.kind != LOSSY}


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", EXACT)
def test_a_file_is_read_exactly_and_written_back_exactly(tmp_path, name):
    case = EXACT[name]
    stored = case.pixels()
    pixels, alpha = split_alpha(stored)
    loaded = load(written(tmp_path / f"in{case.suffix}", case.encode(stored)))
    save_image(tmp_path / f"out{case.suffix}", loaded.pixels.astype(np.float64), like=loaded)
    for each in (loaded, load(tmp_path / f"out{case.suffix}")):
        assert (each.kind, each.pixels.dtype.name) == (case.kind, case.dtype)
        np.testing.assert_array_equal(each.pixels, pixels)
        assert (each.alpha is None) == (alpha is None)
        if alpha is not None:
            assert each.alpha.dtype == alpha.dtype
            np.testing.assert_array_equal(each.alpha, alpha)


@pytest.mark.parametrize("channels", ["grey", "colour"])
def test_a_jpeg_is_read_as_another_decoder_reads_it(tmp_path, channels):
    content = TABLE[f"JPEG uint8 {channels}"].encode(TABLE[f"JPEG uint8 {channels}"].pixels())
    loaded = load(written(tmp_path / "photo.jpg", content))
    np.testing.assert_array_equal(loaded.pixels, imagecodecs.jpeg_decode(content))


@pytest.mark.parametrize(
    "name", [name for name in TABLE if name.startswith(("TIFF", "PNG uint16"))]
)
def test_what_is_written_another_library_reads(tmp_path, name):
    # Pillow knows no 16-bit or float colours: those are held against imagecodecs and by hand above.
    case = TABLE[name]
    loaded = load(written(tmp_path / "in", case.encode(case.pixels())))
    path = tmp_path / f"out{case.suffix}"
    save_image(path, loaded.pixels, like=loaded)
    if case.dtype == "uint8" or case.channels == "grey":
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), case.pixels())
    elif case.kind == "PNG":
        np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()), case.pixels())


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits"])
@pytest.mark.parametrize(
    ("dtype", "predictor"),
    [("uint8", None), ("uint16", True), ("float32", None), ("float16", None)],
)
def test_compressed_tiff_is_read_exactly(tmp_path, compression, dtype, predictor):
    if compression == "packbits" and predictor:
        predictor = None
    pixels = random_pixels((20, 33, 3), dtype)
    path = tmp_path / "packed.tif"
    tifffile.imwrite(path, pixels, compression=compression, predictor=predictor, tile=(16, 16))
    loaded = load(path)
    np.testing.assert_array_equal(loaded.pixels, pixels)
    save_image(path, loaded.pixels, like=loaded)
    np.testing.assert_array_equal(load_image(path), pixels)


def test_jpeg_within_tiff_is_read_as_pillow_reads_it(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    path = tmp_path / "jpeg.tif"
    Image.fromarray(np.dstack([smooth] * 3)).save(path, compression="jpeg")
    with Image.open(path) as picture:
        # Two decoders may round the inverse cosine transform and the colours differently by one each.
        assert np.abs(np.asarray(picture).astype(int) - load_image(path)).max() <= 2


def test_white_is_zero_is_read_as_it_is_shown(tmp_path):
    pixels = random_pixels((5, 7), "uint16")
    tifffile.imwrite(tmp_path / "film.tif", pixels, photometric="miniswhite")
    np.testing.assert_array_equal(load_image(tmp_path / "film.tif"), 65535 - pixels)


def test_planes_of_colours_are_put_together(tmp_path):
    pixels = random_pixels((3, 5, 7), "uint16")
    tifffile.imwrite(tmp_path / "p.tif", pixels, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(load_image(tmp_path / "p.tif"), np.moveaxis(pixels, 0, -1))


def test_a_palette_of_a_tiff_is_expanded(tmp_path):
    palette = Image.fromarray(random_pixels((5, 7, 3), "uint8")).convert("P")
    palette.save(tmp_path / "palette.tif")
    np.testing.assert_array_equal(load_image(tmp_path / "palette.tif"), palette.convert("RGB"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", ["grey", "colour"])
def test_the_transparent_colour_of_a_png_becomes_alpha(tmp_path, dtype, channels):
    pixels = TABLE[f"PNG {dtype} {channels}"].pixels()
    key = np.atleast_1d(pixels[2, 3])
    chunk = (b"tRNS", key.astype(">u2").tobytes())
    loaded = load(written(tmp_path / "key.png", png(pixels, chunk)))
    np.testing.assert_array_equal(loaded.pixels, pixels)
    assert loaded.alpha[2, 3] == 0
    same = (pixels == pixels[2, 3]).reshape(5, 7, -1).all(axis=-1)
    np.testing.assert_array_equal(loaded.alpha, np.where(same, 0, np.iinfo(dtype).max))


def test_an_opaque_alpha_channel_is_no_transparency(tmp_path):
    mask = np.dstack([np.array([[0, 255]], np.uint8), np.full((1, 2), 255, np.uint8)])
    path = written(tmp_path / "mask.png", png(mask))
    np.testing.assert_array_equal(load_mask(path), [[False, True]])
    np.testing.assert_array_equal(load_image(path), [[0, 255]])


PAGES = [random_pixels((5, 7), "uint8", seed) for seed in range(3)]


def save_stack(path):
    if path.suffix == ".tif":
        tifffile.imwrite(path, np.stack(PAGES), photometric="minisblack")
    elif path.suffix == ".fits":
        path.write_bytes(fits(np.stack(PAGES)))
    elif path.suffix == ".nii":
        path.write_bytes(nifti(np.stack(PAGES, axis=-1)))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(nifti(np.stack(PAGES, axis=-1))))
    elif path.suffix == ".dcm":
        path.write_bytes(dicom(np.stack(PAGES), NumberOfFrames=3))
    else:
        first, *others = (Image.fromarray(page) for page in PAGES)
        options = {"lossless": True} if path.suffix == ".webp" else {}
        first.save(path, save_all=True, append_images=others, **options)


@pytest.mark.parametrize(
    "name", ["a.tif", "a.gif", "a.png", "a.webp", "a.fits", "a.nii", "a.nii.gz", "a.dcm"]
)
def test_of_several_pages_one_must_be_chosen(tmp_path, name):
    save_stack(tmp_path / name)
    with pytest.raises(ImageError, match=r"3 .*from 0 to 2 with page=N \(--page N\)"):
        load(tmp_path / name)
    with pytest.raises(ImageError, match="no page 3.*from 0 to 2"):
        load(tmp_path / name, page=3)
    for number, page in enumerate(PAGES):
        found = load(tmp_path / name, page=number).pixels
        shown = found if found.ndim == 2 else found[..., 0]  # WebP knows colours alone
        np.testing.assert_array_equal(shown, page)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("brain.nii.gz", "brain"), ("Brain.NII.GZ", "Brain"), ("a.b.tif", "a.b"), ("plain", "plain")],
)
def test_the_end_of_a_name_that_tells_its_kind_is_all_that_is_taken_off(tmp_path, name, stem):
    assert stem_of(tmp_path / name) == stem
    assert Outputs.of(tmp_path / name).std == tmp_path / f"{stem}-std.tif"


def test_a_smaller_version_of_a_page_is_no_page(tmp_path):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(PAGES[0], subifds=0)
        writer.write(PAGES[0][::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(load_image(path), PAGES[0])


SIGNED = np.array([[-3, 0, 7], [32767, -32768, 100]], np.int16)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.fits", fits(SIGNED, BSCALE=0.5, BZERO=-1024)),
        ("a.nii", nifti(SIGNED, slope=0.5, intercept=-1024)),
        ("a.dcm", dicom(SIGNED, RescaleSlope="0.5", RescaleIntercept="-1024")),
    ],
)
def test_values_are_read_in_physical_units_and_written_back(tmp_path, name, content):
    # Halves of 16-bit integers less 1024 are exact in float32, which has 24 bits.
    expected = 0.5 * SIGNED.astype(np.float32) - 1024
    loaded = load(written(tmp_path / name, content))
    assert loaded.pixels.dtype == np.float32
    np.testing.assert_array_equal(loaded.pixels, expected)
    save_image(tmp_path / f"again-{name}", loaded.pixels, like=loaded)
    np.testing.assert_array_equal(load_image(tmp_path / f"again-{name}"), expected)


def test_a_blank_of_fits_is_missing(tmp_path):
    loaded = load(written(tmp_path / "a.fits", fits(SIGNED, BLANK=7)))
    np.testing.assert_array_equal(np.isnan(loaded.pixels), SIGNED == 7)


def test_integers_of_more_bits_than_float32_has_are_rounded_with_a_note(tmp_path):
    odd = np.array([[2**24 + 1]], np.int32)
    assert "rounded" in load(written(tmp_path / "a.fits", fits(odd))).notes[0]
    assert load(written(tmp_path / "b.fits", fits(odd - 1))).notes == ()


def test_fits_of_several_extensions_is_counted_through(tmp_path):
    units = [
        astropy_fits.PrimaryHDU(),
        astropy_fits.ImageHDU(np.stack(PAGES[:2])),
        astropy_fits.ImageHDU(PAGES[2]),
    ]
    astropy_fits.HDUList(units).writeto(tmp_path / "a.fits")
    for number, page in enumerate(PAGES):
        np.testing.assert_array_equal(load_image(tmp_path / "a.fits", page=number), page)


def test_the_slice_of_a_volume_keeps_its_place(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    affine = np.array([[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1.0]])
    path = written(tmp_path / "a.nii", nifti(np.stack(PAGES, axis=-1), affine=affine))
    loaded = load(path, page=2)
    save_image(tmp_path / "out.nii.gz", loaded.pixels, like=loaded)
    # Voxel (0, 0, 2) of the volume lies 2 * 5 further along the third axis.
    expected = affine + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 10], [0, 0, 0, 0]])
    np.testing.assert_array_equal(nibabel.load(tmp_path / "out.nii.gz").affine, expected)
    np.testing.assert_array_equal(
        nibabel.load(tmp_path / "out.nii.gz").get_fdata()[..., 0], PAGES[2]
    )


def test_the_cards_of_fits_are_kept(tmp_path):
    content = fits(PAGES[0], OBJECT="'M31     '", CRVAL1=10.5)
    loaded = load(written(tmp_path / "a.fits", content))
    save_image(tmp_path / "b.fits", loaded.pixels, like=loaded)
    header = astropy_fits.getheader(tmp_path / "b.fits")
    assert (header["OBJECT"], header["CRVAL1"], header["BITPIX"]) == ("M31", 10.5, 8)


def test_the_patient_of_dicom_is_kept_and_the_instance_is_new(tmp_path):
    loaded = load(written(tmp_path / "a.dcm", dicom(PAGES[0])))
    save_image(tmp_path / "b.dcm", loaded.pixels, like=loaded)
    data = pydicom.dcmread(tmp_path / "b.dcm")
    assert (str(data.PatientName), data.ImageType) == ("Test^Picture", ["DERIVED", "SECONDARY"])
    assert data.SOPInstanceUID != "1.2.3"
    np.testing.assert_array_equal(data.pixel_array, PAGES[0])


PROFILE = bytes(range(256)) * 2  # no real one: it is passed on, not understood
ORIENTATION, MAKER = 0x0112, 0x010F


def exif(orientation):
    found = Image.Exif()
    found[ORIENTATION], found[MAKER] = orientation, "maker"
    return found


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_profile_resolution_and_exif_survive_but_for_the_turn(tmp_path, suffix):
    pixels = random_pixels((5, 7, 3), "uint8")
    Image.fromarray(pixels).save(
        tmp_path / f"a{suffix}", icc_profile=PROFILE, exif=exif(6), dpi=(300, 300)
    )
    loaded = load(tmp_path / f"a{suffix}")
    assert loaded.turned
    assert loaded.pixels.shape == (7, 5, 3)
    for other in (suffix, ".png", ".jpg"):
        save_image(tmp_path / f"b{other}", loaded.pixels, like=loaded)
        with Image.open(tmp_path / f"b{other}") as picture:
            assert picture.info["icc_profile"] == PROFILE
            assert picture.getexif()[ORIENTATION] == 1
            assert picture.getexif()[MAKER] == "maker"
            if suffix != ".webp" and other != ".webp":  # which knows no resolution
                assert picture.info["dpi"] == pytest.approx(
                    (300, 300), abs=0.02
                )  # PNG's whole dots a metre
        assert load(tmp_path / f"b{other}").pixels.shape == (7, 5, 3)


def test_a_deep_png_keeps_profile_text_and_turn(tmp_path):
    stored = random_pixels((5, 7, 3), "uint16")
    chunks = [
        (b"gAMA", (45455).to_bytes(4, "big")),
        (b"tEXt", b"Author\0me"),
        (b"eXIf", exif(6).tobytes()[6:]),
    ]
    loaded = load(written(tmp_path / "a.png", png(stored, *chunks)))
    np.testing.assert_array_equal(loaded.pixels, np.rot90(stored, -1))  # turned clockwise
    save_image(tmp_path / "b.png", loaded.pixels, like=loaded)
    np.testing.assert_array_equal(load_image(tmp_path / "b.png"), loaded.pixels)
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.info["gamma"] == pytest.approx(0.45455)
        assert picture.info["Author"] == "me"


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_turned_tiff_of_any_depth_is_loaded_upright(tmp_path, orientation):
    stored = random_pixels((5, 7, 4), "float32")
    loaded = load(written(tmp_path / "a.tif", tiff(stored, (274, 3, 1, orientation))))
    shown = Image.Exif()
    shown[ORIENTATION] = orientation
    for found, channel in [(loaded.pixels[..., 0], stored[..., 0]), (loaded.alpha, stored[..., 3])]:
        from PIL import ImageOps

        picture = Image.fromarray(channel)
        picture.getexif()[ORIENTATION] = orientation
        np.testing.assert_array_equal(found, ImageOps.exif_transpose(picture))


def test_imagej_keeps_its_unit_its_resolution_and_its_notes(tmp_path):
    metadata = {"unit": "um", "Info": "slide 4", "axes": "ZYX"}
    tifffile.imwrite(
        tmp_path / "a.tif", np.stack(PAGES), imagej=True, resolution=(4, 4), metadata=metadata
    )
    loaded = load(tmp_path / "a.tif", page=1)
    save_image(tmp_path / "b.tif", loaded.pixels, np.float32, like=loaded)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["Info"] == "slide 4"
        assert file.imagej_metadata.get("slices", 1) == 1
        assert file.pages[0].resolution == (4, 4)
        np.testing.assert_array_equal(file.asarray(), PAGES[1])


@pytest.mark.parametrize("count", [1, 3])
def test_ome_keeps_the_size_of_a_pixel(tmp_path, count):
    metadata = {
        "axes": "ZYX" if count > 1 else "YX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "µm",
    }
    stack = np.stack(PAGES) if count > 1 else PAGES[1]
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata=metadata)
    loaded = load(tmp_path / "a.ome.tif", page=1 if count > 1 else None)
    for dtype in (np.uint8, np.float32):
        save_image(tmp_path / "b.ome.tif", loaded.pixels, dtype, like=loaded)
        with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
            assert 'PhysicalSizeX="0.25"' in file.ome_metadata
            assert re.search('SizeZ="1"', file.ome_metadata)
            np.testing.assert_array_equal(file.asarray(), PAGES[1])
            assert file.asarray().dtype == dtype


def test_tiff_keeps_resolution_profile_and_who_made_it(tmp_path):
    tags = [(315, 2, 3, "me", True), (33550, 12, 3, (2.0, 2.0, 0.0), True)]
    tifffile.imwrite(
        tmp_path / "a.tif",
        PAGES[0],
        extratags=tags,
        iccprofile=PROFILE,
        resolution=(72, 72),
        resolutionunit=3,
    )
    loaded = load(tmp_path / "a.tif")
    save_image(tmp_path / "b.tif", loaded.pixels, like=loaded)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        (page,) = file.pages
        assert page.tags.valueof(315) == "me"
        assert page.tags.valueof(33550) == (2, 2, 0)
        assert page.iccprofile == PROFILE
        assert (page.resolution, page.resolutionunit) == ((72, 72), 3)


def test_metadata_that_cannot_be_written_is_left_out_with_a_warning(tmp_path):
    path = written(tmp_path / "a.tif", tiff(PAGES[0]))
    loaded = load(path)
    broken = type(loaded.native)(**{**vars(loaded.native), "tags": ((315, 2, 1, object(), True),)})
    loaded = type(loaded)(**{**vars(loaded), "native": broken})
    with pytest.warns(UserWarning, match="metadata are left out"):
        save_image(path, PAGES[1], like=loaded)
    np.testing.assert_array_equal(load_image(path), PAGES[1])


@pytest.mark.parametrize("suffix", WRITABLE)
def test_transparency_is_written_or_refused_beforehand(tmp_path, suffix):
    loaded = load(written(tmp_path / "in.png", png(random_pixels((5, 7, 2), "uint8"))))
    path = tmp_path / f"out{suffix}"
    if WRITABLE[suffix].alpha:
        save_image(path, loaded.pixels, like=loaded)
        np.testing.assert_array_equal(load(path).alpha, loaded.alpha)
        return
    for refuse in (
        lambda: check_output(path, (5, 7), like=loaded),
        lambda: save_image(path, loaded.pixels, like=loaded),
    ):
        with pytest.raises(ImageError, match="transparency|DICOM"):
            refuse()


def test_transparency_follows_the_numbers_of_the_output(tmp_path):
    loaded = load(written(tmp_path / "in.png", png(np.array([[[9, 0], [9, 255]]], np.uint8))))
    save_image(tmp_path / "out.tif", loaded.pixels, np.float32, like=loaded)
    np.testing.assert_array_equal(load(tmp_path / "out.tif").alpha, [[0, 1]])
    save_image(tmp_path / "out.png", loaded.pixels, np.uint16, like=loaded)
    np.testing.assert_array_equal(load(tmp_path / "out.png").alpha, [[0, 65535]])


def test_a_dicom_is_written_for_a_dicom_of_the_same_numbers_alone(tmp_path):
    loaded = load(written(tmp_path / "in.dcm", dicom(PAGES[0])))
    assert check_output(tmp_path / "out.dcm", (5, 7), like=loaded) == "uint8"
    with pytest.raises(ImageError, match="what the input held, uint8"):
        check_output(tmp_path / "out.dcm", (5, 7), np.uint16, like=loaded)


def test_the_page_of_the_documentation_has_every_kind():
    page = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    for kind, (suffix, *_) in KINDS.items():
        assert re.search(rf"^\| {kind}\b.*`{re.escape(suffix)}`", page, re.MULTILINE), kind
    for suffix in WRITABLE:
        assert f"`{suffix}`" in page


def test_a_file_is_known_by_its_content(tmp_path):
    path = written(tmp_path / "photo.png", pillow(PAGES[0], "JPEG"))
    assert load(path).kind == "JPEG"
    buffer = BytesIO(pillow(PAGES[0], "BMP"))
    assert load(written(tmp_path / "noname", buffer.getvalue())).kind == "BMP"
