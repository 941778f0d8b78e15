"""The running mean and variance against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bdip import moments

SEEDS = range(3)
SHAPE = (3, 4)
COUNT = 60
# Each addition rounds a handful of float32 operations on numbers no larger than the data, and the
# running update only shrinks earlier errors: COUNT additions lose at most a few COUNT · 2⁻²⁴ of it.
ROUNDING = 8 * COUNT * 2.0**-24


def stream(seed, offset=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(offset, 1, (COUNT, *SHAPE)).astype(np.float32)
    return values, np.exp(rng.normal(0, 2, COUNT)).astype(np.float32)  # weights over decades


@jax.jit
def run(values, weights, memory=1.0):
    start = moments.empty(SHAPE)
    return jax.lax.scan(
        lambda m, row: (moments.add(m, *row, memory), None), start, (values, weights)
    )[0]


def expected(values, weights):
    values, weights = values.astype(np.float64), weights.astype(np.float64)
    mean = np.average(values, axis=0, weights=weights)
    return weights.sum(), mean, np.average((values - mean) ** 2, axis=0, weights=weights)


def assert_moments(found, values, weights):
    total, mean, variance = expected(values, weights)
    scale = np.abs(values).max()
    np.testing.assert_allclose(found.weight, total, rtol=ROUNDING)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=ROUNDING * scale)
    # A deviation carries the rounding of the values, relative to the size of the values.
    spread = np.sqrt(variance).max()
    atol = ROUNDING * (variance.max() + scale * spread)
    np.testing.assert_allclose(moments.variance(found), variance, rtol=0, atol=atol)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_adding_gives_numpys_weighted_mean_and_variance(seed, offset):
    values, weights = stream(seed, offset)
    assert_moments(run(values, weights), values, weights)


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_of_zero_change_nothing_first_or_later(seed):
    values, weights = stream(seed)
    weights[:7] = 0
    weights[20:30] = 0
    poisoned = values.copy()
    poisoned[weights == 0] = 1e30
    clean = run(values, weights)
    assert_moments(clean, values, weights)
    for got, wanted in zip(run(poisoned, weights), clean, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_nothing_added_is_zero_and_finite():
    empty = moments.empty(SHAPE)
    still_empty = moments.add(empty, jnp.ones(SHAPE), jnp.float32(0))
    for nothing in (empty, still_empty, moments.merge(empty, still_empty)):
        assert nothing.weight == 0
        np.testing.assert_array_equal(nothing.mean, np.zeros(SHAPE))
        np.testing.assert_array_equal(moments.variance(nothing), np.zeros(SHAPE))


def test_the_first_array_is_the_mean_whatever_its_weight():
    value = jnp.full(SHAPE, 0.7)
    for weight in (1e-20, 1.0, 1e20):
        np.testing.assert_array_equal(
            moments.add(moments.empty(SHAPE), value, jnp.float32(weight)).mean, value
        )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cut", [0, 1, 23, COUNT])
def test_merging_two_streams_gives_the_moments_of_both_together(seed, cut):
    values, weights = stream(seed, offset=10.0)
    values[cut:] += 5  # the two halves differ, so that the term between them matters
    first, second = run(values[:cut], weights[:cut]), run(values[cut:], weights[cut:])
    assert_moments(moments.merge(first, second), values, weights)
    assert_moments(moments.merge(second, first), values, weights)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.99])
def test_memory_gives_the_exponential_average_without_start_up_bias(memory):
    # The weight of an image shrinks by β with each later one of non-zero weight:
    # w_s β^(number of later ones), normalised; hence no bias towards the start.
    values, weights = stream(4)
    weights[[0, 5, 40]] = 0
    later = (weights > 0)[::-1].cumsum()[::-1] - (weights > 0)
    aged = np.where(weights > 0, weights * np.float64(memory) ** later, 0)
    assert_moments(run(values, weights, memory), values, aged)


def test_memory_of_zero_keeps_the_last_value():
    values, weights = stream(5)
    weights[-2:] = 0
    found = run(values, weights, 0.0)
    np.testing.assert_allclose(found.mean, values[-3], rtol=0, atol=2.0**-22 * np.abs(values).max())
