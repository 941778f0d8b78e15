"""Simulation-based calibration: over many truths from the prior, the truth is like any other draw.

Weights θ* from the prior, data y from θ*, draws from the posterior given y: then the rank of f(θ*) among
the f of L independent draws is uniform on 0, …, L, whatever f, if and only if what draws is right (Talts,
Betancourt, Simpson, Vehtari & Gelman 2018, arXiv 1804.06788). The network is not linear, and prior and
likelihood are written out here once more, so that no formula of the package vouches for itself.
"""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import chi2, norm

from bdip.chain import Plan
from bdip.problem import pose
from bdip.samplers import Constant, Psgld, Sgld
from tests.exactness.generators import Network, Replicas, WithNorm, unstacked
from tests.exactness.harness import finish, require_scores, started

HEIGHT, WIDTH = 3, 4  # pixels of a replica; the last column holds ‖θ‖² and is not observed
MISSING = (1, 1)  # one pixel of the image, likewise
HIDDEN = 3  # units
NOISE_STD, PRECISION = 0.4, 1.5  # σ, λ
DRAWS, BINS = 31, 8  # 32 ranks, four a bin
REPLICATIONS = 400  # 50 a bin

# The sampler, warm-up, and steps between two draws, after which they are nearly independent.
QUICK = (Psgld(Constant(0.03), momentum=0.95), 1000, 100)
LONG = {
    "sgld": (Sgld(Constant(0.002)), 20_000, 2000),
    "psgld, no momentum": (Psgld(Constant(0.01), momentum=None), 4000, 1000),
    "psgld, momentum 0": (Psgld(Constant(0.02), momentum=0.0), 4000, 1000),
    "psgld, momentum 0.95": (Psgld(Constant(0.01), momentum=0.95), 4000, 500),
}


def image_of(weights, latent):
    """The network's image, by its formula."""
    hidden = np.tanh(latent @ weights["first"] + weights["bias"])
    return hidden @ weights["second"]


def truths(rng):
    """Images (r, H, W, 1) of weights from N(0, 1/λ), with ‖θ‖² in the last column."""
    shape = (HEIGHT, WIDTH - 1, 1)
    start, latent = Network(HIDDEN).init(jax.random.key(0), shape)
    images = []
    for _ in range(REPLICATIONS):
        weights = {k: rng.normal(size=v.shape) / np.sqrt(PRECISION) for k, v in start.items()}
        square = sum(np.sum(v**2) for v in weights.values())
        image = image_of(weights, np.asarray(latent, np.float64))
        images.append(np.concatenate([image, np.full((HEIGHT, 1, 1), square)], axis=1))
    return np.stack(images)


def functionals(images, data, mask):
    """Every pixel, ‖θ‖² and the energy U of images (..., r, H, W, 1): (..., r, functionals)."""
    images = images[..., 0]
    misfit = np.sum(mask * (images - data) ** 2, axis=(-1, -2)) / (2 * NOISE_STD**2)
    square = images[..., 0, -1]
    pixels = images[..., :-1].reshape(*images.shape[:-2], -1)
    energy = misfit + PRECISION / 2 * square
    return np.concatenate([pixels, square[..., None], energy[..., None]], axis=-1)


def ranks(sampler, warmup, thin, seed):
    """Rank of each functional of the truth among those of the draws (r, functionals), from 0 to L."""
    rng = np.random.default_rng(seed)
    images = truths(rng)
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:, -1] = False
    mask[MISSING] = False
    data = images[..., 0] + NOISE_STD * rng.normal(size=images.shape[:-1])
    problem = pose(
        data.reshape(-1, WIDTH), np.tile(mask, (REPLICATIONS, 1)), noise_std=NOISE_STD,
        data_range=(0, 1), weight_precision=PRECISION,
    )[0]  # fmt: skip
    generator = Replicas(WithNorm(Network(HIDDEN)), REPLICATIONS)
    sampler = replace(sampler, warmup=warmup)
    steps = warmup + DRAWS * thin
    run = finish(started(problem, generator, sampler, Plan(warmup, thin), steps, DRAWS, seed))
    draws = functionals(unstacked(run.kept.draws, REPLICATIONS), data, mask)
    return np.sum(draws < functionals(images, data, mask), axis=0)


def uniformity_score(ranks):
    """The χ² of the ranks' histogram against the uniform law, as the normal score of its probability."""
    counts = np.bincount(ranks * BINS // (DRAWS + 1), minlength=BINS)
    expected = len(ranks) / BINS
    probability = chi2.sf(np.sum((counts - expected) ** 2) / expected, BINS - 1)
    return norm.isf(probability / 2)


def check(sampler, warmup, thin, seed):
    found = ranks(sampler, warmup, thin, seed)
    require_scores(uniformity=[uniformity_score(each) for each in found.T])


def test_the_truth_ranks_among_the_draws_like_any_other_draw(exactness_seed):
    check(*QUICK, exactness_seed)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "warmup", "thin"), LONG.values(), ids=LONG)
def test_the_truth_ranks_among_the_draws_of_a_long_run_like_any_other(
    sampler, warmup, thin, exactness_seed
):
    check(sampler, warmup, thin, exactness_seed)


def test_draws_that_are_too_wide_or_off_do_not_pass_for_uniform():
    rng = np.random.default_rng(0)
    truth, draws = rng.normal(size=REPLICATIONS), rng.normal(size=(DRAWS, REPLICATIONS))
    assert uniformity_score(np.sum(draws < truth, axis=0)) < norm.isf(1e-4 / 2)
    for wrong in (1.5 * draws, draws / 1.5, draws + 0.4):
        assert uniformity_score(np.sum(wrong < truth, axis=0)) > norm.isf(1e-4 / 2)
