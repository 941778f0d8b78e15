"""Users' own operators: from a function, or from a matrix."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree


@frozen_pytree("forward", "shape", "linear")
class FromFunction(Operator):
    """A = `forward`, a function of an image (H, W, C) that JAX can trace; the adjoint is its transpose.

    Arguments:
        forward: pure and differentiable. Without side effects; arrays in it are constants of the program.
        shape: of the image, (H, W, C), or a function of the data's shape (h, w, C) that returns it.
        linear: False for one that is not linear; it then sees images in the user's units.

    A class of one's own, derived from `bdip.operators.Operator`, is the way where it has numbers to be changed
    without compiling again.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> cumulated = bdip.FromFunction(lambda image: jnp.cumsum(image, axis=0), lambda shape: shape)
        >>> cumulated(jnp.ones((3, 1, 1)))[:, 0, 0]
        Array([1., 2., 3.], dtype=float32)
    """

    forward: Callable[[Array], Array]
    shape: Shape | Callable[[Shape], Shape]
    linear: bool = True  # type: ignore[assignment]  # a field where others have a property

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "..."]:
        return self.forward(image)

    def image_shape(self, data_shape: Shape) -> Shape:
        return tuple(self.shape(data_shape) if callable(self.shape) else self.shape)


@frozen_pytree("shape", "data_shape")
class FromMatrix(Operator):
    """A matrix (m, n) on the image as a vector, row by row, channels last.

    Arguments:
        matrix: dense, or sparse: whatever has a `tocoo()`, as SciPy's do, or JAX's own BCOO.
        shape: of the image, (H, W, C), with H W C = n.
        data_shape: (h, w, C), with h w C = m; by default (m, 1), which is a signal (m,) of one channel.

    Raises ValueError where the sizes do not belong together.

    Example:
        >>> import jax.numpy as jnp, numpy as np, bdip
        >>> bdip.FromMatrix(np.ones((1, 4), np.float32), (2, 2, 1))(jnp.ones((2, 2, 1)))
        Array([[4.]], dtype=float32)
    """

    matrix: Any
    shape: Shape
    data_shape: Shape | None = None

    def __post_init__(self) -> None:
        if hasattr(self.matrix, "tocoo"):
            object.__setattr__(self, "matrix", _sparse(self.matrix.tocoo()))
        if not hasattr(self.matrix, "shape"):
            return  # a placeholder, as JAX puts into trees
        sizes = (math.prod(self._data_shape), math.prod(self.shape))
        if tuple(self.matrix.shape) != sizes:
            raise ValueError(
                f"matrix has shape {tuple(self.matrix.shape)}, but data of shape {self._data_shape} "
                f"and an image of shape {tuple(self.shape)} need {sizes}."
            )

    @property
    def _data_shape(self) -> Shape:
        return (self.matrix.shape[0], 1) if self.data_shape is None else tuple(self.data_shape)

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "..."]:
        vector = image.reshape(-1)
        if hasattr(self.matrix, "todense"):
            return (self.matrix @ vector).reshape(self._data_shape)
        return jnp.matmul(self.matrix, vector, precision="highest").reshape(self._data_shape)

    def image_shape(self, data_shape: Shape) -> Shape:
        if tuple(data_shape) != self._data_shape:
            raise ValueError(
                f"the matrix makes data of shape {self._data_shape}, not {data_shape}."
            )
        return tuple(self.shape)


def _sparse(coordinates: Any) -> Any:
    """JAX's sparse matrix of SciPy's, in the order in which it multiplies fastest."""
    from jax.experimental.sparse import BCOO

    indices = np.stack([coordinates.row, coordinates.col], axis=-1)
    values = np.asarray(coordinates.data, np.float32)
    made = BCOO((jnp.asarray(values), jnp.asarray(indices)), shape=coordinates.shape)
    return made.sum_duplicates(nse=len(values))
