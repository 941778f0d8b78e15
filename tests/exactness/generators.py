"""Generators with a posterior that is known, or is quick to sample, and many of them in one chain.

`Replicas` makes one chain of many independent ones without a second code path: its image is that of
every replica, stacked along the first axis, so that energy, sampler, moments and draws are the package's
own. The posterior is a product, a factor a replica.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.fakes import Perceptron


@dataclass(frozen=True)
class Linear:
    """g_θ = Bθ with a fixed B (H, W, C, p) that couples all pixels; B is the latent."""

    weights: int = 5

    def matrix(self, image_shape):
        """B as float64 (pixels, p), with entries of N(0, 1/p)."""
        rng = np.random.default_rng(12)
        return rng.normal(size=(int(np.prod(image_shape)), self.weights)) / np.sqrt(self.weights)

    def init(self, key, image_shape):
        B = jnp.asarray(self.matrix(image_shape), jnp.float32)
        params = {"weights": jax.random.normal(key, (self.weights,))}
        return params, B.reshape(*image_shape, self.weights)

    def apply(self, params, latent):
        return latent @ params["weights"]


@dataclass(frozen=True)
class Network(Perceptron):
    """A Perceptron of which the latent is the same whatever the key."""

    def init(self, key, image_shape):
        params = super().init(key, image_shape)[0]
        return params, super().init(jax.random.key(5), image_shape)[1]


@dataclass(frozen=True)
class Replicas:
    """`count` independent generators: images (count · H, W, C), each weight with a leading axis.

    They share the latent of `one`.
    """

    one: Any
    count: int

    def init(self, key, image_shape):
        height, width, channels = image_shape
        shape = (height // self.count, width, channels)
        keys = jax.random.split(key, self.count)
        params = jax.vmap(lambda key: self.one.init(key, shape)[0])(keys)
        return params, self.one.init(key, shape)[1]

    def apply(self, params, latent):
        images = jax.vmap(self.one.apply, (0, None))(params, latent)  # (r, H, W, C)
        return images.reshape(-1, *images.shape[2:])


@dataclass(frozen=True)
class WithNorm:
    """The image of `one` with one more column, which holds ‖θ‖² in every pixel: never observed."""

    one: Any

    def init(self, key, image_shape):
        height, width, channels = image_shape
        return self.one.init(key, (height, width - 1, channels))

    def apply(self, params, latent):
        image = self.one.apply(params, latent)
        norm = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
        return jnp.concatenate([image, jnp.full_like(image[:, :1], norm)], axis=1)


def unstacked(images, count):
    """Images (..., r · H, W, C) as (..., r, H, W, C)."""
    *front, height, width, channels = images.shape
    return np.asarray(images, np.float64).reshape(*front, count, height // count, width, channels)
