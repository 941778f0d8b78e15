"""One convolution of an image, in the form that is fastest where it runs; signals and volumes go to `any_axes.py`.

On a CPU, XLA convolves forwards as fast as it multiplies matrices, but its gradients of a convolution
are an order of magnitude slower. So there the gradient by the image is written as another forward
convolution, and the gradient by the kernel as one matrix product; with enough channels both, and the
convolution itself, take Winograd's form. Everything is few and plain operations, since each one that
XLA must generate code for costs tens of milliseconds of compile time: that is why padding and patches
are gathered by index rather than sliced and concatenated.

Elsewhere everything is `lax.conv_general_dilated` and its own gradients, in the precision asked for.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from bdip.networks import any_axes, winograd
from bdip.networks.gathering import Positions, gather, line, scatter, windows

Padding = Literal["reflect", "zero"]
Precision = Literal["float32", "tf32", "bfloat16"]
MANTISSA_BITS: dict[str | None, int] = {"tf32": 10, "bfloat16": 7}
Margins = tuple[tuple[int, int], tuple[int, int]]

IMAGE_AXES = 3  # H W C
# Below these, transforming the kernel and the tiles costs more than Winograd's fewer products save.
WINOGRAD_MIN_CHANNELS = 48  # forwards
WINOGRAD_MIN_CHANNELS_BACKWARD = 16  # which has two products to save on
WINOGRAD_MIN_PIXELS = 16 * 16


def convolve(
    image: Float[Array, "*grid C"],
    kernel: Float[Array, "..."],
    *,
    stride: int = 1,
    padding: Padding = "reflect",
    precision: Precision | None = None,
) -> Float[Array, "*coarse D"]:
    """The cross-correlation of an image with an odd kernel, at every stride-th pixel: h = ⌈H / stride⌉.

    out[i, j, d] = Σ_{u, v, c} padded[i stride + u, j stride + v, c] kernel[u, v, c, d]

    Arguments:
        image: each side longer than half the kernel; (L, C) or (D, H, W, C) with a kernel of as many axes.
        kernel: k is odd.
        stride: 1 or 2.
        padding: what lies beyond the edge, k // 2 pixels on each side: the mirror image without the
            edge itself, or zeros.
        precision: what the factors of each product are rounded to, forwards and backwards; sums are
            float32. A GPU is as much faster as they are shorter; a CPU computes with the rounded
            numbers in float32, no faster. By default float32 on a CPU and tf32 elsewhere.

    >>> convolve(jnp.ones((4, 4, 1)), jnp.ones((3, 3, 1, 1)), stride=2, padding="zero")[..., 0]
    Array([[4., 6.],
           [6., 9.]], dtype=float32)
    """
    if image.ndim == IMAGE_AXES:
        return _convolve(image, kernel, stride, padding, precision)
    factors = (_rounded(x, precision) for x in (image, kernel))
    return any_axes.convolve(*factors, stride, padding, precision == "float32")


def _convolve_by_platform(
    image: Array, kernel: Array, stride: int, padding: Padding, precision: Precision | None
) -> Array:
    rounded = partial(_rounded, precision=precision)
    return lax.platform_dependent(
        image,
        kernel,
        cpu=lambda x, k: _forward_on_cpu(rounded(x), rounded(k), stride, padding),
        default=lambda x, k: _forward(x, k, stride, padding, precision or "tf32"),
    )


_convolve = jax.custom_vjp(_convolve_by_platform, nondiff_argnums=(2, 3, 4))


def _convolve_forward(
    image: Array, kernel: Array, stride: int, padding: Padding, precision: Precision | None
) -> tuple[Array, tuple[Array, Array]]:
    out = _convolve_by_platform(image, kernel, stride, padding, precision)
    return out, (image, kernel)


def _convolve_backward(
    stride: int,
    padding: Padding,
    precision: Precision | None,
    residuals: tuple[Array, Array],
    cotangent: Array,
) -> tuple[Array, Array]:
    rounded = partial(_rounded, precision=precision)
    return lax.platform_dependent(
        *residuals,
        cotangent,
        cpu=lambda x, k, g: _backward_on_cpu(rounded(x), rounded(k), rounded(g), stride, padding),
        default=lambda x, k, g: _backward(x, k, g, stride, padding, precision or "tf32"),
    )


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _rounded(x: Array, precision: Precision | None) -> Array:
    """With as many bits of mantissa as the precision has; the exponents of all have 8 bits."""
    bits = MANTISSA_BITS.get(precision)
    return x if bits is None else lax.reduce_precision(x, 8, bits)


def _forward(
    image: Array, kernel: Array, stride: int, padding: Padding, precision: Precision
) -> Array:
    rows, columns = _lines(image, kernel, padding)
    return _correlate_in(precision, gather(image, rows[:, None], columns), kernel, stride)


def _backward(
    image: Array, kernel: Array, cotangent: Array, stride: int, padding: Padding,
    precision: Precision,
) -> tuple[Array, Array]:  # fmt: skip
    rows, columns = _lines(image, kernel, padding)
    padded = gather(image, rows[:, None], columns)
    _, pull_back = jax.vjp(lambda x, k: _correlate_in(precision, x, k, stride), padded, kernel)
    padded_gradient, kernel_gradient = pull_back(cotangent)
    return _unpadded(padded_gradient, rows, columns, image), kernel_gradient


def _correlate_in(precision: Precision, padded: Array, kernel: Array, stride: int) -> Array:
    if precision == "bfloat16":  # the sums are float32, and rounded when they are complete
        short = _correlate(padded.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), stride)
        return short.astype(jnp.float32)
    exactness = lax.Precision.HIGHEST if precision == "float32" else lax.Precision.DEFAULT
    return _correlate(padded, kernel, stride, precision=exactness)


def _forward_on_cpu(image: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    size = kernel.shape[0]
    if size == 1 and stride == 1:
        return image @ kernel[0, 0]
    if _suits_winograd(image, kernel, stride, WINOGRAD_MIN_CHANNELS):
        return winograd.forward(image, kernel, padding)
    if padding == "zero":
        return _correlate(image, kernel, stride, _all_round(size // 2))
    # One row too many is gathered and taken off again by a negative margin, since XLA convolves three
    # times as slowly without any margin.
    rows, columns = _lines(image, kernel, padding)
    padded = gather(image, np.append(rows, rows[-1])[:, None], columns)
    return _correlate(padded, kernel, stride, ((0, -1), (0, 0)))


def _backward_on_cpu(
    image: Array, kernel: Array, cotangent: Array, stride: int, padding: Padding
) -> tuple[Array, Array]:
    size = kernel.shape[0]
    if size == 1 and stride == 1:
        pixels = image.shape[0] * image.shape[1]
        kernel_gradient = _product_over_pixels(image, cotangent, pixels)
        return cotangent @ kernel[0, 0].T, kernel_gradient[None, None]
    if _suits_winograd(image, kernel, stride, WINOGRAD_MIN_CHANNELS_BACKWARD):
        return winograd.backward(image, kernel, cotangent, padding)
    rows, columns = _lines(image, kernel, padding)
    if stride == 1:
        padded_gradient = _image_gradient(kernel, cotangent)
        kernel_gradient = _kernel_gradient(image, rows, columns, cotangent, size)
    else:
        padded_gradient = _image_gradient_stride_2(kernel, cotangent)[: len(rows), : len(columns)]
        kernel_gradient = _kernel_gradient_stride_2(image, rows, columns, cotangent, size)
    return _unpadded(padded_gradient, rows, columns, image), kernel_gradient


def _suits_winograd(image: Array, kernel: Array, stride: int, least_channels: int) -> bool:
    enough_pixels = image.shape[0] * image.shape[1] >= WINOGRAD_MIN_PIXELS
    enough_channels = min(kernel.shape[2:]) >= least_channels
    return kernel.shape[0] == 3 and stride == 1 and enough_pixels and enough_channels


def _correlate(
    image: Array,
    kernel: Array,
    stride: int = 1,
    margins: Margins = ((0, 0), (0, 0)),
    precision: lax.Precision | None = None,
) -> Array:
    """Beyond zeros as wide as the margins; a negative margin takes pixels off."""
    return lax.conv_general_dilated(
        image[None], kernel, (stride, stride), margins,
        dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=precision,
    )[0]  # fmt: skip


def _all_round(margin: int) -> Margins:
    return ((margin, margin), (margin, margin))


def _image_gradient(kernel: Array, cotangent: Array) -> Array:
    """Σ_{u, v, d} cotangent[i − u, j − v, d] kernel[u, v, :, d] on the padded grid: a correlation, flipped."""
    return _correlate(cotangent, _flipped(kernel), margins=_all_round(len(kernel) - 1))


def _image_gradient_stride_2(kernel: Array, cotangent: Array) -> Array:
    """The same with u = 2p + a, v = 2q + b: each of four phases (a, b) is a small correlation."""
    size, _, channels, features = kernel.shape
    half = (size + 1) // 2
    even = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    phases = even.reshape(half, 2, half, 2, channels, features).transpose(0, 2, 1, 3, 4, 5)
    flipped = _flipped(phases.reshape(half, half, 4 * channels, features))
    out = _correlate(cotangent, flipped, margins=_all_round(half - 1))
    height, width = out.shape[:2]
    interleaved = out.reshape(height, width, 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return interleaved.reshape(2 * height, 2 * width, channels)


def _flipped(kernel: Array) -> Array:
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _kernel_gradient(
    image: Array, rows: Positions, columns: Positions, cotangent: Array, size: int
) -> Array:
    """Σ_{r, j} padded[r, j + v, c] cotangent[r − u, j, d]: a product of column and row patches."""
    height, width, features = cotangent.shape
    columns = windows(columns, width, size, 1).T  # (W, v)
    patches = gather(image, rows[:, None, None], columns)  # (r, W, v, C)
    shifts = windows(line(height, size - 1, "zero"), len(rows), size, 1).T[
        :, None, ::-1
    ]  # (r, 1, u)
    shifted = gather(cotangent, shifts, np.arange(width)[:, None])  # (r, W, u, D)
    pixels = len(rows) * width
    product = _product_over_pixels(patches, shifted, pixels)
    return product.reshape(size, -1, size, features).transpose(2, 0, 1, 3)


def _kernel_gradient_stride_2(
    image: Array, rows: Positions, columns: Positions, cotangent: Array, size: int
) -> Array:
    """Σ_{i, j} padded[2i + u, 2j + v, c] cotangent[i, j, d]: one product with all patches."""
    height, width, features = cotangent.shape
    rows, columns = windows(rows, height, size, 2).T, windows(columns, width, size, 2).T
    patches = gather(image, rows[:, None, :, None], columns[:, None, :])  # (h, w, u, v, C)
    pixels = height * width
    product = _product_over_pixels(patches, cotangent, pixels)
    return product.reshape(size, size, -1, features)


def _product_over_pixels(left: Array, right: Array, pixels: int) -> Array:
    return jnp.einsum("pc,pd->cd", left.reshape(pixels, -1), right.reshape(pixels, -1))


def _lines(image: Array, kernel: Array, padding: Padding) -> tuple[Positions, Positions]:
    """The pixels along the padded image's rows and columns."""
    rows, columns = (line(n, kernel.shape[0] // 2, padding) for n in image.shape[:2])
    return rows, columns


def _unpadded(gradient: Array, rows: Positions, columns: Positions, image: Array) -> Array:
    """The gradient by the image, of that by the padded image."""
    return scatter(gradient[None, None], rows[None], columns[None], image.shape[:2])
