"""The door: what users pass becomes a problem in the unit range, or an error that says what to do."""

import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip.api import job_of
from bdip.given_noise import LEAST_ESTIMATE
from bdip.noise import estimate_noise_std
from bdip.operators import Blur, Downsample, Mask
from bdip.problem import ProblemError, pose

RNG = np.random.default_rng(0)
GREY = RNG.random((5, 7))
SOME = np.arange(1024).reshape(32, 32) > 5
HALF = RNG.random((5, 7)) < 0.5


def posed(image=GREY, mask=None, **options):
    return pose(image, mask, **{"noise_std": 0.1, **options})


# ------------------------------------------------------------------------------- units


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.uint8, 0, 255), (np.uint16, 0, 65535), (np.int16, -32768, 32767)],
)
def test_integers_are_mapped_from_the_range_of_their_type(dtype, low, high):
    image = np.array([[low, high], [low, high]], dtype)
    problem, units = posed(image, noise_std=10)
    np.testing.assert_array_equal(problem.data[..., 0], [[0, 1], [0, 1]])
    assert problem.noise_std == pytest.approx(10 / (high - low))
    assert (units.low, units.high, units.noise_std) == (low, high, pytest.approx(10))
    assert units.dtype == np.dtype(dtype).name
    assert units.reported == ()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_mapped_from_their_observed_extremes_and_the_user_is_told(dtype):
    image = np.array([[-2, 0], [3, 8], [99, 99]], dtype)
    problem, units = posed(image, [[1, 1], [1, 1], [0, 0]], noise_std=0.5)
    np.testing.assert_allclose(problem.data[:2, :, 0], [[0, 0.2], [0.5, 1]], rtol=1e-6)
    assert (units.low, units.high) == (-2, 8)
    assert "data range: -2 to 8" in units.reported[1]


def test_a_given_data_range_is_taken_as_it_is_and_values_may_lie_outside():
    problem, units = posed([[-1.0, 4.0]], data_range=(0, 2), noise_std=0.5)
    np.testing.assert_array_equal(problem.data[..., 0], [[-0.5, 2.0]])
    assert problem.noise_std == 0.25
    assert units.reported == ()


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((5, 7), None),
        ((5, 7, 3), None),
        ((5, 7, 3), -1),
        ((5, 7, 3), 2),
        ((3, 5, 7), 0),
        ((3, 5, 7), -3),
        ((5, 3, 7), 1),
        ((5, 7, 1), None),
        ((5, 7, 9), 2),
    ],
    ids=str,
)
def test_images_come_back_in_their_own_axes_and_units(shape, axis):
    image = RNG.uniform(-30, 50, shape)
    problem, units = posed(image, channel_axis=axis, data_range=(-30, 50))
    assert problem.data.shape[:2] == (5, 7)
    assert problem.data.dtype == jnp.float32
    back = units.image(problem.data)
    assert back.shape == shape
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, image, rtol=0, atol=80 * 2.0**-23)
    draws = units.image(np.stack([problem.data, problem.data])[None])
    assert draws.shape == (1, 2, *shape)
    np.testing.assert_allclose(draws[0, 1], image, rtol=0, atol=80 * 2.0**-23)


def test_standard_deviations_are_scaled_and_not_shifted():
    _, units = posed(np.zeros((2, 5, 7)), channel_axis=0, data_range=(100, 140))
    spread = units.spread(np.full((5, 7, 2), 0.25))
    np.testing.assert_array_equal(spread, np.full((2, 5, 7), 10.0, np.float32))


def test_a_short_last_axis_is_taken_for_channels_and_the_user_is_told():
    assert "channels: 3, on the last axis" in posed(np.full((5, 7, 3), 9, np.uint8))[1].reported
    assert posed(np.full((5, 7, 3), 9, np.uint8), channel_axis=-1)[1].reported == ()


# ------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("cast", [bool, int, np.uint8, float])
def test_mask_is_true_where_observed_and_missing_where_not(cast):
    mask = HALF.astype(cast)
    by_mask, units = posed(GREY, mask)
    by_missing, _ = posed(GREY, missing=1 - mask if cast is not bool else ~mask)
    np.testing.assert_array_equal(by_mask.mask[..., 0], HALF)
    np.testing.assert_array_equal(by_missing.mask, by_mask.mask)
    np.testing.assert_array_equal(by_missing.data, by_mask.data)
    assert units.observed == pytest.approx(HALF.mean())


def test_without_a_mask_everything_is_observed():
    problem, units = posed(np.zeros((5, 7, 3), np.uint8))
    assert problem.mask.shape == (5, 7, 1)
    assert problem.mask.all()
    assert problem.observed_count == 5 * 7 * 3
    assert units.observed == 1


