"""Other ways to error bars for a deep image prior: an ensemble of descents, and Monte-Carlo dropout.

Each returns draws (n, H, W) of the unit range, of which mean and standard deviation are the answer.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.networks.base import Generator, generate
from bdip.potential import energy
from bdip.problem import Problem, pose
from bdip.samplers import Adam, Constant

Images = NDArray[np.float32]

MEMBERS, MEMBER_STEPS = 5, 1000  # of the ensemble
DROPPED = 0.3  # share of the channels
DROPOUT_STEPS, DROPOUT_DRAWS = 1500, 100
LEARNING_RATE = 0.01  # Ulyanov et al. (2018)


def ensemble(
    noisy: NDArray[Any], mask: NDArray[Any] | None, std: float, generator: Any, seed: int
) -> Images:
    """The last images of several descents, each with its own weights and latent (Lakshminarayanan et al. 2017)."""
    return np.stack(
        [
            bdip.sample(
                noisy, mask, noise_std=std, data_range=(0, 1), generator=generator, sampler="adam",
                steps=MEMBER_STEPS, seed=1000 * seed + member, progress=False,
            ).mean
            for member in range(MEMBERS)
        ]
    )  # fmt: skip


def dropout(
    noisy: NDArray[Any], mask: NDArray[Any] | None, std: float, generator: Any, seed: int
) -> Images:
    """Images of one network, trained and drawn with channels dropped at random (Gal & Ghahramani 2016).

    Before each convolution of more than one channel, that is, as their kernels' inputs.
    """
    problem, _ = pose(noisy, mask, noise_std=std, data_range=(0, 1), weight_precision=0.0)
    begin_key, train_key, draw_key = jax.random.split(jax.random.key(seed), 3)
    params, latent = generator.init(begin_key, problem.image_shape)
    params = _trained(params, latent, problem, generator, train_key)

    @jax.jit
    def draw(key: Any) -> Any:
        return generate(generator, _thinned(params, key), latent, problem.image_shape)[..., 0]

    return np.stack([np.asarray(draw(key)) for key in jax.random.split(draw_key, DROPOUT_DRAWS)])


def _trained(params: Any, latent: Any, problem: Problem, generator: Generator, key: Any) -> Any:
    adam = Adam(Constant(LEARNING_RATE))

    def misfit(params: Any, key: Any) -> Any:
        return energy(_thinned(params, key), generator, latent, problem)[0]

    def step(index: Any, carry: Any) -> Any:
        params, state = carry
        step_key = jax.random.fold_in(key, index)
        value, grad = jax.value_and_grad(misfit)(params, step_key)
        return adam.step(step_key, params, grad, state, value)

    start = (params, adam.init(params))
    return jax.jit(lambda start: jax.lax.fori_loop(0, DROPOUT_STEPS, step, start))(start)[0]


def _thinned(params: Any, key: Any) -> Any:
    """The weights with the input channels of every kernel but one-channel ones dropped, the rest scaled up."""
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    kept = [
        leaf * jax.random.bernoulli(k, 1 - DROPPED, leaf.shape[2:3])[:, None] / (1 - DROPPED)
        if jnp.ndim(leaf) == 4 and leaf.shape[2] > 1
        else leaf
        for leaf, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(treedef, kept)
