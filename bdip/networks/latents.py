"""The fixed inputs z of the generators."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bdip.types import PRNGKey


def noise(
    key: PRNGKey, grid: tuple[int, ...], channels: int, scale: float
) -> Float[Array, "*grid channels"]:
    """Independent uniform noise on [0, scale): the latent of Ulyanov et al. (2018)."""
    return scale * jax.random.uniform(key, (*grid, channels))


def coordinates(grid: tuple[int, ...]) -> Float[Array, "*grid axes"]:
    """The row and the column of each pixel, from 0 to 1: a latent that favours smooth images (Ulyanov et al., 2018)."""
    lines = [jnp.linspace(0, 1, size) for size in grid]
    return jnp.stack(jnp.meshgrid(*lines, indexing="ij"), axis=-1)
