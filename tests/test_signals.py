"""Signals (L, C) and volumes (D, H, W, C): the same layers, generators and answers with other numbers of axes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip.chain import PROBE_PIXELS, _probe
from bdip.networks import (
    REGISTRY,
    DeepDecoder,
    Hourglass,
    Pyramid,
    ResNet,
    UNet,
    any_axes,
    generate,
)
from bdip.networks.convolution import convolve
from bdip.networks.layers import upsample_bilinear, upsample_nearest
from bdip.noise import estimate_noise_std
from bdip.problem import ProblemError, pose
from tests.fakes import Pixels

RNG = np.random.default_rng(0)
GENERATORS = {
    "pyramid": Pyramid(scales=2, channels=(5, 6), latent_channels=(1, 2)),
    "hourglass": Hourglass(
        scales=2, channels_down=5, channels_up=6, channels_skip=(0, 4), latent_channels=3
    ),
    "unet": UNet(scales=1, channels=4, latent_channels=3),
    "resnet": ResNet(blocks=1, channels=5, latent_channels=3),
    "deep-decoder": DeepDecoder(scales=2, channels=6, latent_channels=3),
}
GRIDS = {"a signal": (13,), "a volume": (5, 4, 6)}
every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


def convolution_by_its_formula(image, kernel, stride, padding):
    """out[i, d] = Σ_{u, c} padded[i stride + u, c] kernel[u, c, d], in double precision."""
    image, kernel = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    axes, size = image.ndim - 1, kernel.shape[0]
    margins = [(size // 2, size // 2)] * axes + [(0, 0)]
    padded = np.pad(image, margins, mode={"reflect": "reflect", "zero": "constant"}[padding])
    out = 0
    for tap in itertools.product(range(size), repeat=axes):
        window = tuple(slice(u, u + n, stride) for u, n in zip(tap, image.shape, strict=False))
        out = out + padded[window] @ kernel[tap]
    return out


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize(
    ("grid", "size", "stride"),
    [((9,), 3, 1), ((8,), 5, 2), ((5, 4), 3, 2), ((4, 5, 6), 3, 1), ((4, 5, 3), 3, 2)],
    ids=str,
)
def test_a_convolution_and_its_gradients_are_those_of_its_formula(grid, size, stride, padding):
    image, kernel = RNG.normal(size=(*grid, 2)), RNG.normal(size=(*(size,) * len(grid), 2, 3))
    expected = convolution_by_its_formula(image, kernel, stride, padding)
    cotangent = RNG.normal(size=expected.shape)

    @jax.jit
    def both(x, k, g):
        out, pull = jax.vjp(lambda x, k: any_axes.convolve(x, k, stride, padding, True), x, k)
        return out, *pull(g)

    found, to_image, to_kernel = both(
        *(jnp.asarray(x, jnp.float32) for x in (image, kernel, cotangent))
    )
    # Sums of up to 120 products of numbers around 1, in another order.
    rounding = 120 * 2.0**-22
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding)
    # It is linear in either factor, so that its gradients are the vectors of these inner products, with any factor.
    for _ in range(5):
        x, k = RNG.normal(size=image.shape), RNG.normal(size=kernel.shape)
        for ours, factor, other in (
            (to_image, x, convolution_by_its_formula(x, kernel, stride, padding)),
            (to_kernel, k, convolution_by_its_formula(image, k, stride, padding)),
        ):
            bound = rounding * np.linalg.norm(other) * np.linalg.norm(cotangent)
            assert abs(np.vdot(ours, factor) - np.vdot(cotangent, other)) < bound


def test_signals_and_volumes_are_convolved_by_the_layers_function_too():
    signal, kernel = normal(0, (9, 2)), normal(1, (3, 2, 3))
    found = convolve(signal, kernel, stride=2, padding="zero")
    expected = convolution_by_its_formula(signal, kernel, 2, "zero")
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-18)
    rough = convolve(signal, kernel, stride=2, padding="zero", precision="bfloat16")
    # Factors rounded to 8 bits: 6 products of numbers up to about 3, each off by 2⁻⁸ of itself at most.
    assert 0 < abs(rough - expected).max() < 6 * 9 * 2.0**-8


@every_grid
def test_up_sampling_works_along_each_axis_alone(grid):
    image = normal(0, (*grid, 2))
    for upsample, line in (
        (upsample_nearest, lambda x: np.repeat(x, 2, axis=0)),
        (upsample_bilinear, lambda x: np.stack([
            0.75 * x + 0.25 * np.concatenate([x[:1], x[:-1]]), 0.75 * x + 0.25 * np.concatenate([x[1:], x[-1:]]),
        ], 1).reshape(-1, *x.shape[1:])),
    ):  # fmt: skip
        expected = np.asarray(image)
        for axis in range(len(grid)):
            expected = np.moveaxis(line(np.moveaxis(expected, axis, 0)), 0, axis)
        np.testing.assert_allclose(upsample(image), expected, rtol=0, atol=2.0**-20)


def test_every_generator_is_here():
    assert {name: type(generator) for name, generator in GENERATORS.items()} == REGISTRY


QUICK = {("pyramid", "a volume"), ("hourglass", "a signal")}  # the rest repeat it, at length
GENERATORS_ON_GRIDS = [
    pytest.param(generator, grid, id=f"{name}-{kind}", marks=() if (name, kind) in QUICK else pytest.mark.slow)
    for name, generator in GENERATORS.items() for kind, grid in GRIDS.items()
]  # fmt: skip


@pytest.mark.parametrize(("generator", "grid"), GENERATORS_ON_GRIDS)
def test_every_generator_makes_signals_and_volumes_that_depend_on_every_weight(generator, grid):
    shape = (*grid, 2)
    params, latent = generator.init(jax.random.key(0), shape)

    def energy(params):
        image = generate(generator, params, latent, shape)
        return jnp.square(image - 0.3).sum(), image

    gradient, image = jax.jit(jax.grad(energy, has_aux=True))(params)
    assert image.shape == shape
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0), path


def test_weights_have_the_variance_of_their_number_of_inputs():
    generator = Hourglass(scales=1, channels_down=64, channels_up=64, latent_channels=64)
    for grid in GRIDS.values():
        params, _ = generator.init(jax.random.key(0), (*grid, 1))
        kernel = params["body"]["halve"]["convolution"]["kernel"]
        assert kernel.ndim == len(grid) + 2
        expected = 2 / (64 * 3 ** len(grid))
        # The mean square of n normals scatters by √(2/n).
        assert np.mean(kernel**2) == pytest.approx(expected, rel=4 * np.sqrt(2 / kernel.size))


def test_coordinates_are_one_for_each_axis():
    generator = Hourglass(scales=1, channels_down=4, channels_up=4, latent="coordinates")
    for grid in GRIDS.values():
        _, latent = generator.init(jax.random.key(0), (*grid, 1))
        assert latent.shape[-1] == len(grid)
        np.testing.assert_array_equal(latent[(0,) * len(grid)], 0)
        np.testing.assert_array_equal(latent[(-1,) * len(grid)], 1)


AXES = [
    ((20,), {}),
    ((20, 5), {"spatial_axes": 1, "channel_axis": -1}),
    ((31, 20), {"spatial_axes": 1, "channel_axis": 0}),
    ((4, 5, 6), {"spatial_axes": 3}),
    ((4, 5, 6, 7), {"spatial_axes": 3, "channel_axis": -1}),
    ((2, 4, 5, 6), {"spatial_axes": 3, "channel_axis": 0}),
    *[((4, 5, c), {"channel_axis": -1}) for c in (1, 2, 7, 31)],
]


@pytest.mark.parametrize(("shape", "options"), AXES, ids=str)
def test_data_go_to_channels_last_and_come_back_in_their_own_axes(shape, options):
    data = RNG.normal(0.5, 0.2, shape)
    problem, units = pose(data, noise_std=0.2, data_range=(0, 1), **options)
    axis = options.get("channel_axis")
    last = data[..., None] if axis is None else np.moveaxis(data, axis, -1)
    np.testing.assert_array_equal(problem.data, last.astype(np.float32))
    np.testing.assert_array_equal(units.image(problem.data), data.astype(np.float32))
    assert units.spread(np.zeros((2, 3, *last.shape))).shape == (2, 3, *shape)


@pytest.mark.parametrize(("shape", "options"), [AXES[2], AXES[3], AXES[-1]], ids=str)
def test_the_answer_has_the_axes_of_the_input(shape, options):
    data = RNG.normal(0.5, 0.2, shape)
    axis = options.get("channel_axis")
    mask = RNG.random(shape if axis is None else np.delete(shape, axis)) < 0.8
    posterior = bdip.sample(
        data, mask, noise_std=0.2, data_range=(0, 1), generator=Pixels(), sampler="sgld", steps=30, draws=3,
        progress=False, **options,
    )  # fmt: skip
    assert posterior.mean.shape == posterior.std.shape == shape
    assert posterior.draws.shape == (1, 3, *shape)
    assert posterior.settings["observed_values"] == mask.sum() * data.size / mask.size
    assert " × ".join(map(str, shape)) in posterior.summary()


def test_chains_of_signals_end_by_themselves_side_by_side_or_not():
    data = RNG.normal(0.5, 0.2, 40)
    posterior = bdip.sample(
        data, noise_std=0.2, data_range=(0, 1), generator=Pixels(), sampler="sgld", chains=2,
        max_steps=1000, holdout=0.1, settings=bdip.Settings(target_mcse=10, target_rhat=10), progress=False,
    )  # fmt: skip
    assert posterior.mean.shape == (40,)
    assert posterior.settings["stopped"] is not None
    assert posterior.diagnostics["holdout_pixels"] == 4


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 9, 10), {}),
        ((8, 9), {"channel_axis": 1}),
        ((8, 9), {"spatial_axes": 3}),
        ((8, 9), {"spatial_axes": 1}),
        ((8, 9, 10), {"spatial_axes": 0}),
        ((2, 3, 4, 5), {"spatial_axes": 4}),
        ((8, 9, 10, 11), {"channel_axis": -1}),
    ],
    ids=str,
)
def test_what_could_be_channels_or_an_axis_must_be_said(shape, options):
    with pytest.raises(
        ProblemError, match="of a signal .L, C. or a volume .D, H, W. say spatial_axes=1 or 3"
    ):
        pose(np.ones(shape), noise_std=0.1, **options)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("grid", [(4000,), (20, 20, 20)], ids=str)
def test_the_noise_of_signals_and_volumes_is_estimated(grid, masked):
    image = 3 * RNG.normal(size=(*grid, 1)) + 40
    mask = RNG.random(grid) < 0.9 if masked else None
    # A median of n normals estimates σ within 1.17/√n: at least 4000/2⁰ · 0.9² or 8000 · 0.43, or an eighth of 8000.
    assert estimate_noise_std(image, mask) == pytest.approx(3, rel=4 * 1.17 / np.sqrt(1000))


@pytest.mark.parametrize("grid", [(5000,), (70, 90), (40, 30, 20), (9,), (3, 3, 3)], ids=str)
def test_a_probe_is_of_a_thousand_pixels_or_somewhat_more(grid):
    pixels = np.prod(grid)
    probed = _probe(jnp.zeros((*grid, 2))).shape
    assert probed[-1] == 2
    assert min(pixels, PROBE_PIXELS) <= np.prod(probed[:-1]) <= max(4 * PROBE_PIXELS, 1)


def test_a_short_signal_is_restored_by_a_convolutional_generator():
    time = np.linspace(0, 1, 48)
    signal = np.sin(6 * time) + 0.2 * RNG.normal(size=48)
    tiny = bdip.Hourglass(scales=1, channels_down=8, channels_up=8)
    posterior = bdip.sample(
        signal, noise_std=0.2, data_range=(-1.5, 1.5), generator=tiny, steps=400, progress=False
    )
    # The noise's mean square is 0.04; a prior that knows smoothness must take off at least a quarter of it.
    assert np.mean((posterior.mean - np.sin(6 * time)) ** 2) < 0.03
    assert posterior.std.shape == (48,)
