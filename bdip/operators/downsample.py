"""Down-sampling by an integer factor: the forward model of super-resolution."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree

LOBES = {"lanczos2": 2, "lanczos3": 3}
MARGIN = 8  # coarse pixels beyond the edge that the widest kernel surely does not reach


@frozen_pytree("factor", "kernel")
class Downsample(Operator):
    """Every `factor`-th pixel of the image after a filter, along each axis of the grid.

    With "box", the mean over boxes of `factor` × `factor` pixels, as a detector with larger pixels would see it.
    With "lanczos2" or "lanczos3", Lanczos' kernel stretched by the factor f, so that it does not alias: along an axis

        data[i] = Σ_j w((j − c_i)/f) image[j],    c_i = (i + ½) f − ½,    w(t) ∝ sinc(t) sinc(t/a),  |t| < a = 2 or 3

    with weights of sum 1. c_i is the *centre* of box i, so that data and image cover the same field, as those of
    Pillow, scikit-image and Matlab's `imresize` do; beyond the edge stands the mirror image. Papers on
    super-resolution down-sample by ×2 to ×8 with "lanczos2" (Ulyanov et al. 2018) or a like kernel.

    Raises ValueError where `factor` is not an integer of at least 1 or the kernel has another name.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> bdip.Downsample(2)(jnp.arange(8.0).reshape(2, 4, 1))[..., 0]
        Array([[2.5, 4.5]], dtype=float32)
    """

    factor: int
    kernel: Literal["box", "lanczos2", "lanczos3"] = "box"

    def __post_init__(self) -> None:
        if not (isinstance(self.factor, int) and self.factor >= 1):
            raise ValueError(f"factor is {self.factor!r}: expected an integer of at least 1.")
        if self.kernel != "box" and self.kernel not in LOBES:
            raise ValueError(f"kernel is {self.kernel!r}: expected box, {' or '.join(LOBES)}.")

    def __call__(self, image: Float[Array, "*fine C"]) -> Float[Array, "*coarse C"]:
        *grid, channels = image.shape
        f = self.factor
        if self.kernel == "box":
            sides = [side for n in grid for side in (n // f, f)]
            return image.reshape(*sides, channels).mean(axis=tuple(range(1, 2 * len(grid), 2)))
        for axis, size in enumerate(grid):
            weights = jnp.asarray(lanczos_matrix(size, f, LOBES[self.kernel]), image.dtype)
            mixed = jnp.tensordot(weights, image, (1, axis), precision="highest")
            image = jnp.moveaxis(mixed, 0, axis)
        return image

    def image_shape(self, data_shape: Shape) -> Shape:
        *grid, channels = data_shape
        return (*(n * self.factor for n in grid), channels)


def lanczos_matrix(size: int, factor: int, lobes: int) -> Float[np.ndarray, "coarse fine"]:
    """The weights along one axis of `size` pixels, mirrored at the edges, of `Downsample`'s formula."""
    coarse, beyond = size // factor, MARGIN * factor
    centres = (np.arange(coarse) + 0.5) * factor - 0.5
    position = np.arange(-beyond, size + beyond)
    t = (position - centres[:, None]) / factor
    weights = np.where(abs(t) < lobes, np.sinc(t) * np.sinc(t / lobes), 0)
    folded = position % (2 * size)  # … 1 0 | 0 1 … n−1 | n−1 n−2 …
    matrix = np.zeros((coarse, size))
    np.add.at(matrix.T, np.minimum(folded, 2 * size - 1 - folded), weights.T)
    return matrix / matrix.sum(axis=1, keepdims=True)
