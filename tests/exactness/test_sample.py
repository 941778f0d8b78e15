"""`bdip.sample` from end to end, in the image's units: the posterior of a linear generator.

The gains adapt in the warm-up, every replica's in its own way, so that the errors are those that the
replicas show. What `linear.py` says of the unit range is carried to the image's by hand.
"""

import numpy as np
import pytest

import bdip
from bdip.samplers import Constant, Psgld, Sgld
from tests.exactness.harness import require_scores, spread_scores
from tests.exactness.linear import GENERATOR, PRECISION, pixels_of, posed

LOW, SPAN = -50.0, 250.0  # the image's units: values from −50 to 200
NOISE_STD = 0.3  # σ, in the unit range
TEMPERATURE = 0.8
STEPS, WARMUP, DRAWS = 1600, 600, 50
EULER_STEP = 0.01  # ε; the largest curvature of this generator is about 60, and 4/ε = 400 the limit

# The sampler, and ε where its chain has Euler's discretisation heat.
CASES = {
    "sgld": (Sgld(Constant(EULER_STEP)), EULER_STEP),
    "psgld": (Psgld(Constant(0.2)), 0.0),
}


def sampled(case, sampler, seed):
    """The posterior of all replicas by two chains, in the image's units."""
    data, mask = case.tiled()
    return bdip.sample(
        LOW + SPAN * data, mask, operator=bdip.Downsample(case.factor),
        noise_std=SPAN * case.noise_std, data_range=(LOW, LOW + SPAN), generator=GENERATOR,
        sampler=sampler, temperature=TEMPERATURE, weight_precision=PRECISION, steps=STEPS,
        warmup=WARMUP, draws=DRAWS, chains=2, seed=seed, progress=False,
    )  # fmt: skip


def replicas(images):
    """Images (..., r · H, W) as (..., r, P)."""
    return pixels_of(images[..., None])


@pytest.mark.parametrize("factor", [1, 2], ids=["identity", "downsample"])
@pytest.mark.parametrize(("sampler", "euler_step"), CASES.values(), ids=CASES)
def test_the_answer_is_the_posterior_of_the_image_in_its_own_units(
    sampler, euler_step, factor, exactness_seed
):
    case = posed(factor, NOISE_STD, exactness_seed)
    found = sampled(case, sampler, exactness_seed)
    expected = LOW + SPAN * case.image
    covariance = SPAN**2 * case.covariance(TEMPERATURE, euler_step)
    mean = replicas(found.mean) - expected  # (r, P)
    draws = replicas(found.draws) - expected  # (chains, n, r, P)
    i, j = np.triu_indices(len(expected))
    products = np.mean(draws[..., i] * draws[..., j], axis=(0, 1))
    require_scores(
        mean=spread_scores(mean, 0),
        variance=spread_scores(replicas(found.std) ** 2 + mean**2, np.diag(covariance)),
        covariance=spread_scores(products, covariance[i, j]),
        between_chains=spread_scores(np.mean(draws[0] * draws[1], axis=0), 0),
    )
