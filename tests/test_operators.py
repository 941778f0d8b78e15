"""What every forward operator promises: a row here is all that a new one needs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import skimage.data
import skimage.transform
from PIL import Image

from bdip.operators import (
    JPEG,
    REGISTRY,
    Blur,
    Downsample,
    Fourier,
    FromFunction,
    FromMatrix,
    Identity,
    Mask,
    Mosaic,
    Operator,
    Radon,
    cartesian_lines,
    radial_lines,
)
from bdip.operators.base import InUnits

DATA = (4, 6, 2)
RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(0, 2, (4, 6, 1)).astype(np.float32)
PSF = RNG.random((3, 4)).astype(np.float32)
COILS = (RNG.normal(size=(4, 6, 2)) + 1j * RNG.normal(size=(4, 6, 2))).astype(np.complex64)
MATRIX = RNG.normal(size=(7, 30)).astype(np.float32)
STEPS = RNG.integers(1, 100, (3, 8, 8)).astype(np.float32)
ANGLES = np.array([0.0, 30.0, 45.0, 77.0, 90.0, 160.0], np.float32)


class Case(NamedTuple):
    """An operator, and a shape of the data that it makes."""

    operator: Operator
    data: tuple[int, ...] = DATA


CASES = {
    "identity": Case(Identity()),
    "mask": Case(Mask(WEIGHTS)),
    "downsample": Case(Downsample(3)),
    "downsample a signal": Case(Downsample(3), (5, 2)),
    "downsample a volume": Case(Downsample(2), (2, 3, 4, 1)),
    "downsample by lanczos2": Case(Downsample(4, "lanczos2")),
    "downsample by lanczos3": Case(Downsample(8, "lanczos3")),
    "blur": Case(Blur(PSF)),
    "blur by FFT": Case(Blur.gaussian(0.7, "nearest")),
    "blur, periodic": Case(Blur.motion(4, 20, "wrap")),
    "blur, dark": Case(Blur.gaussian(0.5, "constant")),
    "blur, nothing assumed": Case(Blur.motion(6, 70, "valid")),
    "blur, a function a channel": Case(Blur(RNG.random((3, 3, 2)).astype(np.float32))),
    "blur a signal": Case(Blur.gaussian(1.0, axes=1), (9, 2)),
    "blur a volume": Case(Blur.gaussian(0.5, axes=3), (4, 5, 6, 2)),
    "mosaic": Case(Mosaic("GRBG"), (5, 7, 1)),
    "function": Case(FromFunction(lambda x: jnp.cumsum(x, axis=1), lambda shape: shape)),
    "matrix": Case(FromMatrix(MATRIX, (5, 6, 1)), (7, 1)),
    "sparse matrix": Case(FromMatrix(scipy.sparse.csr_array(MATRIX * (MATRIX > 1)), (5, 3, 2), (7, 1, 1)), (7, 1, 1)),
    "fourier": Case(Fourier()),
    "coils": Case(Fourier(COILS), (4, 6, 4)),
    "jpeg": Case(JPEG(STEPS, (13, 21), (2, 1), (True, (1,))), (3 * 2 + 2 * 2 * 2, 64, 1)),
    "jpeg of a grey picture": Case(JPEG(STEPS[:1], (9, 8)), (2, 64, 1)),
    "radon": Case(Radon(ANGLES), (8, 6, 2)),
    "radon of an odd size": Case(Radon(ANGLES), (7, 6, 1)),
    "mask after downsample": Case(Mask(WEIGHTS) @ Downsample(2)),
    "downsample twice": Case(Downsample(2) @ Downsample(3)),
    "downsample after mask": Case(Downsample(2) @ Mask(np.tile(WEIGHTS, (2, 2, 1)))),
    "downsample after blur": Case(Downsample(2) @ Blur.gaussian(0.8)),
    "mosaic after blur": Case(Mosaic() @ Blur.gaussian(0.8), (4, 6, 1)),
}  # fmt: skip
every_operator = pytest.mark.parametrize(("operator", "shape"), CASES.values(), ids=CASES)


apply = jax.jit(lambda operator, image: operator(image))  # compiled once for the tests of a case


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_adjoint(operator, image_shape, data_shape, seed):
    """<Ax, y> = <x, Aᵀy>, Aᵀ being JAX's transpose."""
    image, data = normal(2 * seed, image_shape), normal(2 * seed + 1, data_shape)
    (back,) = jax.jit(jax.linear_transpose(operator, image))(data)
    made = apply(operator, image)
    assert back.shape == image_shape
    # Two inner products of n terms, each rounded n times: n 2⁻²⁴ of the product of the norms. The data
    # may be larger than the image, by what the operator does to it.
    left, right = jnp.vdot(made, data), jnp.vdot(image, back)
    norm = max(jnp.linalg.norm(image), jnp.linalg.norm(made))
    bound = 4 * max(image.size, data.size) * 2.0**-24 * norm * jnp.linalg.norm(data)
    assert abs(left - right) <= bound
    assert back.any()


