"""What every generator promises, whatever its structure."""

from dataclasses import FrozenInstanceError, replace
from functools import partial

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from bdip.networks import REGISTRY, DeepDecoder, Hourglass, Pyramid, ResNet, UNet, generate
from bdip.networks.flat import flat
from bdip.networks.layers import Norm, upsample_bilinear, upsample_nearest
from bdip.networks.network import Network
from bdip.trees import LANES
from tests.fakes import PaddedPixels

SMALL = {
    "pyramid": Pyramid(scales=2, channels=(6, 8), latent_channels=(3, 2)),
    "hourglass": Hourglass(
        scales=2, channels_down=6, channels_up=8, channels_skip=(0, 4), latent_channels=4
    ),
    "unet": UNet(scales=1, channels=4, latent_channels=4),
    "resnet": ResNet(blocks=2, channels=6, latent_channels=4),
    "deep-decoder": DeepDecoder(scales=2, channels=8, latent_channels=4),
}
VARIANTS = [
    Hourglass(
        scales=1, channels_down=4, channels_up=4, kernel_down=5, upsample="nearest", padding="zero"
    ),
    Hourglass(
        scales=2,
        channels_down=(4, 6),
        channels_up=(5, 7),
        channels_skip=0,
        kernel_up=1,
        activation="swish",
    ),
    Hourglass(
        scales=1,
        channels_down=16,
        channels_up=16,
        latent="coordinates",
        activation="elu",
        output="linear",
    ),
    Pyramid(scales=2, channels=(4, 6), latent_channels=(0, 2), kernel=5, upsample="nearest"),
    Pyramid(scales=1, channels=4, latent_channels=0, activation="elu", output="linear"),
    Pyramid(scales=1, channels=4, activation="softsign", last_activation="tanh"),
    UNet(scales=2, channels=4, latent="coordinates", upsample="nearest", activation="relu"),
    ResNet(blocks=1, channels=4, padding="zero", output="linear"),
    DeepDecoder(scales=1, channels=4, latent="coordinates", upsample="nearest"),
    Hourglass(scales=1, channels_down=4, channels_up=4, precision="bfloat16", remat=True),
]
EPSILON = np.finfo(np.float32).eps
# The smallest image is the hardest: nothing to reflect, nothing to normalise. Larger ones are also met by what follows.
SHAPES = [(1, 1, 1), *(pytest.param(shape, marks=pytest.mark.slow) for shape in [(5, 7, 3), (13, 16, 2)])]  # fmt: skip

every_generator = pytest.mark.parametrize("generator", SMALL.values(), ids=SMALL)
# Those made of convolutions have a precision, and can be made again for the gradient.
NETWORKS = {name: each for name, each in SMALL.items() if isinstance(each, Network)}
every_network = pytest.mark.parametrize("generator", NETWORKS.values(), ids=NETWORKS)


def shapes_of(generator, shape):
    """Those of its params and latent for an image of this shape, for which nothing is compiled."""
    return jax.eval_shape(partial(generator.init, image_shape=shape), jax.random.key(0))


@partial(jax.jit, static_argnums=0)
def made(generator, params, latent):
    """What the generator makes, compiled once for all tests of the same shape."""
    return generator.apply(params, latent)


def image_and_gradient(generator, params, latent, shape):
    def energy(params):
        image = generate(generator, params, latent, shape)
        return jnp.square(image - 0.3).sum(), image

    gradient, image = jax.jit(jax.grad(energy, has_aux=True))(params)
    return image, gradient


def test_the_registry_holds_each_generator_under_its_name():
    assert {name: type(generator) for name, generator in SMALL.items()} == REGISTRY


