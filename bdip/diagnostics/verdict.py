"""The diagnostics in words: what is wrong, how sure that is, and what to change."""

import math
from collections.abc import Iterator, Mapping

# Standard errors beyond which a departure is not luck: one in 370 for a normal law.
SURE = 3.0
# χ² within this of 1 is close enough: σ itself is seldom known to 2.5 %, which moves χ² by 5 %.
CHI2_SLACK = 0.05
# A trend of χ² smaller than this does not matter, however surely it is seen: it is 1 % of σ. Nor does so small an error of a σ that is sampled.
LEAST_DRIFT = 0.02
# R̂ above which halves or chains disagree: Gelman & Rubin's rule (Gelman et al., Bayesian Data Analysis,
# 3rd ed., 2013, p. 287). Vehtari et al. (2021) ask for 1.01, which takes 400 effective draws.
RHAT_LIMIT = 1.1
# Decibels that the mean may lose by having been averaged over too few draws. By the 3 dB law the
# error of the mean is std², to which MCSE² is added: the loss is 10 log₁₀(1 + MCSE²/std²).
LEAST_LOSS = 0.1
# Held-out coverage within this of the level is close enough: a std wrong by 11 % moves 90 % by as much.
COVERAGE_SLACK = 0.04

NOTHING = "nothing speaks against this answer"


def verdict(numbers: Mapping[str, float]) -> tuple[str, ...]:
    """One sentence a finding, in order of weight; a single one where nothing is wrong.

    `numbers` are `Posterior.diagnostics` and beside them "complete", "uncertain" (the method gives a
    standard deviation), "noise_raised" (σ was assumed larger than its estimate), "noise_sampled" (σ was drawn with the weights),
    "rounded" (the noise is that of rounding, and χ² at most 1), each 0 or 1, "chains" and "observed_values" (their number n). Of what is absent or NaN nothing is said.

    >>> verdict({"chi2": float("nan"), "complete": 1})
    ('nothing was kept after the warm-up: run longer, or lower warmup',)
    """
    said = _Numbers(numbers)
    found = [] if said["complete"] != 0 else ["stopped early: this is of what there was by then"]
    if math.isnan(said["chi2"]):
        return (*found, "nothing was kept after the warm-up: run longer, or lower warmup")
    if said["uncertain"] == 0:
        return (*found, *_of_descent(said))
    found += list(_drift(said)) or list(_level(said))  # the level of what still moves says little
    found += [*_sampled_noise(said), *_agreement(said), *_precision(said), *_held_out(said)]
    return tuple(found) or (_nothing(said),)


