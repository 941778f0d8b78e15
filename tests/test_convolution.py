"""The convolution equals XLA's own on explicitly padded input, values and gradients, to float32 rounding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bdip.networks import convolution, winograd
from bdip.networks.convolution import convolve

# A sum of n products of float32 numbers is off by a few sqrt(n) eps times their size; Winograd's transforms add and
# subtract up to four terms twice, each way, which costs a further factor of about ten (Lavin & Gray, 2016, table 5).
ROUNDING = 40 * np.finfo(np.float32).eps


def winograd_rounding():
    """Of the direct sum's root mean square, where tile, kernel, products and output each round once.

    A rounding in the transforms reaches an output multiplied by its entries of A, B and G, 9 times in a
    tile's corner; four independent roundings make a factor of 2; the largest of some ten thousand
    errors is 4.5 standard deviations.
    """
    to_out, to_kernel, to_tile = winograd._matrices()
    size = np.square(to_kernel).sum(1) * np.square(to_tile).sum(0)
    corner = np.sqrt((np.square(to_out) * size[:, None]).sum(0) / 9).max()
    return 4.5 * 2 * corner * np.finfo(np.float32).eps


# height, width, in channels, out channels, kernel, stride
CASES = [
    (8, 8, 3, 5, 1, 1),
    (7, 5, 4, 2, 1, 2),
    (8, 8, 3, 5, 3, 1),
    (9, 7, 3, 5, 3, 1),
    (2, 2, 4, 4, 3, 1),
    (8, 6, 3, 5, 3, 2),
    (9, 7, 3, 5, 3, 2),
    (2, 2, 4, 4, 3, 2),
    (8, 6, 3, 2, 5, 1),
    (9, 8, 2, 3, 5, 2),
    (3, 3, 2, 3, 5, 1),
    (12, 10, 32, 20, 3, 1),
    (12, 10, 132, 32, 3, 1),
    (16, 8, 16, 16, 3, 1),
    (4, 2, 64, 64, 3, 1),
    (11, 13, 32, 32, 3, 1),
    (16, 16, 32, 32, 3, 2),
    (11, 6, 32, 24, 3, 2),
    (32, 32, 16, 16, 3, 1),
    (17, 22, 20, 16, 3, 1),
    (10, 12, 24, 16, 5, 1),
    (12, 10, 24, 16, 5, 2),
]

# One for each size and stride of the kernel, and one for each way of many channels.
FIRST_OF_A_KIND = [CASES[number] for number in (0, 1, 2, 5, 8, 9, 11, 16)]


def reference(image, kernel, stride, padding):
    margin = kernel.shape[0] // 2
    mode = "reflect" if padding == "reflect" else "constant"
    padded = jnp.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode=mode)
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        padded[None], kernel, (stride, stride), "VALID", dimension_numbers=layout
    )[0]


def draw(case, seed=0):
    height, width, channels, features, size, stride = case
    keys = jax.random.split(jax.random.key(seed), 3)
    image = jax.random.normal(keys[0], (height, width, channels))
    kernel = jax.random.normal(keys[1], (size, size, channels, features))
    cotangent = jax.random.normal(keys[2], (-(-height // stride), -(-width // stride), features))
    return image, kernel, cotangent


@partial(jax.jit, static_argnums=0)
def with_gradients(function, image, kernel, cotangent):
    """The function's value, and what the cotangent of it is for image and kernel."""
    value, pull_back = jax.vjp(function, image, kernel)
    return value, *pull_back(cotangent)


def assert_equal_to_rounding(found, expected, rounding=ROUNDING):
    """To rounding of a sum whose terms are as large as the array's typical entry."""
    assert found.shape == expected.shape
    error = np.abs(np.asarray(found) - np.asarray(expected)).max()
    assert error <= rounding * np.sqrt(np.square(np.asarray(expected)).mean()), error


@pytest.mark.parametrize(
    ("case", "padding"),
    [
        pytest.param(case, padding, marks=pytest.mark.slow if slow else (), id=f"{case}, {padding}")
        for case in CASES
        for padding, slow in (("reflect", False), ("zero", case not in FIRST_OF_A_KIND))
    ],
)
def test_values_and_both_gradients_equal_those_of_xla(case, padding):
    image, kernel, cotangent = draw(case)
    stride = case[-1]
    here = partial(convolve, stride=stride, padding=padding)
    xla = partial(reference, stride=stride, padding=padding)
    found, expected = (with_gradients(each, image, kernel, cotangent) for each in (here, xla))
    for ours, theirs in zip(found, expected, strict=True):
        assert_equal_to_rounding(ours, theirs)


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize("tile_rows", [1, 2, 3])
@pytest.mark.parametrize("height", [20, 21, 26])  # whole strips, and last ones that reach beyond
def test_an_image_worked_through_in_strips_gives_the_same(height, tile_rows, padding, monkeypatch):
    image, kernel, cotangent = draw((height, 18, 64, 64, 3, 1))
    row_bytes = 4 * 36 * 5 * 64  # 5 tiles cover 18 pixels
    monkeypatch.setattr(winograd, "STRIP_BYTES", tile_rows * row_bytes)
    assert winograd._strips(image, kernel).number > 1
    bound = winograd_rounding()
    expected, pull_back = jax.vjp(lambda x, k: reference(x, k, 1, padding), image, kernel)
    found = jax.jit(winograd.forward, static_argnums=2)(image, kernel, padding)
    assert_equal_to_rounding(found, expected, bound)
    gradients = jax.jit(winograd.backward, static_argnums=3)(image, kernel, cotangent, padding)
    for found, gradient in zip(gradients, pull_back(cotangent), strict=True):
        assert_equal_to_rounding(found, gradient, bound)