def slow_but_for(*names):
    """Every generator of convolutions, those that are not named for the slow tests."""
    return pytest.mark.parametrize(
        "generator",
        [pytest.param(each, id=name, marks=() if name in names else pytest.mark.slow) for name, each in NETWORKS.items()],
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@every_generator
def test_the_image_has_the_shape_asked_for_and_every_gradient_is_finite(generator, shape):
    params, latent = generator.init(jax.random.key(0), shape)
    image, gradient = image_and_gradient(generator, params, latent, shape)
    assert image.shape == shape
    assert image.dtype == jnp.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("generator", VARIANTS, ids=lambda g: type(g).__name__)
def test_every_option_gives_an_image_that_depends_on_every_weight(generator):
    shape = (9, 6, 3)
    params, latent = generator.init(jax.random.key(1), shape)
    image, gradient = image_and_gradient(generator, params, latent, shape)
    assert image.shape == shape
    assert np.isfinite(image).all()
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0), path


@every_generator
def test_params_are_nested_dicts_of_float32_arrays_and_the_latent_is_one(generator):
    params, latent = generator.init(jax.random.key(0), (8, 8, 1))

    def assert_plain(tree):
        for name, branch in tree.items():
            assert type(name) is str
            if isinstance(branch, dict):
                assert type(branch) is dict
                assert_plain(branch)
            else:
                assert isinstance(branch, jax.Array)
                assert branch.dtype == jnp.float32

    assert type(params) is dict
    assert_plain(params)
    assert latent.dtype == jnp.float32
    assert latent.ndim == 3


@every_generator
def test_the_grid_covers_the_image(generator):
    grid = jax.eval_shape(generator.apply, *shapes_of(generator, (9, 11, 1))).shape
    assert grid[0] >= 9
    assert grid[1] >= 11
    assert grid[2] == 1


@slow_but_for("pyramid", "unet")
def test_the_image_of_one_vector_is_that_of_its_params(generator):
    shape = (8, 8, 1)
    params, latent = generator.init(jax.random.key(0), shape)
    vector = flat(generator, shape)
    parts, same = vector.init(jax.random.key(0), shape)
    # A round number, and what is left.
    entries = sum(leaf.size for leaf in jax.tree.leaves(params))
    sizes = (entries // LANES * LANES, entries % LANES)
    assert [len(part) for part in parts] == [size for size in sizes if size]
    np.testing.assert_array_equal(same, latent)
    image, gradient = image_and_gradient(generator, params, latent, shape)
    found, slope = image_and_gradient(vector, parts, latent, shape)
    np.testing.assert_allclose(found, image, atol=100 * np.finfo(np.float32).eps)
    wanted, _ = jax.flatten_util.ravel_pytree(gradient)
    np.testing.assert_allclose(
        np.concatenate(slope), wanted, rtol=1e-3, atol=1e-4 * abs(wanted).max()
    )


def test_params_of_several_types_stay_as_they_are():
    class Mixed:
        def init(self, key, image_shape):
            return {"a": jnp.zeros(3), "b": jnp.zeros(2, jnp.bfloat16)}, jnp.zeros(())

    mixed = Mixed()
    assert flat(mixed, (8, 8, 1)) is mixed


def test_the_crop_is_central():
    grid = jax.random.normal(jax.random.key(0), (16, 16, 1))
    image = generate(PaddedPixels(), {"image": grid}, None, (9, 11, 1))
    np.testing.assert_array_equal(image, jax.nn.sigmoid(grid)[3:12, 2:13])


@every_generator
def test_the_same_key_gives_the_same_network_and_another_key_another(generator):
    shape = (8, 8, 1)
    first, again, other = (generator.init(jax.random.key(seed), shape) for seed in (0, 0, 1))
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), first, again)))
    assert not all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), first, other)))


@every_generator
def test_compiled_and_plain_evaluation_agree_to_rounding(generator):
    params, latent = generator.init(jax.random.key(0), (8, 8, 1))
    compiled = made(generator, params, latent)
    # The output lies in [0, 1]; a dozen normalised layers each add a few roundings.
    np.testing.assert_allclose(
        compiled, generator.apply(params, latent), atol=100 * np.finfo(np.float32).eps
    )