class _Numbers:
    """A mapping whose absent entries are NaN, with which every comparison fails."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self.numbers = numbers

    def __getitem__(self, name: str) -> float:
        return float(self.numbers.get(name, math.nan))


def _of_descent(said: _Numbers) -> Iterator[str]:
    yield (
        "a descent gives one image and no uncertainty, and does not say when to stop: "
        "sampler='mclmc' does both"
    )
    end = said["chi2_block_4"]
    if end < 1 - CHI2_SLACK and not _assumed(said):
        yield f"χ² is {end:.3f} at the end: it has fitted the noise: take fewer steps"
    elif end > 1 + CHI2_SLACK:
        yield f"χ² is {end:.2f} at the end: it has not yet fitted the data: take more steps"


def _assumed(said: _Numbers) -> bool:
    """Whether σ was taken to be larger than the noise found: then χ² is to be below 1."""
    return said["noise_raised"] == 1 or said["rounded"] == 1


def _drifts(said: _Numbers) -> float:
    """The fall of χ² from the first block to the last where it matters and is sure, else 0."""
    fall, error = said["chi2_fall"], said["chi2_fall_error"]
    return fall if abs(fall) > max(LEAST_DRIFT, SURE * error) else 0.0


def _drift(said: _Numbers) -> Iterator[str]:
    fall, first, last = _drifts(said), said["chi2_block_1"], said["chi2_block_4"]
    if fall == 0:
        return
    sure = f"χ² {'falls' if fall > 0 else 'rises'} from {first:.3f} to {last:.3f} ({_times(fall, said['chi2_fall_error'])})"
    if fall > 0 and last >= 1 - CHI2_SLACK:
        yield f"not settled yet: {sure}: take more steps, and a longer warm-up"
    elif fall > 0 and _assumed(said):
        yield f"not settled yet: {sure}, on its way to a noise smaller than was assumed: take more steps"
    elif fall > 0:
        yield f"still learning the noise: {sure}: use sampler='mclmc', or a narrower generator"
    else:
        yield f"drifting away: {sure}: use a smaller step_size after the warm-up, or take more steps"


def _level(said: _Numbers) -> Iterator[str]:
    """χ² against 1, allowing for its error and for the luck √(2/n) of the noise itself."""
    chi2, error = said["chi2"], said["chi2_error"]
    luck = math.sqrt(2 / said["observed_values"]) if said["observed_values"] > 0 else 0.0
    allowed = CHI2_SLACK + SURE * math.hypot(0.0 if math.isnan(error) else error, luck)
    value = f"χ² is {chi2:.3f}" + ("" if math.isnan(error) else f" ± {error:.3f}")
    if chi2 > 1 + allowed:
        yield (
            f"{value}: the draws fit the data worse than the noise allows: run longer, use a smaller "
            "step_size, or check noise_std, which may be too small"
        )
    elif chi2 > 1 - allowed or said["rounded"] == 1:
        return
    elif said["noise_raised"] == 1:
        yield (
            f"{value}: σ was assumed larger than the noise found, for no picture is taken to be known "
            "better; noise_std says otherwise. What is left over is taken for noise: in a picture without any it is missing "
            "from std, and posterior.filled() counts it"
        )
    else:
        yield (
            f"{value}: the draws fit the data closer than the noise allows: either noise_std is too "
            "large, or the generator has learned noise: check noise_std, or use a narrower generator"
        )


def _sampled_noise(said: _Numbers) -> Iterator[str]:
    """Whether the mean of a sampled σ is known: χ², in units of that mean, goes with σ²."""
    error = said["chi2_error"]
    if said["noise_sampled"] == 1 and error > LEAST_DRIFT:
        yield (
            f"the noise found is known to ± {100 * error / 2:.1f} % only: it wanders, for some faint texture is noise to "
            "some draws and picture to others: take more steps, or more chains, or measure the noise and give noise_std"
        )


def _agreement(said: _Numbers) -> Iterator[str]:
    median, high = said["rhat_median"], said["rhat_95"]
    who = "the chains disagree" if said["chains"] > 1 else "the chain's two halves disagree"
    if math.isnan(median):
        yield (
            "whether the chains have mixed is not known: store at least 4 draws a chain (draws)"
            if math.isnan(said["ess_median"])
            else "the draws do not differ: the chain does not move: use a larger step_size"
        )
    elif median > RHAT_LIMIT:
        yield f"R-hat is {median:.2f} at half the pixels: {who}: take more steps, and a longer warm-up"
    elif high > RHAT_LIMIT:
        yield f"R-hat is above {high:.2f} at one pixel in twenty: there {who}: take more steps"


def _precision(said: _Numbers) -> Iterator[str]:
    ratio = said["mcse_ratio"]
    loss = 10 * math.log10(1 + ratio**2)
    if loss > LEAST_LOSS:
        yield (
            f"the Monte Carlo error is {100 * ratio:.0f} % of the std ({said['ess_median']:.0f} effective "
            f"draws a pixel), which costs the mean about {loss:.1f} dB: take more steps, or more chains"
        )


def _held_out(said: _Numbers) -> Iterator[str]:
    cover, error, scale = (
        said[f"holdout_{name}"] for name in ("coverage_90", "coverage_90_error", "z_std")
    )
    if abs(cover - 0.9) <= COVERAGE_SLACK + SURE * error or math.isnan(cover):
        return
    text = f"held-out 90 % intervals cover {100 * cover:.0f} ± {100 * error:.0f} %: "
    if cover < 0.9:
        yield f"{text}too sure: errors are {scale:.2f} times the std: run longer, or check noise_std"
    elif said["noise_raised"] != 1:  # which makes them cautious, and is said with χ²
        yield f"{text}too cautious: errors are {scale:.2f} times the std: check noise_std, which may be too large"


def _nothing(said: _Numbers) -> str:
    facts = [
        f"χ² {said['chi2']:.3f}",
        f"R-hat {said['rhat_median']:.2f}",
        f"{said['ess_median']:.0f} effective draws",
    ]
    if not math.isnan(said["holdout_coverage_90"]):
        facts.append(f"held-out 90 % intervals cover {100 * said['holdout_coverage_90']:.0f} %")
    more = "; several chains would test it harder" if said["chains"] == 1 else ""
    return f"{NOTHING} ({', '.join(facts)}){more}"


def _times(value: float, error: float) -> str:
    return f"{abs(value) / error:.0f} standard errors" if error > 0 else "without any error"
