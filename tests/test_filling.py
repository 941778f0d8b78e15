"""Data without noise put back into the picture through their operator, against the same formula with dense matrices."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import bdip
from bdip import filling
from bdip.problem import pose
from bdip.trees import frozen_pytree, normal_like
from tests.answers import SETTINGS, answer

SHAPE, ROUNDING = (6, 4, 1), 0.02
OPERATORS = {
    "half the size": bdip.Downsample(2),
    "blurred": bdip.Blur.gaussian(0.7),
    "Fourier": bdip.Fourier(),
    "weights": bdip.Mask(jnp.asarray(np.random.default_rng(3).uniform(0, 2, SHAPE), jnp.float32)),
}


def posed(operator, data, observed=None):
    return pose(
        data, observed, operator=operator, noise_std=ROUNDING, data_range=(0, 1), channel_axis=-1
    )[0]


def matrices(operator, observed):
    """A, of observed data alone, and C, dense and in double precision."""
    rows = np.asarray(jax.jacobian(operator)(jnp.zeros(SHAPE)), np.float64)
    rows = rows.reshape(-1, np.prod(SHAPE))[np.broadcast_to(observed[..., None], rows.shape[:3]).ravel()]  # fmt: skip
    height, width, _ = SHAPE
    frequency = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)
    power = 1 / np.maximum(frequency, 1 / max(SHAPE))
    power /= power.mean()
    waves = np.eye(height * width).reshape(-1, height, width)
    waves = scipy.fft.idctn(waves, axes=(1, 2), norm="ortho").reshape(height * width, -1)
    return rows, waves.T @ np.diag(power.ravel()) @ waves


@pytest.fixture(params=OPERATORS)
def case(request):
    """Operator, data, the observed places, A and C; one place of the data is not observed."""
    operator = OPERATORS[request.param]
    rng = np.random.default_rng(0)
    data = np.asarray(operator(jnp.asarray(rng.random(SHAPE), jnp.float32)))
    observed = np.ones(data.shape[:2], bool)
    observed[1, 0] = False
    return operator, data, observed, *matrices(operator, observed)


def gain(rows, covariance, rest_std):
    signal = rest_std**2 * covariance @ rows.T
    return signal @ np.linalg.inv(rows @ signal + ROUNDING**2 * np.eye(len(rows)))


def test_the_mean_gains_what_the_data_say_of_the_rest(case):
    operator, data, observed, rows, covariance = case
    mean, rest_std = np.random.default_rng(1).random(SHAPE).astype(np.float32), np.float32(0.1)
    problem = posed(operator, data, observed)
    found = filling._corrected(problem, mean, problem.data, rest_std)
    left = data[observed].ravel() - rows @ mean.ravel()
    k = gain(rows, covariance, 0.1)
    expected = mean.ravel() + k @ left
    # The equations are solved to a part in a thousand of the residual, which K makes larger by its norm at most.
    error = np.linalg.norm(np.ravel(found) - expected)
    assert error < 1.1 * filling.TOLERANCE * np.linalg.norm(k, 2) * np.linalg.norm(left)
    assert np.linalg.norm(expected - mean.ravel()) > 50 * error


def test_the_rest_is_as_large_as_what_the_draws_leave_of_the_data_asks_for(case):
    operator, data, observed, rows, covariance = case
    images = np.random.default_rng(2).random((5, *SHAPE)).astype(np.float32)
    found = float(filling._rest_std(posed(operator, data, observed), images, jax.random.key(0)))
    left = data[observed].ravel() - images.reshape(5, -1) @ rows.T
    seen = rows @ covariance @ rows.T
    expected = ((left**2).sum(axis=1).mean() - len(rows) * ROUNDING**2) / np.trace(seen)
    # Of the trace, from probes: relative variance 2 tr(M²)/(tr M)² each.
    error = np.sqrt(2 * np.sum(seen**2) / filling.PROBES) / np.trace(seen)
    assert found**2 == pytest.approx(expected, rel=4 * error)


def test_where_nothing_but_rounding_is_left_the_mean_stays():
    operator = bdip.Downsample(2)
    mean = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    rounded = np.asarray(operator(jnp.asarray(mean))) + np.float32(ROUNDING / 2)
    image, std = filling.fill(posed(operator, rounded), mean, mean[None][:0], jax.random.key(0))
    np.testing.assert_array_equal(image, mean)
    assert np.isnan(std).all()  # without draws


@pytest.mark.parametrize("case", ["half the size", "weights"], indirect=True)
def test_a_draw_has_a_rest_and_data_of_its_own(case):
    """X + K (y + ε n − A x) with x = g + s C^½ w."""
    operator, data, observed, rows, covariance = case
    draw, key = np.random.default_rng(1).random(SHAPE).astype(np.float32), jax.random.key(1)
    problem, rest_std = posed(operator, data, observed), np.float32(0.1)
    found = filling._redrawn(problem, draw, rest_std, key)
    white, noise = (np.asarray(each) for each in normal_like(key, (draw, problem.data)))
    values, waves = np.linalg.eigh(covariance)
    root = waves @ np.diag(np.sqrt(values)) @ waves.T
    freely = draw.ravel() + 0.1 * root @ white.ravel()
    k = gain(rows, covariance, 0.1)
    left = (data + ROUNDING * noise)[observed].ravel() - rows @ freely
    error = np.linalg.norm(np.ravel(found) - freely - k @ left)
    assert error < 1.1 * filling.TOLERANCE * np.linalg.norm(k, 2) * np.linalg.norm(left)


@pytest.mark.parametrize("case", ["half the size"], indirect=True)
def test_the_standard_deviation_is_that_under_the_condition_of_the_data(case):
    """Of draws N(mean, τ²): the variance of (1 − K A)(g + e) + K n, averaged over the image."""
    operator, data, observed, rows, covariance = case
    spread, mean = 0.05, np.random.default_rng(1).random(SHAPE).astype(np.float32)
    problem = posed(operator, data, observed)
    runs = []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=(32, *SHAPE))
        draws = (mean + spread * noise).astype(np.float32)
        rest_std = float(filling._rest_std(problem, draws, jax.random.key(seed)))
        _, std = filling.fill(problem, mean, draws, jax.random.key(seed))
        k = gain(rows, covariance, rest_std)
        kept = np.eye(len(covariance)) - k @ rows
        prior = spread**2 * np.eye(len(covariance)) + rest_std**2 * covariance
        expected = np.trace(kept @ prior @ kept.T + ROUNDING**2 * k @ k.T)
        runs.append(np.sum(std.astype(np.float64) ** 2) / expected)
    # Of one value, 32 draws tell the variance to √(2/31); of an image at least as well.
    assert np.mean(runs) == pytest.approx(1, abs=4 * np.sqrt(2 / 31 / len(runs)))


@pytest.mark.parametrize("axis", [None, 0])
def test_a_picture_made_small_again_is_the_one_that_was_given(axis):
    """In the user's axes and units, to half a level of 256, and with the standard deviation in these."""
    shape = {None: (12, 16), 0: (3, 12, 16)}[axis]
    rng = np.random.default_rng(0)
    operator, low, high = bdip.Downsample(2, "lanczos2"), -100.0, 400.0

    def small(picture):
        last = picture[..., None] if axis is None else np.moveaxis(picture, axis, -1)
        seen = np.asarray(operator(jnp.asarray(last, jnp.float32)))
        return seen[..., 0] if axis is None else np.moveaxis(seen, -1, axis)

    truth = rng.uniform(low, high, shape).astype(np.float32)
    mean = truth + rng.normal(0, 20, shape).astype(np.float32)
    settings = {"channel_axis": axis, "data_range": [low, high], "operator": "Downsample"}
    posterior = answer(shape, axis, input=small(truth), mean=mean, settings=SETTINGS | settings)
    draws = mean + rng.normal(0, 10, (2, 8, *shape))
    posterior = replace(posterior, draws=draws.astype(np.float32))
    image, std = posterior.filled(operator)
    level = (high - low) / 255
    assert image.shape == std.shape == shape
    assert np.sqrt(np.mean((small(image) - posterior.input) ** 2)) < level / np.sqrt(12)
    assert np.sqrt(np.mean((small(posterior.mean) - posterior.input) ** 2)) > 3 * level
    # Both mean and rest are nearer to the truth: of a quarter of the values the data tell.
    assert np.mean((image - truth) ** 2) < 0.9 * np.mean((mean - truth) ** 2)
    assert 10 < std.mean() < 40
    assert np.isnan(replace(posterior, std=np.full(shape, np.nan)).filled(operator)[1]).all()


