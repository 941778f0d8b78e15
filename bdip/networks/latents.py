"""The fixed inputs z of the generators."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bdip.types import PRNGKey


def noise(
    key: PRNGKey, height: int, width: int, channels: int, scale: float
) -> Float[Array, "H W channels"]:
    """Independent uniform noise on [0, scale): the latent of Ulyanov et al. (2018)."""
    return scale * jax.random.uniform(key, (height, width, channels))


def coordinates(height: int, width: int) -> Float[Array, "H W 2"]:
    """The row and the column of each pixel, from 0 to 1: a latent that favours smooth images (Ulyanov et al., 2018)."""
    rows, columns = jnp.linspace(0, 1, height), jnp.linspace(0, 1, width)
    return jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), axis=-1)
