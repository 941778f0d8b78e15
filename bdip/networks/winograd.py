"""Winograd's minimal convolution F(4×4, 3×3): four output pixels a side from 36 products instead of 144.

A tile of 6 × 6 pixels and the kernel are transformed, multiplied (a matrix product over channels for
each of 36 frequencies) and transformed back:

    out = Aᵀ [(G kernel Gᵀ) ⊙ (Bᵀ tile B)] A

The transforms of both axes are one product with a Kronecker matrix, so that there is next to nothing
for XLA to compile; the gradients are the transposed products in reverse order. An image is worked
through in strips of whole rows of tiles, one after another, since the transformed tiles are more than
twice its size: a strip's stay in the cache.

Reference: Lavin & Gray (2016), "Fast algorithms for convolutional neural networks", equation 8.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bdip.networks.gathering import Positions, gather_apart, line, scatter, windows

Rows: TypeAlias = Int[Array, "u y"]  # the pixels' rows at each of u places of y tiles

OUT, TAPS = 4, 3
TILE = OUT + TAPS - 1
MARGIN = TAPS // 2
# Where the polynomials are evaluated, besides infinity. These points lose three times less to rounding
# than the usual 0, ±1, ±2: the error is about twice that of the direct sum.
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
STRIP_BYTES = 2**21  # of transformed tiles: of the order of a core's second-level cache, measured


def forward(
    image: Float[Array, "H W C"], kernel: Float[Array, "3 3 C D"], padding: str
) -> Float[Array, "H W D"]:
    """The convolution with stride 1."""
    height, width = image.shape[:2]
    to_out, to_kernel, _ = _matrices()
    spectrum = _left(to_kernel, kernel.reshape(TAPS**2, *kernel.shape[2:]))
    strips, columns = _strips(image, kernel), _windows(width, padding)

    def strip(rows: Int[Array, "6 y"]) -> Float[Array, "4y W D"]:
        products = _spread(image, rows, columns) @ spectrum
        y, x = rows.shape[1], columns.shape[1]
        tiles = _left(to_out.T, products).reshape(OUT, OUT, y, x, -1)
        return tiles.transpose(2, 0, 3, 1, 4).reshape(OUT * y, OUT * x, -1)[:, :width]

    rows = _cut(_windows(height, padding, strips.rows), strips)
    out = strip(rows[0]) if strips.number == 1 else jax.lax.map(strip, rows)
    return out.reshape(-1, *out.shape[-2:])[:height]


def backward(
    image: Float[Array, "H W C"],
    kernel: Float[Array, "3 3 C D"],
    cotangent: Float[Array, "H W D"],
    padding: str,
) -> tuple[Float[Array, "H W C"], Float[Array, "3 3 C D"]]:
    """The gradients by the image and by the kernel."""
    height, width, channels = image.shape
    to_out, to_kernel, to_tile = _matrices()
    spectrum = _left(to_kernel, kernel.reshape(TAPS**2, *kernel.shape[2:])).swapaxes(1, 2)
    strips, columns = _strips(image, kernel), _windows(width, padding)
    columns_out = windows(np.arange(width), columns.shape[1], OUT, OUT)
    within = windows(np.arange(strips.tall), strips.each, TILE, OUT)

    def strip(rows: Rows, rows_out: Rows) -> tuple[Array, Array]:
        """The gradients by the strip's rows of the padded image, and by the kernel's spectrum."""
        tiles = gather_apart(cotangent, rows_out[:, None, :, None], columns_out[:, None, :])
        products = _left(to_out, tiles.reshape(OUT**2, -1, cotangent.shape[-1]))  # (36, tiles, D)
        patches = _left(to_tile, products @ spectrum)
        patches = patches.reshape(TILE, TILE, -1, columns.shape[1], channels)
        image_gradient = scatter(patches, within, columns, (strips.tall, width))
        return image_gradient, _spread(image, rows, columns).swapaxes(1, 2) @ products

    rows = _cut(_windows(height, padding, strips.rows), strips)
    rows_out = _cut(windows(np.arange(height), strips.rows, OUT, OUT), strips)
    padded, kernel_spectrum = _total(strip, rows, rows_out, strips)
    kernel_gradient = _left(to_kernel.T, kernel_spectrum).reshape(kernel.shape)
    return _folded(padded, height, padding), kernel_gradient


class Strips(NamedTuple):
    """How many, and how many rows of tiles in each."""

    number: int
    each: int

    @property
    def rows(self) -> int:
        """Rows of tiles in all, some of the last strip's perhaps beyond the image."""
        return self.number * self.each

    @property
    def tall(self) -> int:
        """Rows of pixels that a strip's tiles reach over: two more than they put out."""
        return self.each * OUT + 2 * MARGIN


