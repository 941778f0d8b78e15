"""Down-sampling by an integer factor: the forward model of super-resolution."""

from jaxtyping import Array, Float

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree


@frozen_pytree("factor")
class Downsample(Operator):
    """Mean over boxes of `factor` × `factor` pixels, as a detector with larger pixels would see it.

    Raises ValueError where `factor` is not an integer of at least 1.
    """

    factor: int

    def __post_init__(self) -> None:
        if not (isinstance(self.factor, int) and self.factor >= 1):
            raise ValueError(f"factor is {self.factor!r}: expected an integer of at least 1.")

    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "h w C"]:
        height, width, channels = image.shape
        f = self.factor
        boxes = image.reshape(height // f, f, width // f, f, channels)  # (h, f, w, f, C)
        return boxes.mean(axis=(1, 3))

    def image_shape(self, data_shape: Shape) -> Shape:
        height, width, channels = data_shape
        return height * self.factor, width * self.factor, channels
