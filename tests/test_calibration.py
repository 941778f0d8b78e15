"""Checks of an answer, on answers whose quality is known."""

import numpy as np
import pytest

from bdip.diagnostics import chi2_drift, coverage, psnr


def test_drift_is_the_mean_of_each_half():
    assert chi2_drift([1.0, 3.0, 10.0, 20.0]) == (2.0, 15.0)
    assert chi2_drift([1.0, 3.0, 10.0, 20.0, 60.0]) == (2.0, 30.0)  # the odd one is in the second


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_coverage_of_a_right_normal_answer_is_its_level(level, seed):
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(0, 5, 20_000), rng.uniform(0.1, 3, 20_000)
    truth = rng.normal(mean, std)
    # Binomial standard error √(p(1 − p)/n).
    assert abs(coverage(truth, mean, std, level) - level) < 4 * np.sqrt(
        level * (1 - level) / 20_000
    )


def test_coverage_falls_when_the_answer_is_too_sure():
    truth = np.random.default_rng(0).normal(0, 1, 20_000)
    # P(|z| ≤ 1.645/2) = 0.5892.
    assert abs(coverage(truth, 0, 0.5) - 0.5892) < 4 * np.sqrt(0.5892 * 0.4108 / 20_000)


def test_psnr_is_ten_times_the_logarithm_of_the_squared_range_over_the_squared_error():
    truth = np.zeros((4, 4))
    assert psnr(truth, truth + 0.1) == pytest.approx(20)
    assert psnr(truth, truth + 25.5, span=255) == pytest.approx(20)