@every_network
def test_rematerialisation_keeps_less(generator):
    params, latent = shapes_of(generator, (13, 16, 2))

    def kept(generator):
        """Bytes kept from the evaluation for the gradient."""
        kept = jax.eval_shape(
            lambda p, z: jax.vjp(lambda p: generator.apply(p, z), p)[1], params, latent
        )
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))

    thrifty = replace(generator, remat=True)
    assert kept(thrifty) < 0.6 * kept(generator)


@slow_but_for("pyramid", "deep-decoder")
def test_rematerialisation_changes_nothing(generator):
    shape = (13, 16, 2)
    params, latent = generator.init(jax.random.key(0), shape)
    thrifty = replace(generator, remat=True)
    found, expected = (
        jax.flatten_util.ravel_pytree(image_and_gradient(g, params, latent, shape)[1])[0]
        for g in (thrifty, generator)
    )
    # The same numbers, but in loops that the compiler may have merged in another way.
    assert np.linalg.norm(found - expected) < 100 * EPSILON * np.linalg.norm(expected)


@every_network
def test_the_last_layer_is_exact_whatever_the_precision(generator):
    shape = (13, 16, 2)
    params, latent = generator.init(jax.random.key(0), shape)
    short = replace(generator, precision="bfloat16")
    image = short.apply(params, latent)
    # An image rounded to 7 bits of mantissa has at most 2**7 values between 1/2 and 1.
    assert len(np.unique(image)) > 2**7


@every_generator
def test_params_can_be_mapped_over(generator):
    draws = [generator.init(jax.random.key(seed), (8, 8, 1))[0] for seed in (0, 1)]
    latent = generator.init(jax.random.key(0), (8, 8, 1))[1]
    images = jax.jit(jax.vmap(generator.apply, (0, None)))(
        jax.tree.map(lambda *x: jnp.stack(x), *draws), latent
    )
    for image, params in zip(images, draws, strict=True):
        np.testing.assert_allclose(
            image, made(generator, params, latent), atol=100 * np.finfo(np.float32).eps
        )


@every_generator
def test_a_generator_is_a_frozen_hashable_value(generator):
    assert hash(generator) == hash(type(generator)(**vars(generator)))
    with pytest.raises(FrozenInstanceError):
        generator.output = "linear"


def test_weights_are_he_normal():
    params, latent = Hourglass(scales=1, channels_down=64, channels_up=64).init(
        jax.random.key(0), (8, 8, 3)
    )
    kernel = np.asarray(params["body"]["refine"]["convolution"]["kernel"])
    variance = 2 / (9 * 64)
    # The sample variance of n normals has relative standard error sqrt(2 / n).
    assert abs(kernel.var() / variance - 1) < 5 * np.sqrt(2 / kernel.size)
    assert latent.min() >= 0
    assert latent.max() < 0.1


def test_a_pyramids_latents_are_params_and_standard_normal_at_every_scale():
    pyramid = Pyramid(scales=2, channels=16, latent_channels=(4, 0))
    latents = pyramid.init(jax.random.key(0), (62, 128, 3))[0]["latents"]
    assert {k: v.shape for k, v in latents.items()} == {"00": (64, 128, 4), "02": (16, 32, 16)}
    for found in map(np.ravel, latents.values()):
        # Standard errors of the mean and variance of n standard normals: 1/√n and √(2/n).
        assert abs(found.mean()) < 5 / np.sqrt(found.size)
        assert abs(found.var() - 1) < 5 * np.sqrt(2 / found.size)


def test_jitter_of_a_pyramid_is_of_its_finest_latents():
    pyramid = SMALL["pyramid"]
    params, latent = pyramid.init(jax.random.key(0), (8, 8, 1))
    moved = params | {"latents": params["latents"] | {"00": params["latents"]["00"] + 0.1}}
    jittered = pyramid.apply(params, latent + 0.1)
    np.testing.assert_array_equal(jittered, pyramid.apply(moved, latent))
    assert np.any(jittered != pyramid.apply(params, latent))


