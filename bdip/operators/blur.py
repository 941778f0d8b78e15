"""Blur: the image convolved with a point-spread function."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree

# What lies beyond the edge, by scipy.ndimage's names -> by numpy.pad's.
BOUNDARIES = {"reflect": "symmetric", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
VALID = "valid"
DIRECT_TAPS = 9  # of a function small enough to be summed up tap by tap; larger ones go by FFT
GAUSSIAN_RADIUS = 4.0  # standard deviations, where a Gaussian is cut off, as scipy.ndimage does
MOTION_SAMPLES = 64  # a pixel of the path, by which its length in each pixel is integrated


@frozen_pytree("boundary")
class Blur(Operator):
    """The convolution with a point-spread function of k × k pixels:

        data[i] = Σ_u psf[u] image[i − u + k // 2]

    as `scipy.ndimage.convolve` does it, by FFT or, for 3 × 3 and less, directly.

    Arguments:
        psf: (k, k), or (k, k, C) with one for each channel; as many axes as the grid has. It is taken as it
            is: one of sum 1 keeps the light.
        boundary: what lies beyond the edge: "reflect" (d c b a | a b c d | d c b a), "nearest", "wrap",
            "constant" (darkness). Of real pictures none of these is true. With "valid" nothing is
            assumed: the image is k − 1 pixels larger than the data on either axis, and its margin is found too.

    Raises ValueError where the point-spread function has no or not finite values, or the boundary is another.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> bdip.Blur(jnp.ones((3, 3)) / 9)(jnp.eye(3)[..., None])[1, :, 0]
        Array([0.33333334, 0.33333334, 0.33333334], dtype=float32)
        >>> bdip.Blur.gaussian(1.6).psf.shape, bdip.Blur.motion(length=9, angle=30).psf.shape
        ((13, 13), (7, 9))
    """

    psf: Float[Array, "..."]
    boundary: Literal["reflect", "nearest", "wrap", "constant", "valid"] = "reflect"

    def __post_init__(self) -> None:
        if self.boundary != VALID and self.boundary not in BOUNDARIES:
            names = ", ".join([*BOUNDARIES, VALID])
            raise ValueError(f"boundary is {self.boundary!r}: expected one of {names}.")

    @staticmethod
    def gaussian(std: float, boundary: str = "reflect", axes: int = 2) -> "Blur":
        """A Gaussian of standard deviation `std` pixels, along `axes` axes, cut off at 4 standard deviations."""
        if not std > 0:
            raise ValueError(f"std is {std!r}: expected a number of pixels above 0.")
        radius = int(GAUSSIAN_RADIUS * std + 0.5)
        profile = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * std**2))
        psf = np.ones(())
        for _ in range(axes):
            psf = psf[..., None] * (profile / profile.sum())
        return Blur(psf.astype(np.float32), boundary)  # type: ignore[arg-type]

    @staticmethod
    def motion(length: float, angle: float = 0.0, boundary: str = "reflect") -> "Blur":
        """A straight path of `length` pixels at `angle` degrees from the rows, anticlockwise, run at constant speed."""
        if not length > 0:
            raise ValueError(f"length is {length!r}: expected a number of pixels above 0.")
        return Blur(_path(length, np.deg2rad(angle)).astype(np.float32), boundary)  # type: ignore[arg-type]

    def __call__(self, image: Float[Array, "*fine C"]) -> Float[Array, "*grid C"]:
        psf = jnp.asarray(self.psf)
        psf = psf if psf.ndim == image.ndim else psf[..., None]
        sizes = psf.shape[:-1]
        if self.boundary != VALID:
            margins = [(n - 1 - n // 2, n // 2) for n in sizes]
            image = jnp.pad(image, [*margins, (0, 0)], mode=BOUNDARIES[self.boundary])
        convolve = _directly if np.prod(sizes) <= DIRECT_TAPS else _by_fft
        return convolve(image, psf)

    def image_shape(self, data_shape: Shape) -> Shape:
        *grid, channels = data_shape
        found = np.shape(self.psf)
        if len(found) not in (len(grid), len(data_shape)) or found[len(grid) :] not in (
            (),
            (channels,),
        ):
            raise ValueError(
                f"psf has shape {found} but the data {data_shape}: give it {len(grid)} axes, or one "
                f"more for the {channels} channels."
            )
        if self.boundary != VALID:
            return data_shape
        return (*(n + k - 1 for n, k in zip(grid, found, strict=False)), channels)


def _directly(padded: Array, psf: Array) -> Array:
    """The convolution where the psf lies wholly inside, a tap at a time."""
    sizes = psf.shape[:-1]
    grid = [n - k + 1 for n, k in zip(padded.shape, sizes, strict=False)]
    out = jnp.zeros(())
    for tap in np.ndindex(sizes):
        start = [k - 1 - u for k, u in zip(sizes, tap, strict=True)]
        window = tuple(slice(a, a + n) for a, n in zip(start, grid, strict=True))
        out = out + psf[tap] * padded[window]
    return out


def _by_fft(padded: Array, psf: Array) -> Array:
    """The same as a circular convolution, whose first k − 1 values on each axis are mixed up and left out."""
    axes = tuple(range(psf.ndim - 1))
    grid = padded.shape[:-1]
    product = jnp.fft.rfftn(padded, axes=axes) * jnp.fft.rfftn(psf, grid, axes=axes)
    whole = jnp.fft.irfftn(product, grid, axes=axes)
    return whole[tuple(slice(k - 1, None) for k in psf.shape[:-1])]


def _path(length: float, angle: float) -> NDArray[np.float64]:
    """The share of a centred straight path that each pixel of the least odd grid has, by linear interpolation."""
    count = max(1, round(MOTION_SAMPLES * length))
    along = length * ((np.arange(count) + 0.5) / count - 0.5)
    rows, columns = -along * np.sin(angle), along * np.cos(angle)
    half_height, half_width = (int(np.ceil(abs(x).max() - 1e-9)) for x in (rows, columns))
    height, width = np.arange(-half_height, half_height + 1), np.arange(-half_width, half_width + 1)
    hats = [
        np.maximum(0, 1 - abs(line[:, None] - points))
        for line, points in ((height, rows), (width, columns))
    ]
    return hats[0] @ hats[1].T / count
