"""Generators that compile in no time, for the tests in which a network is not the point."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from bdip import chain
from bdip.problem import pose


@dataclass(frozen=True)
class Pixels:
    """g_θ(z) = θ: every pixel is a weight, so that the posterior is a product of normal laws.

    The weights start at `offset` + `scale` · N(0, I).
    """

    scale: float = 1.0
    offset: float = 0.0

    def init(self, key, image_shape):
        start = self.offset + self.scale * jax.random.normal(key, image_shape)
        return {"image": start}, jnp.zeros((1, 1, 1))

    def apply(self, params, latent):
        return params["image"]


@dataclass(frozen=True)
class CountingPixels(Pixels):
    """Pixels that count how often they are traced."""

    traces: ClassVar[list] = []

    def apply(self, params, latent):
        self.traces.append(1)
        return super().apply(params, latent)


@dataclass(frozen=True)
class JitteredPixels(Pixels):
    """g_θ(z) = θ + z with z = 0, so that jitter on the latent shows in the image as it is."""

    def init(self, key, image_shape):
        return super().init(key, image_shape)[0], jnp.zeros(image_shape)

    def apply(self, params, latent):
        return params["image"] + latent


@dataclass(frozen=True)
class PaddedPixels:
    """The sigmoid of the weights, on the least grid of multiples of 8 that covers the image."""

    def init(self, key, image_shape):
        height, width, channels = image_shape
        grid = (-(-height // 8) * 8, -(-width // 8) * 8, channels)
        return {"image": jax.random.normal(key, grid)}, jnp.zeros((1, 1, 1))

    def apply(self, params, latent):
        return jax.nn.sigmoid(params["image"])


@dataclass(frozen=True)
class Perceptron:
    """One hidden layer at each pixel of a noise latent: not linear in θ, yet quickly compiled."""

    hidden: int = 4

    def init(self, key, image_shape):
        height, width, channels = image_shape
        first, second, third = jax.random.split(key, 3)
        params = {
            "first": jax.random.normal(first, (3, self.hidden)),
            "bias": jnp.zeros(self.hidden),
            "second": jax.random.normal(second, (self.hidden, channels)) / 2,
        }
        return params, jax.random.normal(third, (height, width, 3))

    def apply(self, params, latent):
        return jnp.tanh(latent @ params["first"] + params["bias"]) @ params["second"]


def unit_problem(shape=(6, 5), mask=None, noise_std=0.5, weight_precision=2.0, seed=0, **options):
    """A problem whose data range is [0, 1] already, so that nothing is rescaled."""
    image = np.random.default_rng(seed).normal(0.5, 0.3, shape)
    return pose(
        image, mask, noise_std=noise_std, data_range=(0, 1),
        weight_precision=weight_precision, **options,
    )[0]  # fmt: skip


@dataclass(frozen=True)
class Bars:
    """One weight a row, times a profile along it: linear, with fewer weights than pixels."""

    profile: tuple = ()
    offset: float = 0.0

    def init(self, key, image_shape):
        start = self.offset + jax.random.normal(key, (image_shape[0], 1, 1))
        profile = jnp.asarray(self.profile or (1.0,) * image_shape[1], jnp.float32)
        return {"rows": start}, jnp.broadcast_to(profile[:, None], image_shape)

    def apply(self, params, latent):
        return params["rows"] * latent


def chain_of(problem, generator, sampler, steps, draws, seed=0):
    """A chain at its end, with `draws` draws of all that were kept."""
    kept = steps - sampler.warmup
    plan = chain.Plan(sampler.warmup, kept // max(draws, 1))
    key = jax.random.key(seed)
    run = chain.start(problem, generator, sampler, plan, steps, draws, key)
    while run.done < steps:
        run.advance(chain.BLOCK_CAPACITY)
    return run