@pytest.mark.parametrize("case", [(8, 6, 3, 5, 3, 2), (12, 10, 32, 20, 3, 1)], ids=str)
def test_it_can_be_mapped_over_images_and_kernels(case):
    images, kernels, _ = (
        jnp.stack(pair) for pair in zip(draw(case, seed=0), draw(case, seed=1), strict=True)
    )

    def gradient(image, kernel):
        return jax.grad(lambda k: jnp.square(convolve(image, k, stride=case[-1])).sum())(kernel)

    mapped = jax.jit(jax.vmap(gradient))(images, kernels)
    for i in range(2):
        assert_equal_to_rounding(mapped[i], jax.jit(gradient)(images[i], kernels[i]))


def test_it_runs_and_differentiates_inside_a_scan():
    image, kernel, _ = draw((8, 8, 16, 16, 3, 1))

    def energy(kernel):
        body = lambda x, _: (convolve(x, kernel) / 12, None)  # noqa: E731
        return jnp.square(lax.scan(body, image, length=2)[0]).sum()

    def energy_unrolled(kernel):
        return jnp.square(
            reference(reference(image, kernel, 1, "reflect") / 12, kernel, 1, "reflect") / 12
        ).sum()

    assert_equal_to_rounding(
        jax.jit(jax.grad(energy))(kernel), jax.jit(jax.grad(energy_unrolled))(kernel)
    )


def test_a_cpu_is_never_given_the_gradient_of_a_convolution():
    image, kernel, _ = draw((8, 8, 4, 4, 3, 1))
    gradient = jax.jit(jax.grad(lambda k: jnp.square(convolve(image, k)).sum()))
    text = gradient.trace(kernel).lower(lowering_platforms=("cpu",)).as_text()
    # As a kernel, no convolution has anything but the kernel's own grid of 3 x 3.
    assert text.count("stablehlo.convolution") == text.count("x[0, 1, i, o]->[b, 0, 1, f]")


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize(
    "case", [(8, 6, 3, 5, 3, 2), (11, 13, 32, 32, 3, 1), (10, 12, 24, 16, 5, 1)], ids=str
)
def test_the_form_for_other_platforms_equals_xla_as_well(case, padding):
    image, kernel, cotangent = draw(case)
    stride = case[-1]
    expected, pull_back = jax.vjp(lambda x, k: reference(x, k, stride, padding), image, kernel)
    found = convolution._forward(image, kernel, stride, padding, "float32")
    assert_equal_to_rounding(found, expected)
    gradients = convolution._backward(image, kernel, cotangent, stride, padding, "float32")
    for found, gradient in zip(gradients, pull_back(cotangent), strict=True):
        assert_equal_to_rounding(found, gradient)


@pytest.mark.parametrize(("precision", "bits"), [("tf32", 10), ("bfloat16", 7)])
@pytest.mark.parametrize("case", [(12, 10, 32, 20, 3, 2), (16, 16, 64, 64, 3, 1)], ids=str)
def test_a_coarser_precision_rounds_the_factors_and_nothing_else(case, precision, bits):
    image, kernel, cotangent = draw(case)
    stride = case[-1]

    def gradients(x, k, g, **options):
        found, pull_back = jax.vjp(lambda x, k: convolve(x, k, stride=stride, **options), x, k)
        return found, *pull_back(g)

    factors = image, kernel, cotangent
    rounded = [lax.reduce_precision(factor, 8, bits) for factor in factors]
    found = jax.jit(partial(gradients, precision=precision))(*factors)
    for each, expected, exact in zip(
        found, jax.jit(gradients)(*rounded), jax.jit(gradients)(*factors), strict=True
    ):
        assert_equal_to_rounding(each, expected, winograd_rounding())
        # A factor is off by a uniform part of at most half a last bit, a product by two of them.
        error = np.sqrt(np.square(each - exact).mean() / np.square(exact).mean())
        assert 0.2 * 2.0**-bits < error < 2.0**-bits


def test_bfloat16_sums_elsewhere_are_rounded_once():
    image, kernel, _ = draw((12, 10, 32, 20, 3, 1))
    exact = convolution._forward(image, kernel, 1, "reflect", "float32")
    short = convolution._forward(image, kernel, 1, "reflect", "bfloat16")
    assert short.dtype == jnp.float32
    error = np.sqrt(np.square(short - exact).mean() / np.square(exact).mean())
    assert 0.2 * 2.0**-7 < error < 2.0**-7


@pytest.mark.parametrize(
    ("precision", "factors"),
    [
        ("float32", "precision HIGHEST>"),
        ("tf32", "precision DEFAULT>"),
        (None, "precision DEFAULT>"),
        ("bfloat16", "xbf16>"),
    ],
)
def test_the_precision_reaches_the_compiler_elsewhere(precision, factors):
    image, kernel, _ = draw((8, 8, 16, 16, 3, 1))
    forward = jax.jit(partial(convolve, precision=precision))
    text = forward.trace(image, kernel).lower(lowering_platforms=("cuda",)).as_text()
    (line,) = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert line.count(factors) >= 2


def test_one_convolution_reaches_the_compiler_elsewhere():
    image, kernel, _ = draw((8, 8, 16, 16, 3, 1))
    forward = jax.jit(convolve)
    text = forward.trace(image, kernel).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.convolution") == 1
