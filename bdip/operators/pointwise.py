"""Operators that leave the grid alone: identity and mask."""

from jaxtyping import Array, Float

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree


@frozen_pytree()
class Identity(Operator):
    """A = I: denoising and inpainting.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> bdip.Identity()(jnp.ones((1, 2, 1)))[..., 0]
        Array([[1., 1.]], dtype=float32)
    """

    @property
    def diagonal(self) -> bool:
        return True

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "*grid C"]:
        return image

    def image_shape(self, data_shape: Shape) -> Shape:
        return data_shape


@frozen_pytree()
class Mask(Operator):
    """A = diag(weights): 1 where a value is observed and 0 where it is missing.

    `weights` has shape (H, W, 1) or (H, W, C). `bdip.sample(image, mask)` needs no such operator;
    it is for compositions, such as `Mask(m) @ Downsample(4)`.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> bdip.Mask(jnp.array([[[1.0], [0.0]]]))(jnp.full((1, 2, 1), 3.0))[..., 0]
        Array([[3., 0.]], dtype=float32)
    """

    weights: Float[Array, "*grid C"]

    @property
    def diagonal(self) -> bool:
        return True

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "*grid C"]:
        return self.weights * image

    def image_shape(self, data_shape: Shape) -> Shape:
        return data_shape