@frozen_pytree("factor", "kernel")
class Counted(bdip.Downsample):
    """Half the size, of which the detector tells whole steps of 40."""

    noise = bdip.Rounding(40.0)


def test_of_a_detector_that_rounds_the_picture_is_one_that_it_may_have_seen():
    shape, rng = (12, 16), np.random.default_rng(0)
    operator, truth = Counted(2), rng.uniform(0, 255, shape).astype(np.float32)

    def small(picture):
        return np.asarray(operator(jnp.asarray(picture[..., None])))[..., 0]

    mean = truth + rng.normal(0, 60, shape).astype(np.float32)
    settings = {"channel_axis": None, "data_range": [0.0, 255.0], "operator": "Counted"}
    data = np.rint(small(truth) / 40) * 40
    image, _ = answer(shape, input=data, mean=mean, settings=SETTINGS | settings).filled(operator)
    assert np.abs(small(mean) - data).max() > 2 * 20
    assert np.abs(small(image) - data).max() < 1.02 * 20
    assert np.mean((image - truth) ** 2) < np.mean((mean - truth) ** 2)


@pytest.mark.parametrize(
    ("settings", "operator", "why"),
    [
        ({"operator": "Downsample"}, None, r"of an operator \(Downsample\): pass it"),
        ({}, bdip.Downsample(2), "operator is a Downsample, but the data are of Identity"),
        ({"operator": "Downsample"}, bdip.Blur.gaussian(1.0), "a Blur, but the data are of Down"),
        (
            {"operator": "Downsample"},
            bdip.Downsample(3),
            "of an image of shape .24, 30, 1.*answer has .8, 10, 1",
        ),
        (
            {"operator": "InUnits"},
            bdip.FromFunction(jnp.square, lambda shape: shape, linear=False),
            "not linear",
        ),
    ],
)
def test_an_operator_that_is_not_that_of_the_data_is_refused(settings, operator, why):
    posterior = answer((8, 10), settings=SETTINGS | {"channel_axis": None} | settings)
    with pytest.raises(ValueError, match=why):
        posterior.filled(operator)