def test_the_registry_holds_an_operator_of_each_kind():
    assert {type(case.operator) for case in CASES.values()} >= set(REGISTRY.values())
    assert {name: type(CASES[name].operator) for name in REGISTRY} == REGISTRY


@every_operator
def test_the_image_shape_is_the_one_that_gives_the_data_shape(operator, shape):
    image = jnp.zeros(operator.image_shape(shape))
    assert jax.eval_shape(operator, image).shape == shape


@every_operator
def test_the_adjoint_is_the_transpose(operator, shape):
    assert operator.linear
    for seed in range(2):
        assert_adjoint(operator, operator.image_shape(shape), shape, seed)


@every_operator
def test_operators_are_pytrees_that_come_back_whole(operator, shape):
    leaves, structure = jax.tree.flatten(operator)
    image = normal(0, operator.image_shape(shape))
    again = jax.tree.unflatten(structure, leaves)
    np.testing.assert_array_equal(apply(again, image), apply(operator, image))


def test_composition_applies_the_right_hand_one_first():
    image = normal(0, (8, 12, 2))
    composed = Mask(WEIGHTS) @ Downsample(2)
    np.testing.assert_array_equal(composed(image), Mask(WEIGHTS)(Downsample(2)(image)))


def test_composition_multiplies_shapes_in_any_grouping():
    a, b, c = Mask(WEIGHTS), Downsample(2), Downsample(3)
    assert ((a @ b) @ c).image_shape(DATA) == (a @ (b @ c)).image_shape(DATA) == (24, 36, 2)


def test_downsampling_is_the_mean_over_boxes():
    image = np.arange(2 * 6).reshape(2, 6, 1).astype(np.float32)  # rows 0–5 and 6–11
    # Boxes {0, 1, 6, 7}, {2, 3, 8, 9}, {4, 5, 10, 11}.
    np.testing.assert_array_equal(Downsample(2)(image)[..., 0], [[3.5, 5.5, 7.5]])


def test_downsampling_by_one_and_identity_change_nothing():
    image = normal(0, DATA)
    np.testing.assert_array_equal(Downsample(1)(image), image)
    np.testing.assert_array_equal(Identity()(image), image)


def test_a_mask_has_one_weight_a_pixel_or_one_a_value():
    image = normal(0, DATA)
    np.testing.assert_array_equal(Mask(WEIGHTS)(image), WEIGHTS * image)
    every_value = np.concatenate([WEIGHTS, 1 - WEIGHTS], axis=-1)
    np.testing.assert_array_equal(Mask(every_value)(image), every_value * image)


@pytest.mark.parametrize("factor", [0, -2, 1.5, "2", None])
def test_a_factor_that_is_no_positive_integer_is_refused(factor):
    with pytest.raises(ValueError, match="expected an integer of at least 1"):
        Downsample(factor)


@every_operator
def test_a_diagonal_operator_multiplies_each_value_by_its_own_weight(operator, shape):
    image_shape = operator.image_shape(shape)
    weights, image = apply(operator, jnp.ones(image_shape)), normal(0, image_shape)
    same = image_shape == shape and bool(jnp.array_equal(apply(operator, image), weights * image))
    assert operator.diagonal is same


# --------------------------------------------------------------------------- down-sampling


