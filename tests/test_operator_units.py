"""Data in another unit than the image: mapped rightly for any linear operator, or refused with the remedy."""

import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip.operators import cartesian_lines
from bdip.problem import ProblemError, pose
from bdip.samplers import Constant, Sgld
from tests import laws
from tests.fakes import Pixels

RNG = np.random.default_rng(0)
LOW, HIGH = -3.0, 5.0
SPAN = HIGH - LOW
MATRIX = RNG.normal(size=(9, 16)).astype(np.float32)
WEIGHTS = RNG.integers(0, 2, (4, 4, 1)).astype(np.float32)
SATURATION = bdip.FromFunction(jnp.tanh, lambda shape: shape, linear=False)

OTHER_UNITS = {
    "radon": bdip.Radon([0.0, 20.0, 90.0]),
    "fourier": bdip.Fourier(),
    "matrix": bdip.FromMatrix(MATRIX, (4, 4, 1), (3, 3, 1)),
    "a bright blur": bdip.Blur(np.full((3, 3), 1.0, np.float32)),
}
SAME_UNITS = {
    "blur": bdip.Blur.gaussian(0.6),
    "blur with dark surroundings": bdip.Blur.gaussian(0.3, "constant"),
    "lanczos": bdip.Downsample(2, "lanczos3"),
    "mask": bdip.Mask(WEIGHTS),
}


def data_of(operator, image):
    """What the operator makes of an image (H, W), as a user would pass it."""
    made = np.asarray(operator(jnp.asarray(image, jnp.float32)[..., None]))
    return made[..., 0] + 1j * made[..., 1] if operator.complex_data else made[..., 0]


@pytest.mark.parametrize(
    "operator", [*OTHER_UNITS.values(), *SAME_UNITS.values()], ids=[*OTHER_UNITS, *SAME_UNITS]
)
def test_the_data_are_those_of_the_image_in_the_unit_range(operator):
    image = RNG.uniform(LOW, HIGH, (4, 4))
    problem, units = pose(
        data_of(operator, image), operator=operator, data_range=(LOW, HIGH), noise_std=0.5
    )
    expected = operator(jnp.asarray((image - LOW) / SPAN, jnp.float32)[..., None])
    # Sums of up to 16 values of up to 5, divided by 8.
    np.testing.assert_allclose(problem.data, expected, rtol=0, atol=16 * 5 * 2.0**-24 * 4)
    assert problem.noise_std == pytest.approx(0.5 / SPAN)
    np.testing.assert_allclose(units.image(np.zeros((4, 4, 1))), np.full((4, 4), LOW))


def test_the_posterior_of_pixels_seen_through_a_matrix_is_the_normal_one_in_closed_form():
    sigma, precision, epsilon, steps, warmup = 0.5, 4.0, 0.02, 4000, 500
    unit = RNG.normal(0, precision**-0.5, 16)
    y = MATRIX @ (LOW + SPAN * unit) + SPAN * sigma * RNG.normal(size=9)
    posterior = bdip.sample(
        y, operator=bdip.FromMatrix(MATRIX, (4, 4, 1)), data_range=(LOW, HIGH), noise_std=SPAN * sigma,
        weight_precision=precision, generator=Pixels(), sampler=Sgld(Constant(epsilon)), steps=steps,
        warmup=warmup, progress=False,
    )  # fmt: skip
    assert posterior.mean.shape == (4, 4)
    # With A = UsVᵀ the coordinates Vᵀu are independent, of curvature s²/σ² + λ, and the mean is
    # (AᵀA/σ² + λ)⁻¹ Aᵀ(y − A low)/(σ² span).
    _, s, directions = np.linalg.svd(MATRIX)
    curvature = np.append(s**2, np.zeros(7)) / sigma**2 + precision
    data = (y - LOW * MATRIX.sum(1)) / SPAN
    expected = directions @ (MATRIX.T @ data) / sigma**2 / curvature
    found = directions @ ((posterior.mean.ravel() - LOW) / SPAN)
    errors = [
        laws.error_of_mean(laws.autocovariances(epsilon, l), steps - warmup) for l in curvature
    ]
    z = (found - expected) / errors
    assert abs(np.mean(z**2) - 1) < 4 * np.sqrt(2 / 16)
    assert abs(z).max() < 4.5


@pytest.mark.parametrize(
    "operator", [*OTHER_UNITS.values(), SATURATION], ids=[*OTHER_UNITS, "saturation"]
)
def test_where_the_data_do_not_tell_the_range_it_must_be_given(operator):
    data = data_of(operator, RNG.random((4, 4)))
    with pytest.raises(
        ProblemError, match=r"have another unit than the image.*pass data_range=\(low, high\)"
    ):
        pose(data, operator=operator, noise_std=0.1)


@pytest.mark.parametrize("operator", SAME_UNITS.values(), ids=SAME_UNITS)
def test_where_the_data_are_means_of_pixels_the_range_is_theirs(operator):
    data = np.full(np.shape(data_of(operator, np.zeros((4, 4)))), 7, np.uint8)
    units = pose(data, operator=operator, noise_std=5)[1]
    assert (units.low, units.high) == (0, 255)


def test_a_large_offset_is_kept_exactly_where_pixels_are_averaged():
    data = 1e6 + np.arange(4.0).reshape(2, 2)
    problem, _ = pose(data, operator=bdip.Downsample(3), data_range=(1e6, 1e6 + 4), noise_std=1)
    np.testing.assert_array_equal(problem.data[..., 0], [[0, 0.25], [0.5, 0.75]])


