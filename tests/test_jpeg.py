"""JPEG files as measurements: that operator and reader together say what an encoder does."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import skimage.data
from PIL import Image

import bdip
from bdip.filling import within
from bdip.io import ImageError
from bdip.io.jpeg import _stored
from bdip.likelihood import Gaussian
from bdip.operators.jpeg import COLOURS
from bdip.problem import pose

TYPICAL = 0.8  # two standard errors √(2/12), in grey levels, of a coefficient of pixels that were rounded twice
QUALITY = 30  # at which few of the steps are below 8
TINY = bdip.Pyramid(channels=8, scales=1)


def photograph(height, width):
    """Part of a face without black or white, so that no decoder has to clip."""
    face = skimage.data.astronaut()[50 : 50 + height, 170 : 170 + width]
    return (40 + 0.7 * face).astype(np.uint8)


def written(path, pixels, **options):
    Image.fromarray(pixels).save(path, quality=QUALITY, **options)
    return path


def grey_levels(pixels):
    """(H, W, C) for an operator."""
    return jnp.asarray(pixels if pixels.ndim == 3 else pixels[..., None], jnp.float32)


def steps_of(operator, data):
    """The step of each of the data (n, 64)."""
    planes = np.asarray(operator.tables).reshape(-1, 64)
    return planes[np.repeat(np.arange(len(planes)), [r * c for r, c in operator._blocks])]


def test_a_block_is_the_cosine_transform_over_its_steps():
    block = np.random.default_rng(0).uniform(0, 255, (8, 8, 1))
    tables = np.arange(1.0, 65).reshape(1, 8, 8)
    found = bdip.JPEG(tables, (8, 8))(jnp.asarray(block, jnp.float32))
    expected = scipy.fft.dctn(block[..., 0], norm="ortho") / tables[0]
    # 64 products of numbers up to 255, each sum rounded a few times.
    np.testing.assert_allclose(found[..., 0].reshape(8, 8), expected, atol=255 * 8 * 2.0**-22)


def test_the_colours_are_those_of_the_standard():
    red, grey = np.array([255.0, 0, 0]), np.full(3, 77.0)
    # ITU-T T.871: Y of pure red is 0.299 of it, Cr half of it, and grey has no colour.
    np.testing.assert_allclose(COLOURS @ red / 255, [0.299, -0.168736, 0.5], atol=1e-6)
    np.testing.assert_allclose(COLOURS @ grey, [77, 0, 0], atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 48), (33, 47), (24, 40), (5, 90)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("colours", ["RGB", "L"])
def test_the_files_numbers_are_what_the_operator_makes_rounded(
    tmp_path, shape, subsampling, colours
):
    pixels = np.asarray(Image.fromarray(photograph(*shape)).convert(colours))
    path = written(tmp_path / "photo.jpg", pixels, subsampling=subsampling)
    data, operator = bdip.load_jpeg(path)
    made, steps = np.asarray(operator(grey_levels(pixels)))[..., 0], steps_of(operator, data)
    assert data.shape == made.shape == operator.noise.noise_std.shape
    # A coefficient's share of 64 errors of at most ½ is at most 4, by Cauchy and Schwarz. The encoder makes such errors once, or of
    # shared colours twice, and the decoder's are doubled along each axis along which it interpolates.
    times = np.full(len(data), 2)
    times[operator._blocks[0][0] * operator._blocks[0][1] :] = 2 + np.prod(operator.subsampling)
    off = np.abs(data - made)
    assert (off <= 0.5 + 4 * times[:, None] / steps).all()
    assert np.mean(off > 0.5 + TYPICAL / steps) < 0.01
    assert 0 < np.mean(((data - made) / operator.noise.std_at(data)) ** 2) < 1


@pytest.mark.parametrize("colours", ["RGB", "L"])
def test_the_numbers_are_whole_but_for_what_decoding_rounds(tmp_path, colours):
    pixels = np.asarray(Image.fromarray(photograph(40, 56)).convert(colours))
    data, operator = bdip.load_jpeg(written(tmp_path / "photo.jpg", pixels))
    shifted = data.copy()
    rows, columns = operator._blocks[0]
    shifted[: rows * columns, 0] -= 8 * 128 / np.asarray(operator.tables)[0, 0, 0]  # T.81, A.3.1
    off = (shifted - np.rint(shifted)) * steps_of(operator, data)
    # A coefficient's share of 64 errors that are uniform in ± ½ has a standard deviation of √(1/12); of Cb and Cr, from
    # whose interpolation values are won back, at most twice as much: 1/(¾ − ¼) = 2 along an axis, of the mean of two.
    assert np.sqrt(np.mean(off[: rows * columns] ** 2)) < 1.1 / np.sqrt(12)
    if colours == "RGB":
        assert np.sqrt(np.mean(off[rows * columns :] ** 2)) < 2.2 / np.sqrt(12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright_whatever_the_camera_did(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path / "photo.jpg", photograph(24, 40), exif=exif)
    upright = bdip.io.load_image(path)
    data, operator = bdip.load_jpeg(path)
    assert operator.image_shape((*data.shape, 1)) == upright.shape
    made = np.asarray(operator(grey_levels(upright)))[..., 0]
    # The decoded picture is coded to the same numbers again: at another angle it would not be.
    assert np.mean(np.abs(data - made)) < 0.1


@pytest.mark.parametrize(("shape", "hidden"), [((32, 48), 0), ((20, 40), 2 * (3 + 2 - 1))])
def test_progressive_files_hold_the_same_numbers_where_all_of_a_block_is_shown(
    tmp_path, shape, hidden
):
    # Of 20 × 40 pixels 10 × 20 values of colour are shown, of 2 × 3 blocks: those of the last row and column are cut.
    pixels = photograph(*shape)
    data, _ = bdip.load_jpeg(written(tmp_path / "plain.jpg", pixels))
    again, _ = bdip.load_jpeg(written(tmp_path / "progressive.jpg", pixels, progressive=True))
    absent = np.isnan(again)
    assert np.isfinite(data).all()
    assert absent.all(axis=1).sum() == absent.sum() / 64 == hidden
    # Beside a cut the decoder interpolates towards another value, which is won back but for its rounding.
    np.testing.assert_allclose(again[~absent], data[~absent], atol=0.5)
    assert np.mean(again[~absent] == data[~absent]) > 0.8


@pytest.mark.parametrize("subsampling", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_shared_colours_are_won_back_from_interpolated_ones(subsampling):
    stored = np.random.default_rng(0).uniform(-128, 127, (6, 9))
    shown = stored
    for axis, factor in enumerate(subsampling):
        if (
            factor == 2
        ):  # each pixel ¾ of the nearer value and ¼ of the farther, at the edges of itself
            along = np.moveaxis(shown, axis, 0)
            before, after = along[[0, *range(len(along) - 1)]], along[[*range(1, len(along)), -1]]
            pairs = np.stack([(3 * along + before) / 4, (3 * along + after) / 4], axis=1)
            shown = np.moveaxis(pairs.reshape(-1, *along.shape[1:]), 0, axis)
    # 20 rounds leave 3⁻²⁰ of an error of at most 256, along each axis.
    np.testing.assert_allclose(_stored(shown, subsampling), stored, rtol=0, atol=4 * 256 * 3.0**-20)


def test_before_coefficients_pixels_are_rounded_twice():
    operator = bdip.JPEG(np.full((1, 8, 8), 2.0), (9, 16))
    noise = operator.noise
    assert (noise.step, noise.noise_std.shape) == (1.0, (4, 64))
    # Twice 1/12 of a grey level's square, in steps of two; with the twelfth of a step's that is (1 + 2/q²)/12.
    np.testing.assert_allclose(noise.noise_std, np.sqrt(2 / 12) / 2, rtol=1e-6)
    np.testing.assert_allclose(noise.std_at(0.0), np.sqrt((1 + 2 / 4) / 12), rtol=1e-6)


def test_other_files_are_refused_with_a_remedy(tmp_path):
    Image.fromarray(photograph(8, 8)).save(tmp_path / "photo.png")
    with pytest.raises(ImageError, match=r"photo\.png is PNG.*without --jpeg"):
        bdip.load_jpeg(tmp_path / "photo.png")
    written(tmp_path / "rgb.jpg", photograph(16, 16), keep_rgb=True)
    with pytest.raises(ImageError, match="stores red, green and blue"):
        bdip.load_jpeg(tmp_path / "rgb.jpg")


def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path):
    whole = written(tmp_path / "photo.jpg", photograph(24, 40), subsampling="4:2:0").read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(2, len(whole), 3):
            damaged[place] = rng.integers(256)
        (tmp_path / "damaged.jpg").write_bytes(damaged)
        try:
            data, operator = bdip.load_jpeg(tmp_path / "damaged.jpg")
        except ImageError:
            refused += 1
        else:
            assert operator.image_shape((*data.shape, 1))
    assert 0 < refused < 100


def test_markers_may_have_more_than_one_byte_before_them(tmp_path):
    whole = written(tmp_path / "photo.jpg", photograph(24, 40)).read_bytes()
    (tmp_path / "filled.jpg").write_bytes(whole[:2] + b"\xff\xff" + whole[2:])
    data, _ = bdip.load_jpeg(tmp_path / "photo.jpg")
    np.testing.assert_array_equal(bdip.load_jpeg(tmp_path / "filled.jpg")[0], data)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((np.ones((8, 8)), (8, 8)), r"tables have shape \(8, 8\)"),
        ((np.ones((1, 8, 8)), (8, 8), (0, 1)), r"subsampling is \(0, 1\)"),
    ],
)
def test_what_is_no_jpeg_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        bdip.JPEG(*arguments)


def test_data_of_another_size_are_refused():
    operator = bdip.JPEG(np.ones((1, 8, 8)), (8, 16))
    with pytest.raises(
        bdip.ProblemError, match=r"coefficients \(2, 64\), but the data are \(3, 64\)"
    ):
        bdip.sample(np.zeros((3, 64)), operator=operator, noise_std=1.0, data_range=(0, 255))


def test_the_operator_says_what_its_noise_is_unless_another_is_given(tmp_path):
    data, operator = bdip.load_jpeg(written(tmp_path / "photo.jpg", photograph(16, 24)))
    smaller = operator @ bdip.Downsample(2)
    for each in (operator, smaller):
        problem, _ = pose(data, operator=each, data_range=(0, 255))
        assert isinstance(problem.noise, bdip.Rounding)
        np.testing.assert_allclose(problem.noise.step, 1 / 255, rtol=1e-6)
    problem, _ = pose(data, operator=operator, noise_std=0.3, data_range=(0, 255))
    assert isinstance(problem.noise, Gaussian)


def test_what_was_rounded_is_sampled_and_told_as_that(tmp_path):
    pixels = photograph(24, 32)
    data, operator = bdip.load_jpeg(written(tmp_path / "photo.jpg", pixels))
    posterior = bdip.sample(
        data, operator=operator, data_range=(0, 255),
        generator=TINY, steps=300, progress=False,
    )  # fmt: skip
    assert posterior.mean.shape == pixels.shape
    # A tiny network after 300 steps: the picture and no other, 30 grey levels being a quarter of its range.
    assert np.sqrt(np.mean((posterior.mean - pixels) ** 2)) < 30
    assert posterior.settings["rounded"]
    assert "noise     rounding to steps of 1, std 0.3" in posterior.summary()
    assert "less than 1 is right" in posterior.summary()
    assert not any("closer than the noise allows" in sentence for sentence in posterior.verdict)
    titles = {axes.get_title() for axes in posterior.plot().axes}
    assert "posterior mean" in titles
    assert "input" not in titles  # which is no picture

    image, std = posterior.filled(operator)
    np.testing.assert_array_equal(std, posterior.std)
    beyond = [np.abs(data - np.asarray(operator(x))[..., 0]) / operator.noise.allowed for x in (posterior.mean, image)]  # fmt: skip
    assert beyond[0].max() > 1.2
    # To what is left of the changes after the last; in the corner blocks few pixels stand for many numbers.
    assert beyond[1].max() < 1.02
    # The truth is among those pictures: a step to the nearest one of a convex set is one towards all in it.
    assert np.mean((image - pixels) ** 2) < np.mean((posterior.mean - pixels) ** 2)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2)])
def test_the_file_of_a_picture_is_that_of_the_truth_within_its_rounding(subsampling):
    """Of sides that are no multiples of 8, with a step for each frequency; no number of the truth's own goes beyond it."""
    tables = np.random.default_rng(0).integers(3, 60, (3, 8, 8)).astype(np.float32)
    operator, truth = bdip.JPEG(tables, (21, 30), subsampling), photograph(21, 30)
    data = np.rint(np.asarray(operator(np.float32(truth)))[..., 0])
    problem, _ = pose(data, operator=operator, noise_std=1.0, data_range=(0, 255))
    mean = np.float32(truth + np.random.default_rng(1).normal(0, 15, truth.shape)) / 255
    allowed = np.float32(operator.noise.allowed)[..., None] / 255
    image = np.asarray(within(problem, mean, allowed))
    beyond = [
        np.abs(problem.data - operator(x)) / allowed for x in (mean, image, truth / np.float32(255))
    ]
    assert beyond[0].max() > 2
    assert beyond[1].max() < 1.02
    assert beyond[2].max() < 1
    assert np.mean((image - truth / 255) ** 2) < 0.9 * np.mean((mean - truth / 255) ** 2)
    np.testing.assert_allclose(
        within(problem, image, 2 * allowed), image, atol=1e-6
    )  # nothing to do
