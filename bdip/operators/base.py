"""What a forward operator A is, and how two of them compose."""

from typing import Any

from jaxtyping import Array, Float

from bdip.likelihood import Rounding
from bdip.trees import frozen_pytree

Shape = tuple[int, ...]


class Operator:
    """A map A from the unknown image (H W C) to the data (h w C): pure, differentiable, a pytree.

    Subclasses give `__call__` and `image_shape`; `@` composes as matrices do:
    `(first @ second)(image) == first(second(image))`.

    `linear` says that A(ax + by) = aA(x) + bA(y); one that is not must say so. `diagonal` says that A
    multiplies each value of the image by a weight of its own, which leaves the grid alone.
    `complex_data` says that the channels of the data are real parts, and behind them the imaginary ones.
    `noise` is the law of the data's noise where what measures them decides it, such as rounding, and else None.
    `rounded` says that this law is that of rounding, so that χ² is at most 1 where it is right.
    """

    @property
    def linear(self) -> bool:
        return True

    @property
    def diagonal(self) -> bool:
        return False

    @property
    def complex_data(self) -> bool:
        return False

    @property
    def noise(self) -> Any:
        return None

    @property
    def rounded(self) -> bool:
        return isinstance(self.noise, Rounding)

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "..."]:
        raise NotImplementedError

    def image_shape(self, data_shape: Shape) -> Shape:
        """Shape (H, W, C) of the images whose data have shape `data_shape` (h, w, C).

        Raises ValueError, with what to do, where there are none.
        """
        raise NotImplementedError

    def __matmul__(self, inner: "Operator") -> "Composed":
        return Composed(self, inner)


@frozen_pytree()
class Composed(Operator):
    """`outer` after `inner`."""

    outer: Any
    inner: Any

    @property
    def linear(self) -> bool:
        return bool(self.outer.linear and self.inner.linear)

    @property
    def diagonal(self) -> bool:
        return bool(self.outer.diagonal and self.inner.diagonal)

    @property
    def complex_data(self) -> bool:
        return bool(self.outer.complex_data)

    @property
    def noise(self) -> Any:
        return self.outer.noise

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "..."]:
        return self.outer(self.inner(image))

    def image_shape(self, data_shape: Shape) -> Shape:
        return self.inner.image_shape(self.outer.image_shape(data_shape))


@frozen_pytree()
class InUnits(Operator):
    """An operator that is not linear, for images and data in the unit range:

        u ↦ (A(low + span u) − base) / span,    base = A(low)

    which is A itself where A is linear.
    """

    operator: Any
    low: Any
    span: Any
    base: Any

    @property
    def linear(self) -> bool:
        return False

    def __call__(self, image: Float[Array, "*grid C"]) -> Float[Array, "..."]:
        return (self.operator(self.low + self.span * image) - self.base) / self.span

    def image_shape(self, data_shape: Shape) -> Shape:
        shape: Shape = self.operator.image_shape(data_shape)
        return shape