def test_an_operator_that_is_not_linear_sees_images_in_their_own_units():
    image = RNG.uniform(LOW, HIGH, (4, 4))
    data = np.tanh(image)
    problem, _ = pose(data, operator=SATURATION, data_range=(LOW, HIGH), noise_std=0.1)
    made = problem.operator(jnp.asarray((image - LOW) / SPAN, jnp.float32)[..., None])
    np.testing.assert_allclose(made, problem.data, rtol=0, atol=2.0**-20)
    np.testing.assert_allclose(
        problem.data[..., 0], (data - np.tanh(LOW)) / SPAN, rtol=0, atol=2.0**-20
    )
    assert problem.noise_std == pytest.approx(0.1 / SPAN)


@pytest.mark.parametrize("forward", [jnp.tanh, lambda x: x + 1, lambda x: x**2])
def test_a_function_that_only_says_it_is_linear_is_refused(forward):
    operator = bdip.FromFunction(forward, lambda shape: shape)
    with pytest.raises(ProblemError, match="FromFunction says it is linear, but.*say linear=False"):
        pose(np.ones((4, 4)), operator=operator, data_range=(0, 1), noise_std=0.1)


@pytest.mark.parametrize(
    ("operator", "data", "message"),
    [
        (bdip.Radon([0.0, 90.0]), np.ones((4, 3)), r"Radon: the data have shape \(4, 3\) but there are 2 angles"),
        (bdip.Mosaic(), np.ones((4, 4, 3)), "Mosaic: a mosaic has one value a pixel"),
        (bdip.Fourier(), np.ones((4, 4)), r"Fourier: .*expected real and imaginary parts of 1 coil"),
        (bdip.Blur.gaussian(1), np.ones((4, 4)) * 1j, "image is complex: pass its magnitude.*bdip.Fourier"),
    ],
)  # fmt: skip
def test_data_that_the_operator_cannot_have_made_are_refused(operator, data, message):
    with pytest.raises(ProblemError, match=message):
        pose(data, operator=operator, data_range=(0, 1), noise_std=0.1)


def test_complex_data_are_real_and_imaginary_channels_of_a_grey_image():
    lines = cartesian_lines((8, 8), 0.5)
    data = np.where(lines, RNG.normal(size=(8, 8)) + 1j * RNG.normal(size=(8, 8)), np.nan)
    problem, units = pose(data, operator=bdip.Fourier(), data_range=(0, 2), noise_std=0.1)
    np.testing.assert_allclose(
        problem.data[lines], np.stack([data.real, data.imag], -1)[lines] / 2, rtol=1e-6
    )
    np.testing.assert_array_equal(problem.mask[..., 0], lines)
    assert problem.observed_count == 2 * lines.sum()
    assert problem.image_shape == (8, 8, 1)
    assert units.channel_axis is None


def test_the_noise_of_coils_may_differ_and_is_that_of_either_part():
    coils = np.ones((4, 4, 3), np.complex64)
    stds = RNG.uniform(1, 2, (4, 4, 3))
    data = np.zeros((4, 4, 3), complex)
    problem, _ = pose(
        data, operator=bdip.Fourier(coils), channel_axis=2, data_range=(0, 2), noise_std=stds
    )
    np.testing.assert_allclose(problem.noise_std, np.concatenate([stds, stds], -1) / 2, rtol=1e-6)


def test_the_image_of_a_raw_picture_has_its_colours_last():
    problem, units = pose(np.full((4, 6), 9, np.uint8), operator=bdip.Mosaic(), noise_std=5)
    assert problem.image_shape == (4, 6, 3)
    assert units.image(np.zeros((2, 5, 4, 6, 3))).shape == (2, 5, 4, 6, 3)


def test_photon_noise_goes_with_the_data_whatever_their_unit():
    operator, photons = (
        OTHER_UNITS["radon"],
        bdip.PoissonGaussian(gain=0.3, read_noise=0.2, offset=1.0),
    )
    image = RNG.uniform(2, 5, (4, 4))
    data = data_of(operator, image)
    problem, _ = pose(data, operator=operator, data_range=(-1, 5), noise=photons)
    # v = gain (y − offset) + read_noise², in units of the range's width, 6.
    expected = (
        np.sqrt(np.maximum(0.3 * (data - 1), 0) + 0.04) / 6
    )  # in the dark read noise is the larger
    np.testing.assert_allclose(problem.noise_std[..., 0], expected, rtol=1e-5)


def test_noise_below_five_grey_levels_is_believed_where_the_unit_is_another():
    sums = RNG.normal(0, 1e-3, (32, 40))
    operator = bdip.Radon(np.linspace(0, 180, 40, endpoint=False))
    _, units = pose(sums, operator=operator, data_range=(0, 1))
    # A median of 16 · 20 values estimates σ within 1.17/√320 of itself: four standard errors.
    assert units.noise_std == pytest.approx(1e-3, rel=4 * 1.17 / np.sqrt(320))


def test_a_sinogram_is_restored_by_the_front_door():
    angles = np.linspace(0, 180, 12, endpoint=False)
    image = np.zeros((16, 16))
    image[5:10, 6:12] = 200
    tiny = bdip.Hourglass(scales=1, channels_down=8, channels_up=8)
    posterior = bdip.sample(
        data_of(bdip.Radon(angles), image), operator=bdip.Radon(angles), data_range=(0, 255), noise_std=20,
        generator=tiny, sampler="sgld", steps=30, progress=False,
    )  # fmt: skip
    assert posterior.mean.shape == posterior.std.shape == (16, 16)
    assert np.isfinite(posterior.std).all()
    assert posterior.settings["data_range"] == [0, 255]
    assert "image     16 × 16, range 0 to 255" in posterior.summary()
