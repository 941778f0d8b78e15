"""A small network against NUTS (Hoffman & Gelman 2014): the same posterior of the image, by other means.

NUTS samples an energy that is written out here once more, with Blackjax's own code. The image is what both
are compared by, for the weights have symmetries: units can be swapped and their signs turned. The errors
are those that independent chains show, on both sides.
"""

from functools import partial

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bdip.chain import Plan
from bdip.problem import pose
from bdip.samplers import Constant, Psgld, Sgld
from tests.exactness.generators import Network, Replicas, unstacked
from tests.exactness.harness import difference_scores, finish, require_scores, started

SHAPE = (3, 3, 1)
MISSING = [(0, 1), (2, 2)]  # pixels
NOISE_STD, PRECISION = 0.4, 1.5  # σ, λ
NETWORK = Network(hidden=3)
CHAINS, REPLICAS = 24, 96  # of NUTS; of ours
ADAPTING, DRAWS = 300, 400  # steps of NUTS
# The sampler, warm-up and kept steps.
QUICK = (Psgld(Constant(0.02), momentum=0.95, warmup=1000), 1000, 3000)
LONG = {
    "sgld": (Sgld(Constant(0.0005)), 20_000, 60_000),
    "psgld, momentum 0.95": (Psgld(Constant(0.005), momentum=0.95, warmup=4000), 4000, 20_000),
}


def observed(seed):
    """Data of weights from the prior, and the mask."""
    rng = np.random.default_rng(seed)
    start, latent = NETWORK.init(jax.random.key(0), SHAPE)
    weights = {k: rng.normal(size=v.shape) / np.sqrt(PRECISION) for k, v in start.items()}
    image = np.asarray(NETWORK.apply(weights, latent))
    mask = np.ones(SHAPE[:2], bool)
    mask[tuple(np.transpose(MISSING))] = False
    return image[..., 0] + NOISE_STD * rng.normal(size=SHAPE[:2]), mask


@jax.jit
@partial(jax.vmap, in_axes=(0, None, None), out_axes=1)
def nuts_chain(key, data, mask):
    """Images of the draws of one chain of NUTS (draws, H, W)."""
    start, adapting, drawing = jax.random.split(key, 3)
    weights, latent = NETWORK.init(start, SHAPE)

    def image(weights):
        return (jnp.tanh(latent @ weights["first"] + weights["bias"]) @ weights["second"])[..., 0]

    def log_density(weights):
        misfit = jnp.sum(jnp.where(mask, image(weights) - data, 0.0) ** 2)
        square = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(weights))
        return -misfit / (2 * NOISE_STD**2) - PRECISION * square / 2

    warmup = blackjax.window_adaptation(blackjax.nuts, log_density)
    (state, parameters), _ = warmup.run(adapting, weights, num_steps=ADAPTING)
    step = blackjax.nuts(log_density, **parameters).step

    def body(state, key):
        state, _ = step(key, state)
        return state, image(state.position)

    return jax.lax.scan(body, state, jax.random.split(drawing, DRAWS))[1]


def by_nuts(data, mask, seed):
    """Images of the draws of all chains of NUTS (draws, chains, H, W)."""
    keys = jax.random.split(jax.random.key(seed), CHAINS)
    return np.asarray(nuts_chain(keys, data.astype(np.float32), mask), np.float64)


def by_bdip(sampler, warmup, kept, data, mask, seed):
    """Running mean and variance of every replica's image, (r, H, W) each."""
    tall = (REPLICAS, 1)
    problem = pose(
        np.tile(data, tall), np.tile(mask, tall), noise_std=NOISE_STD, data_range=(0, 1),
        weight_precision=PRECISION,
    )[0]  # fmt: skip
    plan, steps = Plan(warmup, thin=1), warmup + kept
    run = finish(started(problem, Replicas(NETWORK, REPLICAS), sampler, plan, steps, 0, seed))
    weight, mean, scatter = run.kept.moments
    images = unstacked(np.stack([mean, scatter / weight]), REPLICAS)[..., 0]
    return images[0], images[1]


def check(sampler, warmup, kept, seed):
    data, mask = observed(seed)
    theirs = by_nuts(data, mask, seed)
    mean, variance = by_bdip(sampler, warmup, kept, data, mask, seed)
    centre = theirs.mean(axis=(0, 1))  # any fixed image would do
    require_scores(
        mean=difference_scores(mean, theirs.mean(axis=0)),
        square=difference_scores(
            variance + (mean - centre) ** 2, np.mean((theirs - centre) ** 2, axis=0)
        ),
    )


def test_mean_and_spread_of_every_pixel_agree_with_nuts(exactness_seed):
    check(*QUICK, exactness_seed)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "warmup", "kept"), LONG.values(), ids=LONG)
def test_mean_and_spread_of_every_pixel_agree_with_nuts_over_a_long_run(
    sampler, warmup, kept, exactness_seed
):
    check(sampler, warmup, kept, exactness_seed)
