"""Checks of an answer, on answers whose quality is known."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from bdip.diagnostics import (
    ause,
    coverage,
    crps,
    negative_log_likelihood,
    psnr,
    scores,
    sparsification,
    z_scores,
)


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


# ------------------------------------------------------------------------ scores of one value

VALUES = [(0.3, 0.0, 1.0), (2.5, 1.0, 0.25), (-7.0, 3.0, 4.0), (1.0, 1.0, 0.1)]


@pytest.mark.parametrize(("truth", "mean", "std"), VALUES)
def test_crps_is_the_integral_of_the_squared_distance_of_the_distribution_functions(
    truth, mean, std
):
    def below(t):
        return stats.norm.cdf(t, mean, std) ** 2

    def above(t):
        return (1 - stats.norm.cdf(t, mean, std)) ** 2

    expected = integrate.quad(below, -np.inf, truth)[0] + integrate.quad(above, truth, np.inf)[0]
    assert crps(truth, mean, std) == pytest.approx(expected, rel=1e-6)


def test_crps_of_a_sure_answer_is_its_error_and_of_a_right_one_std_over_root_pi():
    assert crps(3.0, 1.0, 1e-9) == pytest.approx(2.0)
    rng = np.random.default_rng(0)
    found = crps(rng.normal(1, 2, 20_000), 1.0, 2.0)
    assert abs(found.mean() - 2 / math.sqrt(math.pi)) < 4 * found.std() / math.sqrt(20_000)


@pytest.mark.parametrize(("truth", "mean", "std"), VALUES)
def test_the_likelihood_and_the_z_score_are_those_of_the_normal_law(truth, mean, std):
    expected = -stats.norm.logpdf(truth, mean, std)
    assert negative_log_likelihood(truth, mean, std) == pytest.approx(expected, rel=1e-12)
    assert z_scores(truth, mean, std) == pytest.approx((truth - mean) / std, rel=1e-12)


@pytest.mark.parametrize("level", [0.01, 0.683, 0.999])
def test_coverage_takes_any_level(level):
    width = 3 * stats.norm.ppf((1 + level) / 2)
    truth = 5 + width * np.array([-1.001, -0.999, 0, 0.999, 1.001])
    assert coverage(truth, 5, 3, level) == pytest.approx(3 / 5)


# --------------------------------------------------------------------- the order of the doubts


def test_removing_the_most_doubtful_first():
    # Sorted by doubt, the errors are 1, 6, 2, 3: means 1, 7/2, 3, 3 of the first 1 to 4.
    found = sparsification([-6, 1, 3, 2], [0.2, 0.1, 0.9, 0.5])
    np.testing.assert_allclose(found, [1, 1, 7 / 6, 1 / 3])


def linear(count):
    """Errors 1 … n in a random order."""
    return np.random.default_rng(0).permutation(np.arange(1.0, count + 1))


def test_the_area_of_the_right_order_is_zero_and_of_the_reverse_in_closed_form():
    error = linear(100)
    assert ause(error, 0, 0.1 * error) == 0
    # Removing j leaves the mean (n + j + 1)/2 in reverse and (n − j + 1)/2 in the right order, over
    # (n + 1)/2: differences 2j/(n + 1), whose mean over j = 0 … n − 1 is (n − 1)/(n + 1).
    assert ause(error, 0, 1 / error) == pytest.approx(99 / 101)
    assert ause(-error, 0, 1 / error) == pytest.approx(99 / 101)  # the sign is no matter


def test_the_area_of_a_blind_guess_is_half_that_of_the_reverse():
    count, runs = 100, 400
    rng = np.random.default_rng(1)
    error = linear(count)
    areas = np.array([ause(error, 0, rng.random(count)) for _ in range(runs)])
    # What is left is a random part, whose mean is 1 in expectation.
    expected = (count - 1) / (count + 1) / 2
    assert abs(areas.mean() - expected) < 4 * areas.std() / math.sqrt(runs)


def test_the_area_does_not_depend_on_the_size_of_the_error_bars():
    rng = np.random.default_rng(2)
    truth, std = rng.normal(size=(8, 8)), rng.random((8, 8))
    assert ause(truth, 0, std) == ause(truth, 0, 10 * std)


# ------------------------------------------------------------------------------- all together


def test_scores_of_right_predictions_lie_within_their_errors():
    rng = np.random.default_rng(3)
    std = rng.uniform(0.5, 2, (4000, 1))
    truth = rng.normal(0, std)
    found = scores(truth, np.zeros_like(truth), std)
    expected = {
        "coverage_50": 0.5, "coverage_90": 0.9, "coverage_95": 0.95, "z_mean": 0, "z_std": 1,
        "crps": std.mean() / math.sqrt(math.pi),
        "nll": (0.5 + math.log(2 * math.pi) / 2 + np.log(std)).mean(),
    }  # fmt: skip
    for name, value in expected.items():
        assert abs(found[name] - value) < 4 * found[f"{name}_error"]
    # Of n normal values the mean has the error 1/√n and the standard deviation 1/√(2n); each is itself
    # known to 1/√(2n) and about √(2/n).
    assert found["z_mean_error"] == pytest.approx(1 / math.sqrt(4000), rel=4 / math.sqrt(8000))
    assert found["z_std_error"] == pytest.approx(1 / math.sqrt(8000), rel=4 * math.sqrt(3 / 4000))
    assert found["coverage_90_error"] == pytest.approx(0.3 / math.sqrt(4000))


def test_channels_count_as_one_pixel():
    rng = np.random.default_rng(4)
    grey = rng.normal(size=(50, 1))
    one, three = (scores(z, np.zeros_like(z), np.ones_like(z)) for z in (grey, grey.repeat(3, 1)))
    for name in one:
        assert three[name] == pytest.approx(one[name], rel=1e-12, abs=1e-12)


def test_without_a_std_there_are_no_scores():
    found = scores(np.ones((3, 1)), np.ones((3, 1)), np.full((3, 1), np.nan))
    values = [value for name, value in found.items() if not name.endswith("_error")]
    assert np.isnan(values).all()


def test_z_std_is_about_the_mean_of_the_scores():
    found = scores(np.array([[1.0], [3.0]]), np.zeros((2, 1)), np.ones((2, 1)))
    assert found["z_mean"] == 2
    assert found["z_std"] == 1
