"""χ² over time: the means of blocks, their errors, and the fall from the first to the last."""

import numpy as np
import pytest

from bdip.diagnostics import chi2_blocks, chi2_drift
from bdip.diagnostics.chi2 import autocorrelation_time


def autoregressive(a, shape, seed=0):
    """AR(1) x' = ax + ξ along the last axis, started in its law of variance 1/(1 − a²)."""
    noise = np.random.default_rng(seed).normal(size=shape)
    noise[..., 0] /= np.sqrt(1 - a**2)
    for t in range(1, shape[-1]):
        noise[..., t] += a * noise[..., t - 1]
    return noise


def test_drift_is_the_mean_of_each_half():
    assert chi2_drift([1.0, 3.0, 10.0, 20.0]) == (2.0, 15.0)
    assert chi2_drift([1.0, 3.0, 10.0, 20.0, 60.0]) == (2.0, 30.0)  # the odd one is in the second


def test_blocks_are_means_over_time_and_chains_without_the_first_odd_steps():
    first = [99, 1, 3, 2, 4, 5, 5, 8, 6]
    second = [99, 3, 5, 2, 4, 5, 5, 0, 2]
    found = chi2_blocks([first, second])
    np.testing.assert_allclose(found.means, [3, 3, 5, 4])
    assert found.fall == -1


def test_what_only_one_chain_reached_is_left_out():
    nan = np.nan
    found = chi2_blocks([[1, 1, 2, 2, 3, 3, 4, 4, 100], [1, 1, 2, 2, 3, 3, 4, 4, nan]])
    np.testing.assert_allclose(found.means, [1, 2, 3, 4])
    assert found.fall == -3


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_too_few_steps_for_four_blocks_tell_nothing(steps):
    found = chi2_blocks(np.ones((2, steps)))
    assert np.isnan([*found.means, *found.errors, found.error, found.fall, found.fall_error]).all()


def test_a_constant_has_no_error():
    assert chi2_blocks(np.ones(40)).fall_error == 0


def test_the_autocorrelation_time_is_that_of_a_geometric_series_up_to_its_window():
    # γ_t = a^t: τ(M) = 1 + 2(a − a^{M+1})/(1 − a), with M the first at least 5 τ(M).
    a, t = 0.5, np.arange(100)
    times = 1 + 2 * (a - a ** (t + 1)) / (1 - a)
    window = next(m for m in t if m >= 5 * times[m])
    expected = times[window] * (1 + (2 * window + 1) / 100)
    assert autocorrelation_time(a**t) == pytest.approx(expected, rel=1e-12)
    twice = times[window] * (1 + 2 * (2 * window + 1) / 100)
    assert autocorrelation_time(a**t, fitted=2) == pytest.approx(twice, rel=1e-12)
    assert autocorrelation_time((-a) ** t) == 1  # never better than independent


@pytest.mark.parametrize(("a", "chains"), [(0.0, 1), (0.8, 1), (0.8, 3), (-0.5, 2)])
def test_errors_are_those_of_an_autoregressive_series(a, chains):
    runs, length = 400, 500
    traces = autoregressive(a, (runs, chains, 4 * length))
    found = [chi2_blocks(each) for each in traces]
    # Var(mean of n) = (1/(1 − a²)) (1 + a)/(1 − a) / n, but for a < 0 at least that without correlation.
    time = max(1.0, (1 + a) / (1 - a))
    expected = np.sqrt(time / (1 - a**2) / (chains * length))
    # τ from windows of M ≈ 5τ has the relative variance 2(2M + 1)/N (Sokal 1997), N = 4 · chains · length
    # steps a run, the error half of its relative deviation. The bias by each chain's own line is mended to
    # first order in 2(2M + 1)/(4 · length), and e^−5 of the sum lies beyond M.
    window = 5 * time + 1
    spread = np.sqrt((2 * window + 1) / (2 * 4 * chains * length))
    bias = (2 * (2 * window + 1) / (4 * length)) ** 2 + np.exp(-5)
    errors = np.array([each.errors[0] for each in found])
    assert abs(errors.mean() / expected - 1) < 4 * spread / np.sqrt(runs) + bias + spread**2
    if a >= 0:
        # Four means a run, of which the standard deviation is the error, known to 1/√(2n).
        means = np.concatenate([each.means for each in found])
        assert abs(means.std() / expected - 1) < 4 / np.sqrt(2 * means.size) + bias
        z = np.array([each.fall / each.fall_error for each in found])
        assert abs(z.std() - 1) < 4 / np.sqrt(2 * runs) + bias + spread**2


def test_a_fall_is_told_in_standard_errors():
    steps = 4000
    level = 0.01 * autoregressive(0.5, (steps,))
    found = chi2_blocks(1 + level - 0.1 * np.linspace(0, 1, steps))
    # A straight trend does not count as noise: 9 digits of what is left of 16 after its removal.
    assert found.fall_error == pytest.approx(chi2_blocks(level).fall_error, rel=1e-9)
    # The block centres are 3/4 of the run apart.
    assert abs(found.fall - 0.075) < 4 * found.fall_error
    assert found.fall > 10 * found.fall_error
    assert found.error == pytest.approx(found.errors[0] / 2)
