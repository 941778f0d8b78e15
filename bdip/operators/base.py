"""What a forward operator A is, and how two of them compose."""

from typing import Any

from jaxtyping import Array, Float

from bdip.trees import frozen_pytree

Shape = tuple[int, int, int]


class Operator:
    """A map A from the unknown image (H W C) to the data (h w C): pure, differentiable, a pytree.

    Subclasses give `__call__` and `image_shape`; `@` composes as matrices do:
    `(first @ second)(image) == first(second(image))`. `diagonal` says that A multiplies each value of
    the image by a weight of its own, which leaves the grid alone.
    """

    @property
    def diagonal(self) -> bool:
        return False

    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "h w C"]:
        raise NotImplementedError

    def image_shape(self, data_shape: Shape) -> Shape:
        """Shape (H, W, C) of the images whose data have shape `data_shape` (h, w, C)."""
        raise NotImplementedError

    def __matmul__(self, inner: "Operator") -> "Composed":
        return Composed(self, inner)


@frozen_pytree()
class Composed(Operator):
    """`outer` after `inner`."""

    outer: Any
    inner: Any

    @property
    def diagonal(self) -> bool:
        return bool(self.outer.diagonal and self.inner.diagonal)

    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "h w C"]:
        return self.outer(self.inner(image))

    def image_shape(self, data_shape: Shape) -> Shape:
        return self.inner.image_shape(self.outer.image_shape(data_shape))
