"""What a generator g_θ is: a pure map from parameters θ, latents among them or not, and a fixed latent z to an image."""

from typing import Protocol

from jaxtyping import Array, Float

from bdip.types import Latent, Params, PRNGKey


class Generator(Protocol):
    """A frozen, hashable description of a network; its numbers live in the params that ``init`` draws."""

    def init(self, key: PRNGKey, image_shape: tuple[int, ...]) -> tuple[Params, Latent]:
        """Random params and a latent for images of shape (H, W, C); traced by JAX, as `apply` is."""
        ...

    def apply(self, params: Params, latent: Latent) -> Float[Array, "*covering C"]:
        """The image g_θ(z) on the generator's own grid, which covers (H, W)."""
        ...


def generate(
    generator: Generator, params: Params, latent: Latent, image_shape: tuple[int, ...]
) -> Float[Array, "*grid C"]:
    """The image g_θ(z): the central (H, W) pixels of the generator's grid.

    >>> import jax
    >>> from bdip.networks import DeepDecoder
    >>> decoder = DeepDecoder(scales=1, channels=4)
    >>> params, latent = decoder.init(jax.random.key(0), (5, 7, 1))
    >>> generate(decoder, params, latent, image_shape=(5, 7, 1)).shape
    (5, 7, 1)
    """
    grid = generator.apply(params, latent)
    starts = [(n - size) // 2 for n, size in zip(grid.shape, image_shape[:-1], strict=False)]
    return grid[tuple(slice(a, a + n) for a, n in zip(starts, image_shape, strict=False))]