def test_the_scale_of_a_pyramids_latents_is_that_of_the_norm_by_which_they_join():
    half, whole = (replace(SMALL["pyramid"], latent_scale=scale) for scale in (0.5, 1.0))
    params, latent = half.init(jax.random.key(0), (8, 8, 1))
    levels = {}
    for (scale, level), joining in zip(sorted(params["levels"].items()), (3, 2), strict=True):
        norm = {k: v.at[:joining].multiply(0.5) for k, v in level["joined_norm"].items()}
        levels[scale] = level | {"joined_norm": norm}
    expected = whole.apply(params | {"levels": levels}, latent)
    np.testing.assert_allclose(half.apply(params, latent), expected, rtol=1e-5)
    assert np.any(half.apply(params, latent) != whole.apply(params, latent))


def without_gates(params):
    """The params of a pyramid of one scale and one latent, for one without gates."""
    level = {k: v for k, v in params["levels"]["00"].items() if k != "gates"}
    # The second channel that is normalised is the gate.
    level["joined_norm"] = {k: jnp.delete(v, 1) for k, v in level["joined_norm"].items()}
    return params | {"levels": {"00": level}}


def test_a_gate_of_one_value_scales_a_pyramids_latents_by_twice_the_sigmoid_of_twice_it():
    gated = Pyramid(scales=1, channels=4, latent_scale=0.5)
    params, latent = gated.init(jax.random.key(0), (8, 8, 1))
    level, value = params["levels"]["00"], 0.3
    norm = level["joined_norm"]
    constant = {"scale": norm["scale"].at[1].set(0), "shift": norm["shift"].at[1].set(value)}
    fixed = params | {"levels": {"00": level | {"joined_norm": constant}}}
    spread = 0.5 * 2 / (1 + np.exp(-2 * value))
    plain = replace(gated, gated=False, latent_scale=spread)
    expected = plain.apply(without_gates(params), latent)
    np.testing.assert_allclose(gated.apply(fixed, latent), expected, rtol=1e-5)
    assert np.any(gated.apply(params, latent) != gated.apply(fixed, latent))


def test_coarser_latents_change_how_much_finer_ones_count():
    """An image of the finer latents alone depends on the coarser ones by way of the gates, and without them not at all."""
    gated = Pyramid(scales=1, channels=4)
    params, latent = gated.init(jax.random.key(0), (8, 8, 1))
    level = params["levels"]["00"]
    kernel = jnp.zeros_like(level["mix"]["convolution"]["kernel"]).at[1, 1, 0].set(1)
    only = level | {"mix": level["mix"] | {"convolution": {"kernel": kernel}}}
    seen = params | {"levels": {"00": only}}
    other = seen | {"latents": seen["latents"] | {"01": -seen["latents"]["01"]}}
    assert np.any(gated.apply(seen, latent) != gated.apply(other, latent))
    plain = replace(gated, gated=False)
    images = [plain.apply(without_gates(each), latent) for each in (seen, other)]
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("name", ["tanh", "softsign", None])
def test_features_of_a_pyramid_level_off_before_the_output_where_that_is_asked_for(name):
    """What levels off is at most 1, so that no image is further from the bias than the output's weights come to."""
    pyramid = Pyramid(scales=1, channels=4, output="linear", last_activation=name)
    params, latent = pyramid.init(jax.random.key(0), (8, 8, 1))
    level = params["levels"]["00"]
    norm = {"scale": 100 * level["polish"]["norm"]["scale"], "shift": jnp.zeros(4)}
    steep = params | {"levels": {"00": level | {"polish": level["polish"] | {"norm": norm}}}}
    reach = abs(pyramid.apply(steep, latent) - params["output"]["bias"]).max()
    most = abs(params["output"]["kernel"]).sum()
    assert (reach <= most * (1 + 10 * EPSILON)) == (name is not None)
    assert reach > most / 10


@pytest.mark.parametrize(("name", "value"), [("tanh", np.tanh(2)), ("softsign", 2 / 3)])
def test_what_levels_off_is_of_twice_a_normalised_feature(name, value):
    out = Norm(1, name)(jnp.array([-1.0, -1.0, 1.0, 1.0])[:, None])
    np.testing.assert_allclose(out.ravel(), value * np.array([-1, -1, 1, 1]), rtol=1e-5)