@pytest.mark.parametrize(("kernel", "factor"), [("lanczos3", 2), ("lanczos3", 4), ("lanczos3", 8)])
def test_lanczos_is_pillows_away_from_the_edges(kernel, factor):
    image = skimage.data.camera()[100:292, 200:392].astype(np.float32)
    small = Image.fromarray(image).resize((192 // factor,) * 2, Image.Resampling.LANCZOS)
    found = Downsample(factor, kernel)(image[..., None])[..., 0]
    inner = slice(
        4, -4
    )  # the kernel reaches 3 pixels, beyond which Pillow renormalises and we mirror
    # Sums of (6 f)² products of numbers up to 255, each sum rounded a few times.
    np.testing.assert_allclose(
        found[inner, inner], np.asarray(small)[inner, inner], rtol=0, atol=255 * 2.0**-18
    )


@pytest.mark.parametrize("lobes", [2, 3])
@pytest.mark.parametrize("factor", [1, 3])
def test_lanczos_keeps_constants_and_is_symmetric_about_the_middle(lobes, factor):
    image = normal(0, (12 * factor, 12 * factor, 1))
    operator = Downsample(factor, f"lanczos{lobes}")
    np.testing.assert_allclose(operator(jnp.ones_like(image)), 1, rtol=0, atol=2.0**-20)
    # Centred boxes: turning the picture round turns the small one round.
    turned, small = operator(image[::-1, ::-1]), operator(image)
    np.testing.assert_allclose(turned[::-1, ::-1], small, rtol=0, atol=2.0**-18)
    if factor == 1:  # sinc is zero at all other whole numbers
        np.testing.assert_allclose(small, image, rtol=0, atol=2.0**-20)


def test_lanczos2_has_its_weights_in_closed_form():
    # f = 2: c_i = 2i + ½, so t = ±¼, ±¾, ±5/4, ±7/4, and w(t) = sinc(t) sinc(t/2).
    t = np.array([0.25, 0.75, 1.25, 1.75])
    w = np.sin(np.pi * t) * np.sin(np.pi * t / 2) / (np.pi**2 * t**2 / 2)
    impulse = np.zeros((1, 32, 1), np.float32)
    impulse[0, 16] = 1  # t = (16 − 2i − ½)/2: ¾ + 1 = 7/4 for i = 6, ¾ for 7, −¼ for 8, −5/4 for 9
    found = Downsample(2, "lanczos2")(np.repeat(impulse, 2, axis=0))[0, :, 0]
    expected = {5: 0, 6: w[3], 7: w[1], 8: w[0], 9: w[2], 10: 0}
    for box, weight in expected.items():
        assert found[box] == pytest.approx(weight / (2 * w.sum()), abs=1e-6), box


@pytest.mark.parametrize("kernel", ["lanczos", "bicubic", None])
def test_a_kernel_of_another_name_is_refused(kernel):
    with pytest.raises(ValueError, match="expected box, lanczos2 or lanczos3"):
        Downsample(2, kernel)


# ------------------------------------------------------------------------------------ blur


@pytest.mark.parametrize("size", [(3, 3), (2, 3), (5, 4)], ids=str)
@pytest.mark.parametrize("boundary", ["reflect", "nearest", "wrap", "constant"])
def test_blur_is_scipys_convolution(boundary, size):
    image, psf = RNG.normal(size=(16, 11)), RNG.normal(size=size)
    expected = scipy.ndimage.convolve(image, psf, mode=boundary)
    found = apply(
        Blur(psf.astype(np.float32), boundary), jnp.asarray(image, jnp.float32)[..., None]
    )
    # Sums of up to 64 products of numbers around 1; an FFT's error grows with the logarithm of its size.
    np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=64 * 2.0**-21)


def test_where_nothing_is_assumed_the_data_are_the_middle_of_the_image_blurred():
    image, psf = RNG.normal(size=(16, 11)), RNG.normal(size=(4, 3))
    whole = scipy.ndimage.convolve(image, psf, mode="constant")
    found = Blur(psf.astype(np.float32), "valid")(jnp.asarray(image, jnp.float32)[..., None])
    # data[i] needs image[i − u + 2] for u = 0 … 3: rows 1 to 14 have all of theirs.
    np.testing.assert_allclose(found[..., 0], whole[1:-2, 1:-1], rtol=0, atol=2.0**-17)
    assert Blur(psf, "valid").image_shape((13, 9, 1)) == (16, 11, 1)


def test_each_channel_can_have_a_function_of_its_own():
    image, psf = normal(0, (9, 8, 2)), RNG.random((5, 5, 2)).astype(np.float32)
    both = Blur(psf)(image)
    for channel in range(2):
        alone = Blur(psf[..., channel])(image[..., channel : channel + 1])
        np.testing.assert_allclose(both[..., channel], alone[..., 0], rtol=0, atol=2.0**-18)


def test_the_gaussian_is_scipys():
    image = RNG.normal(size=(31, 33))
    expected = scipy.ndimage.gaussian_filter(image, 1.6, mode="reflect", truncate=4)
    found = Blur.gaussian(1.6)(jnp.asarray(image, jnp.float32)[..., None])[..., 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-18)


@pytest.mark.parametrize(("length", "angle"), [(1, 0), (7, 0), (9.5, 30), (12, 90), (5, 200)])
def test_a_path_has_its_light_its_centre_its_length_and_its_direction(length, angle):
    psf = Blur.motion(length, angle).psf.astype(np.float64)
    rows, columns = (np.arange(n) - n // 2 for n in psf.shape)
    assert psf.sum() == pytest.approx(1, abs=1e-6)
    assert rows @ psf.sum(1) == pytest.approx(0, abs=1e-6)
    assert columns @ psf.sum(0) == pytest.approx(0, abs=1e-6)
    # A uniform path of length L has variance L²/12 along itself; interpolation between pixels adds
    # f(1 − f), from 0 to ¼, along each axis. And E[row · column] = −(L²/24) sin 2α: rows point down.
    turn = np.deg2rad(angle)
    for found, share in (
        (rows**2 @ psf.sum(1), np.sin(turn)),
        (columns**2 @ psf.sum(0), np.cos(turn)),
    ):
        expected = (length * share) ** 2 / 12
        assert expected * (1 - 1e-3) - 1e-6 <= found <= expected + 0.25
    assert rows @ psf @ columns == pytest.approx(-(length**2) / 24 * np.sin(2 * turn), abs=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blur(PSF, "mirror"), "boundary is 'mirror': expected one of reflect"),
        (lambda: Blur.gaussian(0), "std is 0: expected a number of pixels above 0"),
        (lambda: Blur.motion(-3), "length is -3: expected"),
        (lambda: Blur(np.ones(3)).image_shape(DATA), r"psf has shape \(3,\) but the data \(4, 6, 2\)"),
        (lambda: Blur(np.ones((3, 3, 4))).image_shape(DATA), "one more for the 2 channels"),
        (lambda: Mosaic("RGB"), "pattern is 'RGB': expected"),
        (lambda: Mosaic("RGGX"), "pattern is 'RGGX': expected"),
        (lambda: Mosaic().image_shape(DATA), "a mosaic has one value a pixel"),
        (lambda: FromMatrix(MATRIX, (5, 5, 1)), r"matrix has shape \(7, 30\).*need \(7, 25\)"),
        (lambda: FromMatrix(MATRIX, (5, 6, 1)).image_shape((6, 1)), r"data of shape \(7, 1\), not \(6, 1\)"),
        (lambda: Fourier().image_shape((4, 4, 1)), r"expected real and imaginary parts of 1 coil, \(H, W, 2\)"),
        (lambda: Radon(ANGLES).image_shape((8, 5, 1)), r"there are 6 angles: expected \(detectors, 6\)"),
        (lambda: cartesian_lines((4, 4), 0), "share is 0: expected"),
        (lambda: radial_lines((4, 4), 0), "count is 0: expected"),
    ],
)  # fmt: skip
def test_what_is_no_operator_or_does_not_fit_the_data_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ------------------------------------------------------------------- colours, users' own, planes


