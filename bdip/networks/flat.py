"""A generator whose params are one vector, so that to move them takes a few operations, and not a few a tensor."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from bdip.networks.base import Generator
from bdip.trees import LANES
from bdip.types import Latent, Params, PRNGKey


@dataclass(frozen=True)
class Flat:
    """`generator`, of which `structure` and `shapes` are those of its params, with their entries in one vector.

    The vector is in two parts, of which the first has a round number of entries, for XLA's loops over others are slow.
    """

    generator: Generator
    structure: Any
    shapes: tuple[tuple[int, ...], ...]

    def init(self, key: PRNGKey, image_shape: tuple[int, ...]) -> tuple[Params, Latent]:
        """The entries of all params, in the order of the leaves, and the latent."""
        params, latent = self.generator.init(key, image_shape)
        entries, _ = ravel_pytree(params)
        round_number = len(entries) // LANES * LANES
        parts = entries[:round_number], entries[round_number:]
        return [part for part in parts if part.size], latent

    def apply(self, params: Params, latent: Latent) -> Float[Array, "*covering C"]:
        """The image g_θ(z) on the generator's own grid."""
        sizes = [math.prod(shape) for shape in self.shapes]
        # The gradient of a split is one vector, that of slices would be a sum of so many.
        parts = jax.lax.split(jnp.concatenate(params), sizes)
        leaves = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return self.generator.apply(jax.tree.unflatten(self.structure, leaves), latent)


def flat(generator: Generator, image_shape: tuple[int, ...]) -> Generator:
    """The generator with flat params, for images of one shape; as it is where these are not all float32."""
    key = jax.random.key(0)
    params, _ = jax.eval_shape(lambda key: generator.init(key, image_shape), key)
    leaves, structure = jax.tree.flatten(params)
    if {leaf.dtype for leaf in leaves} != {jnp.dtype(jnp.float32)}:
        return generator
    return Flat(generator, structure, tuple(leaf.shape for leaf in leaves))
