"""The layers the generators are built from, for grids of one, two or three axes.

An image is an array (H, W, C), a signal (L, C), a volume (D, H, W, C); there is no batch axis.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from bdip.networks.convolution import Padding, Precision, convolve

NORM_EPSILON = 1e-5  # added to the variance, as in Ioffe & Szegedy (2015) and PyTorch
LEAKY_SLOPE = 0.2  # Ulyanov et al. (2018)
LEVEL_SLOPE = 2.0  # of what levels off: tanh is ±0.96 a standard deviation from its mean (docs/decisions/0034)
CONVOLVED = "convolved"  # what rematerialisation keeps: all else is quickly made again

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "leaky_relu": lambda x: jax.nn.leaky_relu(x, LEAKY_SLOPE),
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "elu": jax.nn.elu,
    "tanh": lambda x: jnp.tanh(LEVEL_SLOPE * x),
    "softsign": lambda x: jax.nn.soft_sign(LEVEL_SLOPE * x),
    "linear": lambda x: x,
}


class Normal(NamedTuple):
    """Where weights come from: `draw` gives standard normal draws of a shape, new ones at each call; kernels have `axes` axes."""

    draw: Callable[[tuple[int, ...]], Array]
    axes: int = 2

    def kernel(self, size: int, in_channels: int, out_channels: int) -> Array:
        """Draws in the shape of a kernel, (k, k, C, D) for an image."""
        return self.draw((*(size,) * self.axes, in_channels, out_channels))


class Convolution(nnx.Module):
    """A convolution with He-normal weights: standard deviation sqrt(2 / (kernel**axes in_channels)) (He et al., 2015)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: Padding = "reflect",
        precision: Precision | None = "float32",
        bias: bool = False,
        normal: Normal,
    ) -> None:
        self.options: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "precision": precision,
        }
        std = (2 / (kernel**normal.axes * in_channels)) ** 0.5
        self.kernel = nnx.Param(std * normal.kernel(kernel, in_channels, out_channels))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if bias else None

    def __call__(self, x: Float[Array, "*grid C"]) -> Float[Array, "*coarse D"]:
        out = checkpoint_name(convolve(x, self.kernel[...], **self.options), CONVOLVED)
        return out if self.bias is None else out + self.bias[...]


class Norm(nnx.Module):
    """Each channel brought to mean ``shift`` and standard deviation ``scale`` over the image, then an activation.

    Batch norm of a batch of one (Ioffe & Szegedy, 2015), always with the statistics of the image at hand.

    `scaled` is False where the next layer is a norm again: that would divide the scale out, all but its sign, so
    that the energy had a cliff where it crosses zero. It is 1 there, and no parameter.
    """

    def __init__(self, channels: int, activation: str = "linear", scaled: bool = True) -> None:
        self.activation = activation
        self.scale = nnx.Param(jnp.ones(channels)) if scaled else None
        self.shift = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "*grid C"]) -> Float[Array, "*grid C"]:
        grid = tuple(range(x.ndim - 1))
        mean = x.mean(grid)
        centred = x - mean
        variance = jnp.square(centred).mean(grid)
        gain = jax.lax.rsqrt(variance + NORM_EPSILON)
        if self.scale is not None:
            gain = self.scale[...] * gain
        out = centred * gain + self.shift[...]
        return ACTIVATIONS[self.activation](out)


class Block(nnx.Module):
    """Convolution, norm, activation: the convolution has no bias, which the norm would take away again."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        activation: str,
        normal: Normal,
        scaled: bool = True,
        **options: Any,
    ) -> None:
        self.convolution = Convolution(in_channels, out_channels, kernel, normal=normal, **options)
        self.norm = Norm(out_channels, activation, scaled)

    def __call__(self, x: Float[Array, "*grid C"]) -> Float[Array, "*coarse D"]:
        return self.norm(self.convolution(x))


def upsample_nearest(x: Float[Array, "*grid C"]) -> Float[Array, "*fine C"]:
    """Each pixel twice along each axis."""
    *grid, channels = x.shape
    apart = x[(slice(None), None) * len(grid)]
    twice = jnp.broadcast_to(apart, (*(side for n in grid for side in (n, 2)), channels))
    return twice.reshape(*(2 * n for n in grid), -1)


@jax.custom_vjp
def upsample_bilinear(x: Float[Array, "*grid C"]) -> Float[Array, "*fine C"]:
    """Linear interpolation at the centres of half-size pixels (PyTorch's align_corners=False).

    Along each axis out[2i] = (x[i - 1] + 3 x[i]) / 4 and out[2i + 1] = (3 x[i] + x[i + 1]) / 4, the
    edges repeated. Forwards and backwards one fused loop over gathered rows: XLA's own transposition
    of slices compiles and runs several times slower on a CPU.
    """
    for axis in range(x.ndim - 1):
        fine = np.arange(2 * x.shape[axis])
        neighbour = (fine // 2 + np.where(fine % 2, 1, -1)).clip(0, x.shape[axis] - 1)
        x = 0.75 * _lines(x, fine // 2, axis) + 0.25 * _lines(x, neighbour, axis)
    return x


def _upsample_backward(_: None, cotangent: Array) -> tuple[Array]:
    for axis in range(cotangent.ndim - 1):
        fine = cotangent.shape[axis]
        even = np.arange(0, fine, 2)
        near = _lines(cotangent, even, axis) + _lines(cotangent, even + 1, axis)
        before, after = (even - 1).clip(0), (even + 2).clip(None, fine - 1)
        far = _lines(cotangent, before, axis) + _lines(cotangent, after, axis)
        cotangent = 0.75 * near + 0.25 * far
    return (cotangent,)


def _lines(x: Array, index: np.ndarray, axis: int) -> Array:
    return x.at[(slice(None),) * axis + (index,)].get(mode="promise_in_bounds")


upsample_bilinear.defvjp(lambda x: (upsample_bilinear(x), None), _upsample_backward)


UPSAMPLERS: dict[str, Callable[[Array], Array]] = {
    "bilinear": upsample_bilinear,
    "nearest": upsample_nearest,
}
