"""What every forward operator promises: a row here is all that a new one needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bdip.operators import REGISTRY, Downsample, Identity, Mask

DATA = (4, 6, 2)
WEIGHTS = np.random.default_rng(0).integers(0, 2, (4, 6, 1)).astype(np.float32)
CASES = {
    "identity": Identity(),
    "mask": Mask(WEIGHTS),
    "downsample": Downsample(3),
    "mask after downsample": Mask(WEIGHTS) @ Downsample(2),
    "downsample twice": Downsample(2) @ Downsample(3),
    "downsample after mask": Downsample(2) @ Mask(np.tile(WEIGHTS, (2, 2, 1))),
}
every_operator = pytest.mark.parametrize("operator", CASES.values(), ids=CASES)


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_the_registry_holds_an_operator_of_each_kind():
    assert {name: type(CASES[name]) for name in REGISTRY} == REGISTRY


@every_operator
def test_the_image_shape_is_the_one_that_gives_the_data_shape(operator):
    image = jnp.zeros(operator.image_shape(DATA))
    assert jax.eval_shape(operator, image).shape == DATA


@every_operator
@pytest.mark.parametrize("seed", range(3))
def test_the_adjoint_is_the_transpose(operator, seed):
    shape = operator.image_shape(DATA)
    image, data = normal(2 * seed, shape), normal(2 * seed + 1, DATA)
    (back,) = jax.linear_transpose(operator, image)(data)
    assert back.shape == shape
    # Two inner products of n terms, each rounded n times: n 2⁻²⁴ of the product of the norms.
    left, right = jnp.vdot(operator(image), data), jnp.vdot(image, back)
    bound = 4 * image.size * 2.0**-24 * jnp.linalg.norm(image) * jnp.linalg.norm(data)
    assert abs(left - right) <= bound


@every_operator
def test_operators_are_pytrees_that_come_back_whole(operator):
    leaves, structure = jax.tree.flatten(operator)
    image = normal(0, operator.image_shape(DATA))
    again = jax.tree.unflatten(structure, leaves)
    np.testing.assert_array_equal(again(image), operator(image))
    traced = jax.jit(lambda o, x: o(x))(operator, image)  # may sum in another order
    np.testing.assert_allclose(traced, operator(image), rtol=0, atol=1e-6)


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
def test_a_diagonal_operator_multiplies_each_value_by_its_own_weight(operator):
    shape = operator.image_shape(DATA)
    weights, image = operator(jnp.ones(shape)), normal(0, shape)
    same = shape == DATA and bool(jnp.array_equal(operator(image), weights * image))
    assert operator.diagonal is same
