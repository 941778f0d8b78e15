"""What the comparison of kernels measures with."""

import numpy as np
import pytest
from scipy.signal import lfilter

from benchmarks import images
from benchmarks.kernels import QUICK, TASKS, effective_sample_size


@pytest.mark.parametrize("a", [0.0, 0.5, 0.9])
def test_the_effective_sample_size_of_an_autoregression_is_the_one_of_theory(a):
    # ρ_k = a^k, so that τ = 1 + 2 Σ_k a^k = (1 + a)/(1 − a). The sum stops at about lag m, where a^m is
    # lost in the noise 1/√n; its relative variance is about (4m + 2)/n a chain, and less than n/50
    # lags lost or made monotone bias it by less than that noise.
    steps, chains = 20_000, 100
    noise = np.random.default_rng(0).normal(size=(steps, chains))
    draws = lfilter([1], [1, -a], noise, axis=0)[1000:]
    lags = 1 + np.log(np.sqrt(steps)) / max(-np.log(max(a, 1e-9)), 0.1)
    error = np.sqrt((4 * lags + 2) / steps)
    found = effective_sample_size(draws).mean() / len(draws)
    assert found == pytest.approx((1 - a) / (1 + a), rel=error)


def test_the_effective_sample_size_does_not_depend_on_unit_and_origin():
    draws = np.random.default_rng(0).normal(size=(101, 7)).cumsum(axis=0)
    np.testing.assert_allclose(
        effective_sample_size(1e3 + 5 * draws), effective_sample_size(draws), rtol=1e-9
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_has_a_picture_and_a_stand_in(task):
    for name in (task.picture, task.stand_in):
        assert images.crop(name, QUICK.pixels).shape == (64, 64)