def test_pixels_with_a_nan_in_any_channel_are_missing():
    image = np.stack([GREY, GREY, GREY], -1)
    image[1, 2, 0] = image[3, 4] = np.nan
    problem, units = posed(image, HALF)
    expected = HALF.copy()
    expected[1, 2] = expected[3, 4] = False
    np.testing.assert_array_equal(problem.mask[..., 0], expected)
    assert np.isfinite(problem.data).all()
    assert units.observed == pytest.approx(expected.mean())
    assert problem.observed_count == 3 * expected.sum()


def test_nan_and_infinity_are_welcome_where_the_mask_says_missing():
    image = np.where(HALF, GREY, np.inf)
    problem, units = posed(image, HALF)
    np.testing.assert_array_equal(problem.data, posed(GREY, HALF)[0].data)
    assert units.high == GREY[HALF].max()


# ------------------------------------------------------------------------- noise and operator


def test_noise_is_estimated_in_the_units_of_the_image_and_the_user_is_told():
    image = np.clip(RNG.normal(128, 20, (64, 64)), 0, 255).astype(np.uint8)
    problem, units = pose(image)
    expected = estimate_noise_std(image.astype(np.float32)[..., None] / 255)
    assert problem.noise_std == pytest.approx(expected, rel=1e-5)
    assert units.noise_std == pytest.approx(255 * expected, rel=1e-5)
    assert units.reported == (f"noise std: {255 * expected:.4g}, estimated",)


@pytest.mark.parametrize(
    ("mask", "operator", "fillable"),
    [
        (None, None, False),
        (SOME, None, "posterior.filled(),"),
        (None, Blur.gaussian(1.0), "posterior.filled(operator),"),
    ],
    ids=["all", "mask", "blurred"],
)
def test_an_estimate_below_five_grey_levels_is_raised_to_it_and_the_user_is_told(
    mask, operator, fillable
):
    problem, units = pose(np.full((32, 32), 7, np.uint8), mask, operator=operator)
    assert problem.noise_std == pytest.approx(LEAST_ESTIMATE)
    assert any("raised to 5/255" in note for note in units.reported)
    assert units.noise["raised_from"] == pytest.approx(0, abs=1e-6)
    offered = [note for note in units.reported if "filled" in note]
    assert len(offered) == bool(fillable)
    assert all(fillable in note for note in offered)


def test_the_image_may_be_larger_than_the_data():
    problem, _ = posed(np.zeros((5, 7, 3), np.uint8), operator=Downsample(4))
    assert problem.image_shape == (20, 28, 3)
    masked = Mask(np.ones((5, 7, 1))) @ Downsample(2)
    assert posed(GREY, operator=masked)[0].image_shape == (10, 14, 1)


# ---------------------------------------------------------------------------------- errors