def test_the_last_nonlinearity_of_a_pyramid_is_that_of_the_others_unless_told():
    plain = Pyramid(scales=1, channels=4, activation="elu")
    params, latent = plain.init(jax.random.key(0), (8, 8, 1))
    image = plain.apply(params, latent)
    same, other = (replace(plain, last_activation=name) for name in ("elu", "leaky_relu"))
    np.testing.assert_array_equal(image, same.apply(params, latent))
    assert np.any(image != other.apply(params, latent))


def test_a_norm_gives_every_channel_its_shift_and_scale():
    norm = Norm(3)
    x = 5 + 2 * jax.random.normal(jax.random.key(0), (16, 16, 3))
    out = norm(x)
    # The variance is 4, to which 1e-5 is added: the standard deviation falls short of 1 by about 1e-6.
    np.testing.assert_allclose(out.mean((0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(out.std((0, 1)), 1, atol=1e-5)


def test_bilinear_doubling_reproduces_a_ramp_but_for_its_ends():
    ramp = jnp.arange(4.0)[:, None, None] * jnp.ones((1, 3, 2))
    expected = [
        0,
        0.25,
        0.75,
        1.25,
        1.75,
        2.25,
        2.75,
        3,
    ]  # positions -1/4, 1/4, 3/4, ..., clamped to [0, 3]
    np.testing.assert_allclose(upsample_bilinear(ramp)[:, 2, 1], expected, atol=1e-6)
    np.testing.assert_allclose(upsample_bilinear(ramp.swapaxes(0, 1))[2, :, 1], expected, atol=1e-6)


def test_nearest_doubling_repeats_each_pixel():
    x = jnp.arange(6.0).reshape(2, 3, 1)
    np.testing.assert_array_equal(upsample_nearest(x)[..., 0], np.kron(x[..., 0], np.ones((2, 2))))


@pytest.mark.parametrize(
    ("generator", "field", "value", "message"),
    [
        (Hourglass, "scales", 0, "scales is 0 but must be a whole number of at least 1"),
        (Hourglass, "channels_down", (8, 8), "channels_down has 2 entries but scales is 4"),
        (Hourglass, "channels_up", 2.5, "channels_up is 2.5"),
        (Hourglass, "channels_skip", -1, "channels_skip is -1"),
        (Hourglass, "kernel_up", 4, "kernel_up is 4 but must be 1, 3 or 5"),
        (
            Hourglass,
            "upsample",
            "cubic",
            "upsample is 'cubic' but must be one of 'bilinear', 'nearest'",
        ),
        (Hourglass, "padding", "edge", "padding is 'edge'"),
        (Hourglass, "activation", "linear", "activation is 'linear'"),
        (Pyramid, "channels", (8, 8), "channels has 2 entries but scales is 4"),
        (Pyramid, "latent_channels", -1, "latent_channels is -1"),
        (Pyramid, "latent_scale", -1.0, "latent_scale is -1.0 but must be above 0: 0.7 is usual"),
        (Pyramid, "kernel", 2, "kernel is 2 but must be 1, 3 or 5"),
        (Pyramid, "upsample", "cubic", "upsample is 'cubic'"),
        (Pyramid, "last_activation", "linear", "last_activation is 'linear' but must be one of"),
        (UNet, "channels", True, "channels is True"),
        (UNet, "latent", "random", "latent is 'random'"),
        (ResNet, "blocks", 0, "blocks is 0"),
        (ResNet, "latent_channels", 0, "latent_channels is 0"),
        (DeepDecoder, "latent_scale", 0.0, "latent_scale is 0.0 but must be above 0"),
        (DeepDecoder, "output", "relu", "output is 'relu'"),
    ],
)
def test_a_bad_field_is_refused_with_what_was_found_and_expected(generator, field, value, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        generator(**{field: value})