def _strips(image: Array, kernel: Array) -> Strips:
    rows, columns = (_tiles(n) for n in image.shape[:2])
    row_bytes = 4 * TILE**2 * columns * max(kernel.shape[2:])
    number = max(1, min(rows, round(rows * row_bytes / STRIP_BYTES)))
    each = -(-rows // number)
    return Strips(-(-rows // each), each)


def _cut(positions: Int[np.ndarray, "u rows"], strips: Strips) -> Int[np.ndarray, "number u each"]:
    return positions.reshape(-1, strips.number, strips.each).swapaxes(0, 1)


def _total(
    strip: Callable[[Rows, Rows], tuple[Array, Array]],
    rows: Positions,
    rows_out: Positions,
    strips: Strips,
) -> tuple[Float[Array, "padded W C"], Float[Array, "36 C D"]]:
    """The sums over the strips of what each adds to its rows of the padded image, and to the spectrum."""
    if strips.number == 1:
        return strip(rows[0], rows_out[0])

    def add(total: tuple[Array, Array, Array], rows: Any) -> tuple[Any, None]:
        image, spectrum, top = total
        here, share = strip(*rows)
        here = here + jax.lax.dynamic_slice_in_dim(image, top, strips.tall)
        image = jax.lax.dynamic_update_slice_in_dim(image, here, top, 0)
        return (image, spectrum + share, top + strips.each * OUT), None

    of_strip, of_spectrum = jax.eval_shape(strip, rows[0], rows_out[0])
    image = jnp.zeros((strips.rows * OUT + 2 * MARGIN, *of_strip.shape[1:]))
    start = image, jnp.zeros_like(of_spectrum), jnp.int32(0)
    (image, spectrum, _), _ = jax.lax.scan(add, start, (rows, rows_out))
    return image, spectrum


def _folded(padded: Float[Array, "padded W C"], height: int, padding: str) -> Float[Array, "H W C"]:
    """The rows of the image, each with those of the margin that mirror it added."""
    inner = padded[MARGIN : MARGIN + height]
    if padding == "zero":
        return inner
    row = np.arange(height)[:, None, None]
    above = jnp.where(row == 1, padded[0], 0)
    below = jnp.where(row == height - 2, padded[height + MARGIN], 0)
    return inner + above + below


def _spread(image: Array, rows: Rows, columns: Positions) -> Array:
    """The transformed tiles, (36, tiles, C)."""
    tiles = gather_apart(image, rows[:, None, :, None], columns[:, None, :])
    return _left(_matrices()[2].T, tiles.reshape(TILE**2, -1, image.shape[-1]))


def _left(matrix: np.ndarray, stack: Array) -> Array:
    """The matrix times the first axis."""
    return (jnp.asarray(matrix) @ stack.reshape(len(stack), -1)).reshape(-1, *stack.shape[1:])


def _tiles(size: int) -> int:
    return -(-size // OUT)


def _windows(size: int, padding: str, count: int | None = None) -> Int[np.ndarray, "6 count"]:
    """The pixels under each tile along a line."""
    return windows(line(size, MARGIN, padding), count or _tiles(size), TILE, OUT)


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
