"""Padding and cutting into patches by index, and the adjoint: each one fused loop on any device.

Slices, concatenations and XLA's own adjoints of them compile and run several times more slowly on a
CPU. Positions on a line of pixels are static numpy arrays, save for rows in a loop; NOTHING stands for a zero.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

NOTHING = -1
Positions = Int[np.ndarray, "..."]


def line(size: int, margin: int, padding: str) -> Int[np.ndarray, " padded"]:
    """What pixel stands at each of the positions −margin … size + margin − 1."""
    position = np.arange(-margin, size + margin)
    if padding == "reflect":
        return size - 1 - abs(size - 1 - abs(position))
    return np.where((position >= 0) & (position < size), position, NOTHING)


def windows(line: Positions, count: int, size: int, stride: int) -> Int[np.ndarray, "size count"]:
    """The pixels at line[count stride + size], for each window and each place in it."""
    position = np.arange(size)[:, None] + stride * np.arange(count)
    return np.where(position < len(line), line[position.clip(None, len(line) - 1)], NOTHING)


def gather(
    image: Float[Array, "H W C"], rows: Positions | Int[Array, "..."], columns: Positions
) -> Float[Array, "... C"]:
    """image[rows, columns], with zeros where either is NOTHING; rows and columns broadcast."""
    found = image.at[rows.clip(0), columns.clip(0)].get(mode="promise_in_bounds")
    if isinstance(rows, jax.Array) or min(rows.min(), columns.min()) == NOTHING:
        found = jnp.where(((rows > NOTHING) & (columns > NOTHING))[..., None], found, 0)
    return found


def gather_apart(
    image: Float[Array, "H W C"], rows: Positions | Int[Array, "..."], columns: Positions
) -> Float[Array, "... C"]:
    """The same, kept apart from the reshaping after it, which XLA would otherwise merge with it into a loop that
    goes element by element, two to four times as slow: it does not see through a conditional.
    """

    def found(image: Array) -> Array:
        return gather(image, rows, columns)

    def broken(image: Array) -> Array:
        return jnp.full_like(jax.eval_shape(found, image), jnp.nan)

    anchor = image[0, 0, 0]
    return jax.lax.cond(anchor == anchor, found, broken, image)  # false for NaN alone


def scatter(
    patches: Float[Array, "u v y x C"],
    rows: Int[np.ndarray, "u y"],
    columns: Int[np.ndarray, "v x"],
    shape: tuple[int, ...],
) -> Float[Array, "H W C"]:
    """The adjoint of gather(image, rows[:, None, :, None], columns[None, :, None, :]).

    Each pixel gathers the places it went to, which are few, and adds them up.
    """
    u, v, y, x, channels = patches.shape
    flat = patches.transpose(0, 2, 1, 3, 4).reshape(u * y, v * x, channels)
    images = [
        gather(flat, row[:, None], column)
        for row in places(rows, shape[0])
        for column in places(columns, shape[1])
    ]
    return sum(images[1:], start=images[0])


def places(positions: Positions, size: int) -> Int[np.ndarray, "repetition size"]:
    """Where in the flattened positions each pixel occurs: one row for each repetition."""
    flat = positions.ravel()
    order = np.argsort(flat, kind="stable")[np.count_nonzero(flat == NOTHING) :]
    pixels = flat[order]
    repetition = np.arange(len(pixels)) - np.searchsorted(pixels, pixels)
    places = np.full((repetition.max() + 1, size), NOTHING)
    places[repetition, pixels] = order
    return places
