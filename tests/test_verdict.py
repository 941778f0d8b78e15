"""The verdict in words, case by case: what is wrong, how sure, what to change."""

import numpy as np
import pytest

from bdip.diagnostics import verdict

RIGHT = {
    "chi2": 1.01, "chi2_error": 0.004, "chi2_block_1": 1.012, "chi2_block_4": 1.008,
    "chi2_fall": 0.004, "chi2_fall_error": 0.006, "rhat_median": 1.01, "rhat_95": 1.06,
    "ess_median": 80.0, "mcse_ratio": 0.11, "complete": 1, "uncertain": 1, "noise_raised": 0,
    "chains": 2, "observed_values": 9216,
}  # fmt: skip
FALLING = {"chi2_block_1": 0.95, "chi2_block_4": 0.8, "chi2_fall": 0.15, "chi2_fall_error": 0.01}


def test_a_right_answer_is_let_pass_with_the_figures_it_rests_on():
    (sentence,) = verdict(RIGHT)
    for part in ("nothing speaks against", "χ² 1.010", "R-hat 1.01", "80 effective draws"):
        assert part in sentence
    assert "several chains" not in sentence
    assert "several chains would test it harder" in verdict({**RIGHT, "chains": 1})[0]


CASES = {
    "too hot": (
        {"chi2": 1.13, "chi2_error": 0.01},
        ("χ² is 1.130 ± 0.010", "worse than the noise allows", "smaller step_size"),
    ),
    "too close": ({"chi2": 0.8}, ("χ² is 0.800", "closer than the noise allows", "noise_std")),
    "σ raised": (
        {"chi2": 0.31, "noise_raised": 1},
        ("χ² is 0.310", "σ was assumed larger than the noise", "posterior.filled() counts it"),
    ),
    "rounded, worse than that": ({"chi2": 1.3, "rounded": 1}, ("χ² is 1.300", "worse than the noise")),
    "falling, rounded": (
        {**FALLING, "rounded": 1},
        ("not settled yet", "a noise smaller than was assumed"),
    ),
    "overfitting": (FALLING, ("still learning the noise", "0.950 to 0.800", "15 standard errors")),
    "falling, σ raised": (
        {**FALLING, "noise_raised": 1},
        ("not settled yet", "a noise smaller than was assumed"),
    ),
    "settling": (
        {"chi2_block_1": 1.2, "chi2_block_4": 1.1, "chi2_fall": 0.1, "chi2_fall_error": 0.01},
        ("not settled yet", "1.200 to 1.100 (10 standard errors)", "longer warm-up"),
    ),
    "rising": (
        {"chi2_block_1": 1.0, "chi2_block_4": 1.1, "chi2_fall": -0.1, "chi2_fall_error": 0.01},
        ("drifting away", "rises from 1.000 to 1.100", "smaller step_size"),
    ),
    "σ wanders": (
        {"chi2_error": 0.052, "noise_sampled": 1},
        ("known to ± 2.6 % only", "more steps, or more chains", "noise_std"),
    ),
    "chains apart": ({"rhat_median": 1.2}, ("R-hat is 1.20", "the chains disagree", "warm-up")),
    "halves apart": (
        {"rhat_median": 1.2, "chains": 1},
        ("the chain's two halves disagree", "more steps"),
    ),
    "apart in places": ({"rhat_95": 1.3}, ("above 1.30 at one pixel in twenty",)),
    "too few draws": (
        # 10 log₁₀(1 + 0.25) = 0.97 dB
        {"mcse_ratio": 0.5, "ess_median": 4.0},
        ("50 % of the std", "4 effective draws", "about 1.0 dB", "more steps, or more chains"),
    ),
    "no draws": (
        {"rhat_median": np.nan, "rhat_95": np.nan, "ess_median": np.nan, "mcse_ratio": np.nan},
        ("not known", "at least 4 draws"),
    ),
    "a chain that stands": (
        {"rhat_median": np.nan, "rhat_95": np.nan, "ess_median": 100.0, "mcse_ratio": np.nan},
        ("the draws do not differ", "larger step_size"),
    ),
    "too sure": (
        {"holdout_coverage_90": 0.71, "holdout_coverage_90_error": 0.03, "holdout_z_std": 1.6},
        ("held-out 90 % intervals cover 71 ± 3 %", "too sure", "1.60 times"),
    ),
    "too cautious": (
        {"holdout_coverage_90": 0.99, "holdout_coverage_90_error": 0.01, "holdout_z_std": 0.6},
        ("cover 99 ± 1 %", "too cautious", "0.60 times"),
    ),
    "stopped": ({"complete": 0}, ("stopped early",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_thing_wrong_is_one_sentence(name):
    change, parts = CASES[name]
    (sentence,) = verdict({**RIGHT, **change})
    for part in parts:
        assert part in sentence


LUCK = np.sqrt(2 / 9216)


@pytest.mark.parametrize(
    "change",
    [
        {"chi2": 1.049 + 3 * LUCK, "chi2_error": 0.0},
        {"chi2": 1.2, "observed_values": 100},  # √(2/100) = 0.14
        {"chi2": 0.951 - 3 * LUCK, "chi2_error": 0.0},
        {"chi2_fall": 0.019, "chi2_fall_error": 0.001},  # sure, and of no importance
        {"chi2_fall": 0.1, "chi2_fall_error": 0.04},  # large, and not sure
        {"chi2_error": 0.02, "noise_sampled": 1},  # 1 % of σ
        {"chi2_error": 0.05, "noise_sampled": 0},  # σ is known
        {"rhat_median": 1.1, "rhat_95": 1.1},
        {"mcse_ratio": 0.15},  # 10 log₁₀(1 + 0.0225) = 0.097 dB
        {"holdout_coverage_90": 0.861, "holdout_coverage_90_error": 0.0},
        {"holdout_coverage_90": 0.80, "holdout_coverage_90_error": 0.03},
        {"holdout_coverage_90": np.nan},
    ],
    ids=str,
)
def test_what_is_small_or_not_sure_is_not_said(change):
    (sentence,) = verdict({**RIGHT, **change})
    assert sentence.startswith("nothing speaks against")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"chi2": 1.055 + 3 * LUCK, "chi2_error": 0.0}, "χ² is"),
        ({"chi2_fall": 0.1, "chi2_fall_error": 0.03}, "not settled"),
        ({"rhat_95": 1.101}, "R-hat"),
        ({"mcse_ratio": 0.16}, "Monte Carlo"),  # 10 log₁₀(1 + 0.0256) = 0.110 dB
        ({"holdout_coverage_90": 0.859, "holdout_coverage_90_error": 0.0}, "held-out"),
    ],
)
def test_just_beyond_the_threshold_it_is_said(change, part):
    (sentence,) = verdict({**RIGHT, **change})
    assert part in sentence