ERRORS = {
    "a mask of another size": (
        {"mask": np.ones((4, 7))}, r"mask has shape \(4, 7\) but image has \(5, 7\) pixels: pass",
    ),
    "a mask of several channels": (
        {"mask": np.ones((5, 7, 3))}, r"mask has shape \(5, 7, 3\).*\(5, 7\).*mask\[\.\.\., 0\]",
    ),
    "a transposed missing": (
        {"missing": np.ones((7, 5))}, r"missing has shape \(7, 5\) but image has \(5, 7\) pixels",
    ),
    "mask and missing": (
        {"mask": HALF, "missing": ~HALF}, "mask and missing are both given: pass one",
    ),
    "all missing by the mask": ({"mask": np.zeros((5, 7))}, "no pixel is observed: check"),
    "all missing": ({"missing": np.ones((5, 7))}, "no pixel is observed: check"),
    "all NaN": ({"image": np.full((5, 7), np.nan)}, "no pixel is observed.*NaN"),
    "a mask of grey levels": (
        {"mask": np.full((5, 7), 255)}, "mask holds values other than 0 and 1.*mask > 127",
    ),
    "a mask with a NaN": ({"mask": np.full((5, 7), np.nan)}, "values other than 0 and 1"),
    "infinity": ({"image": np.where(HALF, GREY, np.inf)}, "infinite values: mark them as missing"),
    "a noise of NaN": ({"noise_std": np.nan}, "noise_std is nan: expected a positive number"),
    "an infinite noise": ({"noise_std": np.inf}, "noise_std is inf: expected a positive number"),
    "a noise of zero": ({"noise_std": 0}, "noise_std is 0: expected a positive number"),
    "a negative noise": ({"noise_std": -1.0}, "noise_std is -1.0.*leave it out"),
    "complex values": ({"image": GREY + 1j}, "image is complex: pass its magnitude"),
    "booleans": ({"image": HALF}, "image has dtype bool.*expected integers or floats"),
    "text": ({"image": np.full((5, 7), "a")}, "expected integers or floats"),
    "nothing": ({"image": np.zeros((0, 7))}, r"shape \(0, 7\): expected"),
    "four axes": ({"image": np.zeros((2, 5, 7, 3))}, r"shape \(2, 5, 7, 3\).*channel_axis=-1"),
    "channels first, unsaid": ({"image": np.zeros((3, 5, 7))}, r"shape \(3, 5, 7\).*channel_axis"),
    "a channel axis that is not": (
        {"image": np.zeros((5, 7, 3)), "channel_axis": 3}, "channel_axis=3: expected",
    ),
    "a channel axis of a grey image": ({"channel_axis": -1}, "channel_axis=-1: expected"),
    "a range upside down": ({"data_range": (1, 0)}, r"data_range is \(1, 0\): expected \(low, high\)"),
    "a range of nothing": ({"data_range": (1, 1)}, "expected .low, high. with low < high"),
    "a range without end": ({"data_range": (0, np.inf)}, "expected .low, high."),
    "a range as one number": ({"data_range": 255.0}, "data_range is 255.0: expected .low, high."),
    "a range of three": ({"data_range": (0, 1, 2)}, "expected .low, high."),
    "floats of one value": ({"image": np.full((5, 7), 3.0)}, "every observed value is 3.*data_range"),
    "a negative weight precision": ({"weight_precision": -1.0}, "weight_precision is -1.0: expected"),
    "a weight precision of NaN": ({"weight_precision": np.nan}, "weight_precision is nan: expected"),
    "a function as operator": ({"operator": np.fft.fft2}, "expected a bdip operator, for example"),
    "an operator of another size": (
        {"operator": Mask(np.ones((4, 4, 1)))}, r"operator makes.*but the data have shape \(5, 7, 1\)",
    ),
    "no noise to estimate": (
        {"mask": np.indices((5, 7)).sum(0) % 2, "noise_std": None},
        "noise cannot be estimated from so few.*pass noise_std",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_what_does_not_fit_is_refused_with_the_remedy(arguments, message):
    with pytest.raises(ProblemError, match=message) as caught:
        posed(**arguments)
    assert "\n" not in str(caught.value)


def test_the_input_is_left_as_it_was():
    image, mask = GREY.copy(), HALF.copy()
    posed(image, mask)
    np.testing.assert_array_equal(image, GREY)
    np.testing.assert_array_equal(mask, HALF)


def test_the_share_of_observed_pixels_is_reported_where_some_are_missing():
    mask = np.arange(64).reshape(8, 8) >= 16
    _, units = pose(np.full((8, 8), 7, np.uint8), mask, noise_std=3)
    assert units.reported == ("observed 75.0 % of pixels",)


# ------------------------------------------------------------------------------- wide holes


def missing_at(*slices, shape=(20, 20)):
    mask = np.ones(shape, bool)
    mask[slices] = False
    return mask


HOLES = {
    "six rows": (missing_at(slice(5, 11)), False),
    "seven rows": (missing_at(slice(5, 12)), True),  # the middle one is out of reach: a seventh
    "nine rows of six columns": (missing_at(slice(5, 14), slice(3, 9)), False),
    "eight by eight": (missing_at(slice(5, 13), slice(3, 11)), True),  # 4/64
    "seven by seven": (missing_at(slice(5, 12), slice(3, 10)), False),  # 1/49
    "three at the edge": (missing_at(slice(0, 3)), False),
    "four at the edge": (missing_at(slice(0, 4)), True),
    "a volume's nine": (missing_at(*[slice(2, 11)] * 3, shape=(12, 12, 12)), True),  # 27/729
    "a volume's eight": (missing_at(*[slice(2, 10)] * 3, shape=(12, 12, 12)), False),  # 8/512
    "nine of ten": (np.random.default_rng(0).random((64, 64)) < 0.1, False),
    "none": (np.ones((20, 20), bool), False),
}  # fmt: skip


@pytest.mark.parametrize(("mask", "wide"), HOLES.values(), ids=HOLES)
def test_holes_are_wide_where_of_many_missing_pixels_none_within_three_is_observed(mask, wide):
    problem, _ = posed(np.random.default_rng(1).random(mask.shape), mask, spatial_axes=mask.ndim)
    assert problem.wide_holes == wide


def test_holes_in_data_that_are_no_pixels_are_not_of_the_image():
    mask = missing_at(slice(5, 12))
    problem, _ = posed(np.random.default_rng(1).random(mask.shape), mask, operator=Downsample(2))
    assert not problem.wide_holes


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ({}, "softsign"),
        ({"generator": "pyramid"}, None),
        ({"generator": bdip.Pyramid(channels=5)}, None),
        ({"mask": missing_at(slice(5, 11))}, None),
    ],
)
def test_the_default_generator_is_bounded_in_wide_holes(options, last):
    image = np.random.default_rng(1).random((20, 20))
    job = job_of(image, **{"mask": missing_at(slice(5, 12)), "noise_std": 0.1, **options})
    assert job.network.last_activation == last


def test_a_descent_keeps_the_network_of_its_paper_in_wide_holes():
    image = np.random.default_rng(1).random((20, 20))
    job = job_of(image, missing_at(slice(5, 12)), noise_std=0.1, sampler="adam")
    assert job.network == bdip.Hourglass()
