"""Winograd's minimal convolution F(4×4, 3×3): four output pixels a side from 36 products instead of 144.

A tile of 6 × 6 pixels and the kernel are transformed, multiplied (a matrix product over channels for
each of 36 frequencies) and transformed back:

    out = Aᵀ [(G kernel Gᵀ) ⊙ (Bᵀ tile B)] A

The transforms of both axes are one product with a Kronecker matrix, so that there is next to nothing
for XLA to compile; the gradients are the transposed products in reverse order.

Reference: Lavin & Gray (2016), "Fast algorithms for convolutional neural networks", equation 8.
"""

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bdip.networks.gathering import Positions, gather_apart, line, scatter, windows

OUT, TAPS = 4, 3
TILE = OUT + TAPS - 1
# Where the polynomials are evaluated, besides infinity. These points lose three times less to rounding
# than the usual 0, ±1, ±2: the error is about twice that of the direct sum.
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)


def forward(
    image: Float[Array, "H W C"], kernel: Float[Array, "3 3 C D"], padding: str
) -> Float[Array, "H W D"]:
    """The convolution with stride 1."""
    height, width = image.shape[:2]
    to_out, to_kernel, _ = _matrices()
    products = _spread(image, padding) @ _left(to_kernel, kernel.reshape(9, *kernel.shape[2:]))
    tiles = _left(to_out.T, products).reshape(OUT, OUT, *_tiles(image), -1)
    grid = tiles.transpose(2, 0, 3, 1, 4).reshape(OUT * tiles.shape[2], OUT * tiles.shape[3], -1)
    return grid[:height, :width]


def backward(
    image: Float[Array, "H W C"],
    kernel: Float[Array, "3 3 C D"],
    cotangent: Float[Array, "H W D"],
    padding: str,
) -> tuple[Float[Array, "H W C"], Float[Array, "3 3 C D"]]:
    """The gradients by the image and by the kernel."""
    to_out, to_kernel, to_tile = _matrices()
    rows, columns = (
        windows(np.arange(n), t, OUT, OUT)
        for n, t in zip(cotangent.shape[:2], _tiles(image), strict=True)
    )
    tiles = gather_apart(cotangent, rows[:, None, :, None], columns[:, None, :])
    products = _left(to_out, tiles.reshape(OUT**2, -1, cotangent.shape[-1]))  # (36, tiles, D)
    spectrum = _left(to_kernel, kernel.reshape(9, *kernel.shape[2:]))  # (36, C, D)
    to_image = products @ spectrum.swapaxes(1, 2)
    patches = _left(to_tile, to_image).reshape(TILE, TILE, *_tiles(image), -1)
    image_gradient = scatter(patches, *_windows(image, padding), image.shape)
    kernel_spectrum = _spread(image, padding).swapaxes(1, 2) @ products
    return image_gradient, _left(to_kernel.T, kernel_spectrum).reshape(kernel.shape)


def _spread(image: Array, padding: str) -> Array:
    """The transformed tiles, (36, tiles, C)."""
    rows, columns = _windows(image, padding)
    tiles = gather_apart(image, rows[:, None, :, None], columns[:, None, :])
    return _left(_matrices()[2].T, tiles.reshape(TILE**2, -1, image.shape[-1]))


def _left(matrix: np.ndarray, stack: Array) -> Array:
    """The matrix times the first axis."""
    return (jnp.asarray(matrix) @ stack.reshape(len(stack), -1)).reshape(-1, *stack.shape[1:])


def _tiles(image: Array) -> tuple[int, int]:
    return -(-image.shape[0] // OUT), -(-image.shape[1] // OUT)


def _windows(image: Array, padding: str) -> tuple[Positions, Positions]:
    rows, columns = (
        windows(line(n, 1, padding), tiles, TILE, OUT)
        for n, tiles in zip(image.shape[:2], _tiles(image), strict=True)
    )
    return rows, columns


@cache
def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ⊗ A, G ⊗ G and B ⊗ B of Toom and Cook's interpolation through POINTS and infinity."""
    points = np.array(POINTS)
    rest = [np.delete(points, i) for i in range(len(points))]
    scale = np.array([np.prod(p - q) for p, q in zip(points, rest, strict=True)])
    infinity = np.eye(TILE)[-1:]
    a = np.vstack([points[:, None] ** np.arange(OUT), infinity[:, -OUT:]])
    g = np.vstack([points[:, None] ** np.arange(TAPS), infinity[:, -TAPS:]])
    b = np.zeros((TILE, TILE))
    for i, (others, n) in enumerate(zip(rest, scale, strict=True)):
        b[: TILE - 1, i] = np.poly(others)[::-1] / n
    b[:, -1] = np.poly(points)[::-1]
    to_out, to_kernel, to_tile = (np.kron(m, m).astype(np.float32) for m in (a, g, b))
    return to_out, to_kernel, to_tile
