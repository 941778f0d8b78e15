"""One two-dimensional convolution, in the form that is fastest where it runs.

On a CPU, XLA's own convolution gradients are an order of magnitude slower than matrix products. There a convolution is
a matrix product: directly for 1x1 kernels, in Winograd's minimal form for 3x3 kernels with many channels, over
gathered patches (im2col) otherwise. Elsewhere it is ``lax.conv_general_dilated``.

References: Lavin & Gray (2016), "Fast algorithms for convolutional neural networks", section 4.1.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Padding = Literal["reflect", "zero"]

# Below this many channels on either side, Winograd's matrix products are too thin to pay for its transforms.
WINOGRAD_MIN_CHANNELS = 16


def convolve(
    image: Float[Array, "H W C"],
    kernel: Float[Array, "kh kw C D"],
    *,
    stride: int = 1,
    padding: Padding = "reflect",
) -> Float[Array, "h w D"]:
    """The cross-correlation of an image with an odd kernel, on the grid of every stride-th pixel (h = ceil(H / stride)).

    out[i, j, d] = sum_{u, v, c} padded[i stride + u, j stride + v, c] kernel[u, v, c, d]
    """
    return _convolve(image, kernel, stride, padding)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(image, kernel, stride, padding):
    return lax.platform_dependent(
        image,
        kernel,
        cpu=partial(_forward_as_matmul, stride=stride, padding=padding),
        default=partial(_forward_as_convolution, stride=stride, padding=padding),
    )


def _convolve_forward(image, kernel, stride, padding):
    return _convolve(image, kernel, stride, padding), (image, kernel)


def _convolve_backward(stride, padding, residuals, cotangent):
    image, kernel = residuals

    def pull_back(forward, image, kernel, cotangent):
        return jax.vjp(partial(forward, stride=stride, padding=padding), image, kernel)[1](
            cotangent
        )

    return lax.platform_dependent(
        image,
        kernel,
        cotangent,
        cpu=partial(pull_back, _forward_as_matmul),
        default=partial(pull_back, _forward_as_convolution),
    )


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _pad(image, rows, columns, padding):
    mode = "reflect" if padding == "reflect" else "constant"
    return jnp.pad(image, ((rows, rows), (columns, columns), (0, 0)), mode=mode)


def _forward_as_convolution(image, kernel, stride, padding):
    padded = _pad(image, kernel.shape[0] // 2, kernel.shape[1] // 2, padding)
    out = lax.conv_general_dilated(
        padded[None], kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return out[0]


def _forward_as_matmul(image, kernel, stride, padding):
    height, width = image.shape[:2]
    if kernel.shape[:2] == (1, 1):
        return image[::stride, ::stride] @ kernel[0, 0]
    even = height % 2 == 0 and width % 2 == 0
    if (
        kernel.shape[:2] == (3, 3)
        and stride == 1
        and even
        and min(kernel.shape[2:]) >= WINOGRAD_MIN_CHANNELS
    ):
        return _winograd(_pad(image, 1, 1, padding), kernel)
    return _patches_times_kernel(
        _pad(image, kernel.shape[0] // 2, kernel.shape[1] // 2, padding), kernel, stride
    )


def _patches_times_kernel(padded, kernel, stride):
    rows, columns, _, features = kernel.shape
    height = (padded.shape[0] - rows) // stride + 1
    width = (padded.shape[1] - columns) // stride + 1
    shifts = [
        padded[
            u : u + stride * (height - 1) + 1 : stride, v : v + stride * (width - 1) + 1 : stride
        ]
        for u in range(rows)
        for v in range(columns)
    ]
    return jnp.concatenate(shifts, axis=-1) @ kernel.reshape(-1, features)


def _winograd(padded, kernel):
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    tiles = _input_transform(_input_transform(padded, 0), 2)  # (4, h, 4, w, C) -> transposed below
    tiles = tiles.transpose(0, 2, 1, 3, 4)
    filters = _filter_transform(kernel)
    products = jnp.einsum("uvhwc,uvcd->uvhwd", tiles, filters)
    out = _output_transform(_output_transform(products, 0), 1)  # (2, 2, h, w, D)
    return out.transpose(2, 0, 3, 1, 4).reshape(height, width, -1)


def _input_transform(x, axis):
    even = lax.slice_in_dim(x, 0, x.shape[axis], 2, axis)
    odd = lax.slice_in_dim(x, 1, x.shape[axis], 2, axis)
    n = even.shape[axis] - 1
    d0, d2 = lax.slice_in_dim(even, 0, n, 1, axis), lax.slice_in_dim(even, 1, n + 1, 1, axis)
    d1, d3 = lax.slice_in_dim(odd, 0, n, 1, axis), lax.slice_in_dim(odd, 1, n + 1, 1, axis)
    return jnp.stack([d0 - d2, d1 + d2, d2 - d1, d1 - d3], axis)


def _filter_transform(kernel):
    matrix = jnp.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], kernel.dtype)
    return jnp.einsum("ui,vj,ijcd->uvcd", matrix, matrix, kernel)


def _output_transform(m, axis):
    m0, m1, m2, m3 = (lax.index_in_dim(m, i, axis, keepdims=False) for i in range(4))
    return jnp.stack([m0 + m1 + m2, m1 - m2 - m3], axis)
