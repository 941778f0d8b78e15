"""Colour filter arrays: the forward model of demosaicking."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree

COLOURS = "RGB"


@frozen_pytree("pattern")
class Mosaic(Operator):
    """One colour a pixel, as a camera's sensor sees it: data (H, W, 1) of an image (H, W, 3).

    `pattern` names the filters of a square that repeats itself, row by row: the Bayer arrays "RGGB", "BGGR",
    "GRBG", "GBRG", or larger ones, such as the 36 letters of an X-Trans sensor. A raw picture (H, W) is
    passed to `bdip.sample` as it is, and comes back as (H, W, 3).

    Raises ValueError where the pattern is no square of the letters R, G and B.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> image = jnp.broadcast_to(jnp.array([1.0, 2.0, 3.0]), (2, 2, 3))  # R = 1, G = 2, B = 3
        >>> bdip.Mosaic("RGGB")(image)[..., 0]
        Array([[1., 2.],
               [2., 3.]], dtype=float32)
    """

    pattern: str = "RGGB"

    def __post_init__(self) -> None:
        text = self.pattern
        square = isinstance(text, str) and len(text) > 0 and math.isqrt(len(text)) ** 2 == len(text)
        if not square or set(text) - set(COLOURS):
            raise ValueError(
                f"pattern is {text!r}: expected the letters R, G, B of a square, such as 'RGGB'."
            )

    def __call__(self, image: Float[Array, "H W 3"]) -> Float[Array, "H W 1"]:
        return (jnp.asarray(self._filters(*image.shape[:2])) * image).sum(axis=-1, keepdims=True)

    def image_shape(self, data_shape: Shape) -> Shape:
        if len(data_shape) != 3 or data_shape[-1] != 1:
            raise ValueError(
                f"a mosaic has one value a pixel, (H, W), but the data are {data_shape}."
            )
        return (*data_shape[:-1], len(COLOURS))

    def _filters(self, height: int, width: int) -> Float[np.ndarray, "H W 3"]:
        """1 at the colour that each pixel sees, 0 at the others."""
        side = math.isqrt(len(self.pattern))
        seen = np.array([COLOURS.index(letter) for letter in self.pattern]).reshape(side, side)
        tiled = np.tile(seen, (-(-height // side), -(-width // side)))[:height, :width]
        return np.eye(len(COLOURS), dtype=np.float32)[tiled]
