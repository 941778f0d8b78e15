"""Projections of a slice: the forward model of computed tomography."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree
from bdip.types import Scalar

SAMPLES_AT_ONCE = 2**20  # rays' points worked on together: bounds the memory of many angles


@frozen_pytree()
class Radon(Operator):
    """The parallel-beam Radon transform: sums along rays, of a square image and for each angle.

        data[t, a] = Σ_s image(c + rotation(angle_a) (s, t)),    by linear interpolation, in pixels

    Data (n, angles) of an image (n, n) are those of `skimage.transform.radon(image, theta, circle=True)`: a
    detector a pixel, and the image turned about pixel n // 2. The corners, outside the circle that all angles see, are seen
    by some. A sum along a ray has another unit than the image, so that `bdip.sample` needs a data range, that of the image:
    `bdip.sample(sinogram, operator=bdip.Radon(angles), data_range=(0, 1))`.

    Arguments:
        angles: degrees (a,).

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> bdip.Radon([0.0, 90.0])(jnp.eye(3)[..., None] * jnp.array([[1.0], [2.0], [3.0]])[..., None])[..., 0].round(4)
        Array([[1., 3.],
               [2., 2.],
               [3., 1.]], dtype=float32)
    """

    angles: ArrayLike

    def __call__(self, image: Float[Array, "n n C"]) -> Float[Array, "n a C"]:
        image, angles = jnp.asarray(image), jnp.asarray(self.angles, jnp.float32)

        def project(angle: Scalar) -> Float[Array, "n C"]:
            return _projection(image, jnp.deg2rad(angle))

        at_once = max(1, SAMPLES_AT_ONCE // image[..., 0].size)
        if len(angles) <= at_once:
            return jax.vmap(project, out_axes=1)(angles)
        return jnp.moveaxis(jax.lax.map(project, angles, batch_size=at_once), 0, 1)

    def image_shape(self, data_shape: Shape) -> Shape:
        count = len(np.atleast_1d(self.angles))
        if len(data_shape) != 3 or data_shape[1] != count:
            raise ValueError(
                f"the data have shape {data_shape[:-1]} but there are {count} angles: expected "
                f"(detectors, {count}), as skimage.transform.radon makes it."
            )
        return (data_shape[0], data_shape[0], data_shape[-1])


def _projection(image: Float[Array, "n n C"], angle: Scalar) -> Float[Array, "n C"]:
    """The sums over the rows of the image turned by `angle`, each value interpolated between four pixels."""
    size = len(image)
    centre = size // 2
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rows, columns = jnp.meshgrid(*2 * (jnp.arange(size) - centre,), indexing="ij")
    y, x = centre + cos * rows - sin * columns, centre + sin * rows + cos * columns
    top, left = jnp.floor(y).astype(int), jnp.floor(x).astype(int)
    down, right = y - top, x - left  # from 0 to 1
    corners = (
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    )
    return sum((_sums(image, *corner) for corner in corners[1:]), start=_sums(image, *corners[0]))


def _sums(
    image: Float[Array, "n n C"],
    rows: Int[Array, "n n"],
    columns: Int[Array, "n n"],
    weights: Float[Array, "n n"],
) -> Float[Array, "n C"]:
    """Σ over the first axis of weights · image[rows, columns]; beyond the edge there is nothing."""
    size = len(image)
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    found = image[rows.clip(0, size - 1), columns.clip(0, size - 1)]
    return (jnp.where(inside, weights, 0)[..., None] * found).sum(axis=0)
