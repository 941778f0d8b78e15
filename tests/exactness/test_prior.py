"""Without data the draws are the prior's, and an average over shrinking steps is the weighted one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, norm

from bdip.chain import Plan
from bdip.likelihood import Gaussian
from bdip.problem import pose
from bdip.samplers import Constant, Polynomial, Psgld, Sgld
from tests.exactness.harness import finish, require_scores, spread_scores, started
from tests.exactness.samplers import exact, with_discretisation_heat
from tests.fakes import Pixels

SIDE = 32  # pixels: each is one weight, and so a chain of its own
PRECISION = 2.5  # λ
TEMPERATURE = 0.6
ADAPTING, BURN, KEPT = 200, 400, 600  # steps: until the gains stand; until the first kept; kept
FAR = Pixels(offset=3.0)  # a start six standard deviations off, which would show in the mean
NO_DATA = 1e4  # σ: the data's curvature is 10⁻⁸, the prior's 2.5


def blind_problem(hidden):
    """Nothing but one pixel observed, or everything with a σ that says nothing."""
    mask = np.full((SIDE, SIDE), not hidden)
    mask[0, 0] = True
    return pose(
        np.full((SIDE, SIDE), 0.7), mask, noise_std=1.0 if hidden else NO_DATA,
        data_range=(0, 1), weight_precision=PRECISION,
    )[0]  # fmt: skip


def gains_of(sampler, state):
    """G of every weight after the warm-up, by its formula; 1 without a preconditioner."""
    if not isinstance(sampler, Psgld):
        return np.ones(SIDE * SIDE)
    square = np.asarray(state.sampler.square["image"], np.float64).ravel()
    unbiased = square / (1 - sampler.decay**sampler.warmup)
    return 1 / (np.sqrt(unbiased) + sampler.damping)


def second_moment(kept):
    """Weighted mean of x_t² at each pixel, from the running moments."""
    weight, mean, scatter = (np.asarray(each, np.float64) for each in kept.moments)
    return (mean**2 + scatter / weight).ravel()


def kolmogorov(values):
    """The Kolmogorov–Smirnov distance from N(0, 1), as the normal score of its probability."""
    return norm.isf(kstest(values, "norm").pvalue / 2)


# The sampler, and its variance; G is about 1/(√(Tλ) + δ) here.
QUICK = {"decay": 0.9, "damping": 0.3}  # so that the gains differ, and would go on changing
CASES = {
    "sgld": (Sgld(Constant(0.8)), with_discretisation_heat),
    "psgld, no momentum": (
        Psgld(Constant(0.8), momentum=None, **QUICK), with_discretisation_heat,
    ),
    "psgld, momentum 0": (Psgld(Constant(0.8), momentum=0.0, **QUICK), exact),
    "psgld, momentum 0.95": (Psgld(Constant(0.2), momentum=0.95, **QUICK), exact),
}  # fmt: skip


@pytest.mark.parametrize("hidden", [True, False], ids=["all but one hidden", "huge noise"])
@pytest.mark.parametrize(("sampler", "variance"), CASES.values(), ids=CASES)
def test_without_data_the_weights_have_the_prior_as_their_law(
    hidden, sampler, variance, exactness_seed
):
    # Each weight adapts its gain, which then stands; what is kept begins later, when the way in
    # which the gain came about is forgotten. Pixels are independent replicates.
    sampler = replace(sampler, warmup=ADAPTING, temperature=TEMPERATURE)
    problem, plan = blind_problem(hidden), Plan(BURN, thin=KEPT)
    run = finish(started(problem, FAR, sampler, plan, BURN + KEPT, 1, exactness_seed))
    steps = sampler.step_size.value * gains_of(sampler, run.state)
    expected = variance(steps, PRECISION, TEMPERATURE)
    free = slice(1 if hidden else 0, None)
    mean = np.asarray(run.kept.moments.mean, np.float64).ravel()
    last = np.asarray(run.kept.draws, np.float64).ravel() / np.sqrt(expected)
    require_scores(
        mean=spread_scores(mean[free], 0),
        variance=spread_scores((second_moment(run.kept) / expected)[free], 1),
        law=kolmogorov(last[free]),
    )


SHRINKING = Polynomial(a=12.0, b=10.0, gamma=0.9)  # ε from 1.5 to 0.05
SHRINKING_WARMUP, SHRINKING_STEPS = 5, 400


def shrinking_law(curvature, mean):
    """Expected Σ ε_t x_t²/Σ ε_t and Σ ε_t x_t/Σ ε_t over the kept steps, x being θ − its mean.

    θ_0 is standard normal, and θ_{t+1} = a_t θ_t + √(ε_t T) ξ with a_t = 1 − ε_t l/2 about the mean:
    its mean goes by the factors a_t, its variance by v ← a_t² v + ε_t T.
    """
    sizes = 12.0 * (10.0 + np.arange(SHRINKING_STEPS)) ** -0.9
    offset, variance, moments = -mean, 1.0, []
    for step in sizes:
        moments.append((variance + offset**2, offset))
        factor = 1 - step * curvature / 2
        offset, variance = factor * offset, factor**2 * variance + step * TEMPERATURE
    kept = slice(SHRINKING_WARMUP, None)
    return np.average(moments[kept], axis=0, weights=sizes[kept])


@pytest.mark.parametrize("seen", [True, False], ids=["observed", "missing"])
def test_the_average_over_shrinking_steps_weighs_each_draw_with_its_step(seen, exactness_seed):
    # Large steps come first and are the hotter: without the weights the mean square would be less.
    noise_std = 2.0
    curvature = PRECISION + seen / noise_std**2
    mean = seen * 0.7 / noise_std**2 / curvature
    problem = blind_problem(hidden=not seen)
    problem = replace(problem, noise=Gaussian(np.float32(noise_std)))
    sampler = Sgld(SHRINKING, TEMPERATURE)
    plan = Plan(SHRINKING_WARMUP, thin=1)
    run = finish(started(problem, Pixels(), sampler, plan, SHRINKING_STEPS, 0, exactness_seed))
    weight, average, scatter = (np.asarray(each, np.float64) for each in run.kept.moments)
    average = average.ravel()[1:] - mean
    square, offset = shrinking_law(curvature, mean)
    require_scores(
        square=spread_scores((average**2 + scatter.ravel()[1:] / weight), square),
        mean=spread_scores(average, offset),
    )
