"""Overlapping tiles of one shape that cover an image, and how what was found in them is blended.

Along each axis the tiles k have windows w_k ≥ 0 with Σ_k w_k = 1 at every pixel; a tile's window is the
product of its row's and its column's. Across an overlap of L pixels two windows are sin² and cos² of an
angle that runs from 0 to π/2, so that each vanishes at its own tile's edge, where a pixel has lost its
neighbours on one side. With the tiles' means m_k, standard deviations s_k and draws d_k,

    mean = Σ w_k m_k,   std² = Σ w_k s_k²,   draw = mean + Σ √w_k (d_k − m_k).                       (1)

Where the errors e_k = m_k − x of different tiles have the correlation ρ, the error of the blended mean
has variance Σ_jk w_j w_k ρ_jk s_j s_k. Chains of different tiles are independent, but their errors are not:
in the overlap both saw the *same* data, with the same noise. Only the chains' Monte Carlo error and what
each tile saw elsewhere differ. Were the errors independent, the variance would be Σ w_k² s_k², half of s² in
the middle of an overlap, and a seam in the map of uncertainty; with ρ = 1 it is (Σ w_k s_k)². Between the two,

    E(mean − x)² = Σ w_k s_k² − Σ w_k E(m_k − mean)²                                                 (2)

exactly, for tiles that are right about themselves (the ambiguity decomposition). The last term is what
the tiles disagree by; it is left out, so that (1) errs upward, by a little where the tiles agree. The draws have the variance
of (1), for they are blended with windows whose *squares* have the sum 1.

References: Krogh & Vedelsby (NeurIPS 1995), eq. 8, for (2); Heitz & Neyret (HPG 2018), section 3, for
blending that keeps the variance.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Place = tuple[slice, slice]  # rows and columns
Images = NDArray[np.float32]


class Answer(NamedTuple):
    """What was found in a tile or an image: mean and std ([C] H W [C]), draws (k, n, [C] H W [C])."""

    mean: Images
    std: Images
    draws: Images


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of as few tiles as cover `length` pixels, evenly spaced, `overlap` or more in common.

    >>> starts(768, 256, 32), starts(100, 256, 32)
    ([0, 171, 341, 512], [0])
    """
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(place) for place in np.linspace(0, length - tile, count)]


def windows(length: int, tile: int, overlap: int) -> Float[np.ndarray, "k tile"]:
    """The windows w_k along one axis, a row each tile; at every pixel they have the sum 1.

    >>> windows(6, 4, 2).round(3).tolist()
    [[1.0, 1.0, 0.854, 0.146], [0.146, 0.854, 1.0, 1.0]]
    """
    first, size = starts(length, tile, overlap), min(tile, length)
    found = np.ones((len(first), size))
    for number, (before, after) in enumerate(pairwise(first)):
        common = max(before + size - after, 0)
        rising = np.sin(np.pi / 2 * (np.arange(common) + 0.5) / max(common, 1)) ** 2
        found[number, size - common :] *= rising[::-1]
        found[number + 1, :common] *= rising
    total = np.zeros(length)
    for begin, row in zip(first, found, strict=True):
        total[begin : begin + size] += row
    # Where three tiles meet, along an axis that they fit badly, the ramps alone do not have the sum 1.
    return np.stack(
        [row / total[begin : begin + size] for begin, row in zip(first, found, strict=True)]
    )


@dataclass(frozen=True)
class Grid:
    """Tiles of `tile` × `tile` pixels, or as large as the image, over an image of `shape` (H, W)."""

    shape: tuple[int, int]
    tile: int
    overlap: int

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of every tile."""
        height, width = self.shape
        return min(self.tile, height), min(self.tile, width)

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles down and across."""
        rows, columns = (len(starts(length, self.tile, self.overlap)) for length in self.shape)
        return rows, columns

    def places(self) -> list[Place]:
        """Where each tile lies, row by row."""
        down, across = (starts(length, self.tile, self.overlap) for length in self.shape)
        height, width = self.tile_shape
        return [
            (slice(row, row + height), slice(column, column + width))
            for row in down
            for column in across
        ]

    def windows(self) -> list[Float[np.ndarray, "h w"]]:
        """The window of each tile, row by row."""
        down, across = (windows(length, self.tile, self.overlap) for length in self.shape)
        return [np.outer(row, column) for row in down for column in across]


class Axes(NamedTuple):
    """Where rows and columns are in arrays ([C] H W [C]) of this channel axis, and any axes before."""

    channel_axis: int | None

    def cut(self, place: Place) -> tuple[Any, ...]:
        """The index of a place, counted from the last axis."""
        index: list[Any] = list(place)
        if self.channel_axis is not None:
            index.insert(self.channel_axis % 3, slice(None))
        return (..., *index)

    def wide(self, window: NDArray[Any]) -> NDArray[Any]:
        """A window (h, w) with an axis of length 1 for the channels."""
        return window if self.channel_axis is None else np.expand_dims(window, self.channel_axis)


@dataclass
class Blend:
    """Tiles' answers added one after another by equation (1), on the host; NaN where none was added."""

    shape: tuple[int, ...]  # of the image, in its own axes
    axes: Axes
    mean: NDArray[np.float64] = field(init=False)
    variance: NDArray[np.float64] = field(init=False)
    around: Images | None = field(init=False, default=None)  # Σ √w_k (d_k − m_k)
    covered: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.variance, self.covered = (np.zeros(self.shape) for _ in range(3))

    def add(self, place: Place, window: NDArray[np.float64], tile: Answer) -> None:
        """Add a tile's answer; with fewer draws than those before it, as few are kept of all."""
        where, weight = self.axes.cut(place), self.axes.wide(window)
        self.covered[where] += weight
        self.mean[where] += weight * tile.mean
        self.variance[where] += weight * tile.std.astype(np.float64) ** 2
        count = tile.draws.shape[1]
        if self.around is None:
            self.around = np.zeros((*tile.draws.shape[:2], *self.shape), np.float32)
        elif count < self.around.shape[1]:
            self.around = thinned(self.around, count)
        kept = thinned(tile.draws, self.around.shape[1])
        self.around[where] += (np.sqrt(weight) * (kept - tile.mean)).astype(np.float32)

    def answer(self) -> Answer:
        """The blend of all that was added; to be asked once, for the draws are finished in place."""
        share = np.where(self.covered > 0, self.covered, np.nan)
        mean = (self.mean / share).astype(np.float32)
        std = np.sqrt(self.variance / share).astype(np.float32)
        if self.around is None:
            return Answer(mean, std, np.zeros((1, 0, *self.shape), np.float32))
        self.around /= np.sqrt(share).astype(np.float32)
        self.around += mean
        return Answer(mean, std, self.around)


def thinned(draws: NDArray[Any], count: int) -> NDArray[Any]:
    """So many draws (k, n, ...) of those there are, evenly spaced, the last among them.

    >>> thinned(np.arange(7)[None], 3)
    array([[1, 4, 6]])
    """
    there = draws.shape[1]
    if count >= there:
        return draws
    chosen = np.linspace(0, there, count + 1)[1:].round().astype(int) - 1
    return draws[:, chosen]