def test_several_things_wrong_are_several_sentences_in_order():
    changes = [
        CASES[name][0]
        for name in ("stopped", "too hot", "chains apart", "too few draws", "too sure")
    ]
    found = verdict({**RIGHT, **{k: v for change in changes for k, v in change.items()}})
    starts = ("stopped early", "χ² is", "R-hat", "the Monte Carlo error", "held-out")
    assert len(found) == 5
    for sentence, start in zip(found, starts, strict=True):
        assert sentence.startswith(start)


def test_the_level_of_a_chain_that_still_moves_is_not_judged():
    (sentence,) = verdict({**RIGHT, **FALLING, "chi2": 0.87})
    assert sentence.startswith("still learning")


@pytest.mark.parametrize(
    ("end", "parts"),
    [(0.013, ["χ² is 0.013 at the end", "fewer steps"]), (1.5, ["more steps"]), (1.0, [])],
)
def test_a_descent_is_told_that_it_has_no_uncertainty(end, parts):
    found = verdict({"uncertain": 0, "complete": 1, "chi2": 0.4, "chi2_block_4": end})
    assert "no uncertainty" in found[0]
    assert len(found) == 1 + bool(parts)
    for part in parts:
        assert part in found[1]


def test_error_bars_made_cautious_by_a_raised_noise_are_not_held_against_it():
    change = {"noise_raised": 1, "holdout_coverage_90": 0.99, "holdout_coverage_90_error": 0.01}
    (sentence,) = verdict({**RIGHT, **change})
    assert sentence.startswith("nothing speaks against")


def test_a_descent_may_fit_closer_than_a_noise_that_was_raised():
    numbers = {"uncertain": 0, "complete": 1, "chi2": 0.4, "chi2_block_4": 0.1, "noise_raised": 1}
    assert len(verdict(numbers)) == 1


@pytest.mark.parametrize("change", [{}, {"uncertain": 0, "chi2_block_4": 0.1}])
def test_what_was_rounded_may_be_smaller_than_half_a_step(change):
    rounded = {**RIGHT, "chi2": 0.2, "rounded": 1, **change}
    (sentence,) = verdict(rounded)
    assert "χ² is" not in sentence
    assert any("χ² is" in each for each in verdict({**rounded, "rounded": 0}))


def test_nothing_kept_is_said_and_nothing_else():
    found = verdict({"chi2": np.nan, "complete": 0, "uncertain": 0})
    assert [sentence.split()[0] for sentence in found] == ["stopped", "nothing"]


def test_of_an_empty_dictionary_nothing_but_that_is_said():
    assert verdict({}) == ("nothing was kept after the warm-up: run longer, or lower warmup",)