def test_a_mosaic_lets_each_pixel_see_the_colour_of_its_letter():
    image = normal(0, (3, 5, 3))
    found = Mosaic("RGGB")(image)[..., 0]
    for row, column in np.ndindex(3, 5):
        colour = "RGB".index("RGGB"[2 * (row % 2) + column % 2])
        assert found[row, column] == image[row, column, colour]


def test_a_matrix_dense_or_sparse_multiplies_the_image_row_by_row():
    image = normal(0, (5, 6, 1))
    for matrix in (MATRIX, scipy.sparse.coo_array(MATRIX), jnp.asarray(MATRIX)):
        found = FromMatrix(matrix, (5, 6, 1))(image)
        np.testing.assert_allclose(found[:, 0], MATRIX @ np.ravel(image), rtol=0, atol=2.0**-17)


def test_an_operator_that_is_not_linear_says_so_and_so_does_what_it_is_part_of():
    saturating = FromFunction(lambda x: x**2, lambda shape: shape, linear=False)
    assert not saturating.linear
    assert not (Downsample(2) @ saturating).linear
    assert not (saturating @ Downsample(2)).linear
    # u ↦ ((1 + 2u)² − 1)/2
    inside = InUnits(saturating, 1.0, 2.0, 1.0)
    np.testing.assert_allclose(inside(jnp.full((1, 1, 1), 0.5)), 1.5)


