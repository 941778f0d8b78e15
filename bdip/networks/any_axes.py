"""Convolutions of signals and volumes, for grids of any number of axes; those of images are in `convolution.py`.

The same rule as there: XLA convolves forwards well anywhere, but its gradients are slow on a CPU. So the
gradient by the image is written as a forward convolution, and that by the kernel as one matrix product. Padding and
patches are gathered by index, an axis at a time.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from bdip.networks.gathering import NOTHING, Positions, line, places, windows

AXES = "DHW"


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(
    image: Float[Array, "*grid C"],
    kernel: Float[Array, "..."],
    stride: int,
    padding: str,
    exact: bool,
) -> Float[Array, "*coarse D"]:
    """out[i, d] = Σ_{u, c} padded[i stride + u, c] kernel[u, c, d], i and u having as many axes as the grid.

    With `exact` in float32; else as the device likes best, tf32 on a GPU.
    """
    padded = image
    for axis, positions in enumerate(_lines(image, kernel, padding)):
        padded = _take(padded, positions, axis)
    return _correlate(padded, kernel, stride, exact)


def _forward(
    image: Array, kernel: Array, stride: int, padding: str, exact: bool
) -> tuple[Array, tuple[Array, Array]]:
    return convolve(image, kernel, stride, padding, exact), (image, kernel)


def _backward(
    stride: int, padding: str, exact: bool, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    image, kernel = residuals
    lines = _lines(image, kernel, padding)
    gradient = _padded_gradient(image, kernel, cotangent, stride, exact)
    for axis, positions in enumerate(lines):
        gradient = _fold(gradient, places(positions, image.shape[axis]), axis)
    return gradient, _kernel_gradient(image, lines, kernel, cotangent, stride, exact)


convolve.defvjp(_forward, _backward)


def _padded_gradient(
    image: Array, kernel: Array, cotangent: Array, stride: int, exact: bool
) -> Array:
    """Σ_{u, d} cotangent[(j − u)/stride, d] kernel[u, :, d] on the padded grid: a correlation, flipped."""
    axes, size = image.ndim - 1, kernel.shape[0]
    spaced = [
        (
            size - 1,
            size - 1 + image.shape[axis] - 1 - stride * (cotangent.shape[axis] - 1),
            stride - 1,
        )
        for axis in range(axes)
    ]
    wide = lax.pad(cotangent, jnp.zeros((), cotangent.dtype), [*spaced, (0, 0, 0)])
    flipped = jnp.flip(kernel, tuple(range(axes))).swapaxes(-1, -2)
    return _correlate(wide, flipped, 1, exact)


def _kernel_gradient(
    image: Array, lines: list[Positions], kernel: Array, cotangent: Array, stride: int, exact: bool
) -> Array:
    """Σ_i padded[i stride + u, c] cotangent[i, d]: one product with all patches."""
    axes, size = image.ndim - 1, kernel.shape[0]
    patches = image
    for axis, positions in enumerate(lines):
        taken = windows(positions, cotangent.shape[axis], size, stride).T  # (i, u)
        patches = _take(patches, taken, 2 * axis)
    order = (*range(0, 2 * axes, 2), *range(1, 2 * axes, 2), 2 * axes)
    columns = patches.transpose(order).reshape(-1, kernel[..., 0].size)  # (pixels, u c)
    rows = cotangent.reshape(len(columns), -1)
    return jnp.matmul(columns.T, rows, precision=_precision(exact)).reshape(kernel.shape)


def _correlate(padded: Array, kernel: Array, stride: int, exact: bool) -> Array:
    axes = padded.ndim - 1
    names = AXES[-axes:]
    return lax.conv_general_dilated(
        padded[None], kernel, (stride,) * axes, "VALID",
        dimension_numbers=(f"N{names}C", f"{names}IO", f"N{names}C"), precision=_precision(exact),
    )[0]  # fmt: skip


def _precision(exact: bool) -> lax.Precision:
    return lax.Precision.HIGHEST if exact else lax.Precision.DEFAULT


def _lines(image: Array, kernel: Array, padding: str) -> list[Positions]:
    """The pixels along each axis of the padded image."""
    return [line(n, kernel.shape[0] // 2, padding) for n in image.shape[:-1]]


def _take(x: Array, positions: Positions, axis: int) -> Array:
    """What stands at the positions along an axis, zero at NOTHING; two axes of positions make two of the result."""
    found = x.at[(slice(None),) * axis + (positions.clip(0),)].get(mode="promise_in_bounds")
    if positions.min() > NOTHING:
        return found
    there = (positions > NOTHING).reshape(positions.shape + (1,) * (x.ndim - axis - 1))
    return jnp.where(there, found, 0)


def _fold(gradient: Array, repetitions: np.ndarray, axis: int) -> Array:
    """The adjoint of padding along an axis: each pixel gathers the places it went to."""
    parts = [_take(gradient, positions, axis) for positions in repetitions]
    return sum(parts[1:], start=parts[0])