def test_the_fourier_transform_is_numpys_and_keeps_the_norm():
    image = RNG.normal(size=(5, 6))
    expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))
    found = Fourier()(jnp.asarray(image, jnp.float32)[..., None])
    np.testing.assert_allclose(found[..., 0] + 1j * found[..., 1], expected, rtol=0, atol=2.0**-18)
    assert jnp.linalg.norm(found) == pytest.approx(np.linalg.norm(image), rel=1e-6)


def test_each_coil_sees_the_image_times_its_sensitivity():
    image = normal(0, (4, 6, 1))
    found = Fourier(COILS)(image)
    for coil in range(2):
        seen = np.asarray(COILS[..., coil] * image[..., 0])
        expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(seen), norm="ortho"))
        got = found[..., coil] + 1j * found[..., 2 + coil]
        np.testing.assert_allclose(got, expected, rtol=0, atol=2.0**-18)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_cartesian_lines_are_whole_columns_the_middle_ones_among_them(share):
    lines = cartesian_lines((32, 50), share, seed=3)
    assert lines.shape == (32, 50)
    np.testing.assert_array_equal(lines, np.broadcast_to(lines[0], lines.shape))
    assert lines[0].sum() == round(share * 50)
    assert lines[0, 23:28].all()  # |column − 25| ≤ 0.08 · 50/2 = 2
    different = not np.array_equal(lines, cartesian_lines((32, 50), share, seed=4))
    assert different == (share < 1)


def test_radial_lines_go_through_zero_frequency_and_are_symmetric_about_it():
    lines = radial_lines((33, 33), 7)
    assert lines[16, 16]
    np.testing.assert_array_equal(lines, lines[::-1, ::-1])
    assert radial_lines((33, 33), 8).sum() > radial_lines((33, 33), 4).sum()


@pytest.mark.parametrize("size", [32, 33])
def test_radon_is_scikit_images_within_the_circle(size):
    phantom = skimage.transform.resize(skimage.data.shepp_logan_phantom(), (size, size))
    row, column = np.indices(phantom.shape) - size // 2
    phantom[row**2 + column**2 > (size // 2) ** 2] = 0  # where scikit-image sees nothing
    theta = np.linspace(0, 180, 25, endpoint=False)
    expected = skimage.transform.radon(phantom, theta, circle=True)
    found = apply(Radon(theta), jnp.asarray(phantom, jnp.float32)[..., None])[..., 0]
    # The same interpolation, in single precision: coordinates up to 33 are rounded by 33 · 2⁻²⁴, of values that
    # change by up to 1 a pixel, and up to 33 of them are summed.
    np.testing.assert_allclose(found, expected, rtol=0, atol=4 * 33 * 33 * 2.0**-24)


def test_radon_in_turns_is_radon_at_once(monkeypatch):
    image = normal(0, (9, 9, 2))
    at_once = Radon(ANGLES)(image)
    monkeypatch.setattr("bdip.operators.radon.SAMPLES_AT_ONCE", 4 * 81)
    np.testing.assert_allclose(Radon(ANGLES)(image), at_once, rtol=0, atol=2.0**-18)
    assert_adjoint(Radon(ANGLES), (9, 9, 2), (9, 6, 2), 0)
