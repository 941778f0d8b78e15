"""What a JPEG file holds of an image: cosine coefficients, in steps of their quantisation."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray

from bdip.likelihood import Rounding
from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree

SIDE = 8  # pixels of a block
# Y, Cb and Cr of R, G and B (ITU-T T.871, section 7), the latter two without the 128 that files add.
COLOURS = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
ROUNDED = 1 / 12  # the variance of what rounding takes away, in steps², where it is uniform
# How often pixels, too, are rounded to whole grey levels: by who writes the file, and by who decodes it.
PIXELS_ROUNDED = 2


@frozen_pytree("shape", "subsampling", "turn")
class JPEG(Operator):
    """The coefficients that JPEG rounds to whole numbers: of blocks of 8 × 8 pixels of Y, Cb and Cr,

        data[b, k] = (D block_b Dᵀ)_k / q_k,    D the orthonormal cosine transform (DCT-II),

    of an image in grey levels, 0 to 255. Data (n, 64) are the blocks of Y row by row, behind them those of Cb and
    of Cr, and in each the frequencies row by row. Cb and Cr are means over `subsampling` pixels; beyond the image's
    last row and column stand their copies, as libjpeg has it. `bdip.load_jpeg` makes data and operator of a file:

        data, operator = bdip.load_jpeg("photo.jpg")
        posterior = bdip.sample(data, operator=operator, data_range=(0, 255))

    Arguments:
        tables: q (C, 8, 8), the steps of Y, Cb and Cr; (1, 8, 8) of a grey picture.
        shape: (H, W) of the image.
        subsampling: how many pixels, down and across, share one Cb and one Cr.
        turn: how the file's rows and columns become the image's, which is upright: whether they are exchanged, and
            which axes run backwards then.

    Raises ValueError where the tables have another shape, or the subsampling is not of whole numbers.

    Example:
        >>> import jax.numpy as jnp, numpy as np, bdip
        >>> grey = bdip.JPEG(np.full((1, 8, 8), 16.0), (8, 8))
        >>> jnp.rint(grey(jnp.full((8, 8, 1), 100.0)))[0, :3, 0] + 0.0  # 8 · 100/16, and nothing that varies
        Array([50.,  0.,  0.], dtype=float32)

    References: ITU-T T.81 (1992); Wallace, Commun. ACM 34 (1991) 30.
    """

    tables: ArrayLike
    shape: tuple[int, int]
    subsampling: tuple[int, int] = (1, 1)
    turn: tuple[bool, tuple[int, ...]] = (False, ())

    def __post_init__(self) -> None:
        found = np.shape(self.tables)
        if found not in ((1, SIDE, SIDE), (3, SIDE, SIDE)):
            raise ValueError(
                f"tables have shape {found}: expected (3, 8, 8), or (1, 8, 8) of grey."
            )
        if not all(isinstance(n, int) and n >= 1 for n in self.subsampling):
            raise ValueError(
                f"subsampling is {self.subsampling}: expected whole numbers, for example (2, 2)."
            )

    @property
    def noise(self) -> Rounding:
        """The law of the data (n, 64): rounding to whole steps, and before it that of pixels, with τ = √(1/6)/q."""
        steps = np.asarray(self._steps, np.float64)
        return Rounding(1.0, self._of_blocks(np.sqrt(ROUNDED * PIXELS_ROUNDED) / steps))

    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "n frequencies 1"]:
        exchanged, backwards = self.turn
        stored = jnp.flip(jnp.asarray(image), backwards)
        stored = stored.swapaxes(0, 1) if exchanged else stored
        beyond = [
            (0, -n % (SIDE * k)) for n, k in zip(stored.shape, self.subsampling, strict=False)
        ]
        padded = jnp.pad(stored, [*beyond, (0, 0)], mode="edge")
        if image.shape[-1] == 1:
            return self.coefficients([padded[..., 0]])
        mixing = jnp.asarray(COLOURS.T, image.dtype)
        light, *colours = jnp.moveaxis(jnp.matmul(padded, mixing, precision="highest"), -1, 0)
        (height, width), (down, across) = light.shape, self.subsampling
        boxes = (height // down, down, width // across, across)
        return self.coefficients([light, *(c.reshape(boxes).mean(axis=(1, 3)) for c in colours)])

    def coefficients(self, planes: Sequence[ArrayLike]) -> Float[Array, "n frequencies 1"]:
        """The data of planes Y, Cb and Cr as a file has them, each at least as large as its blocks."""
        found = []
        for plane, steps, (rows, columns) in zip(planes, self._steps, self._blocks, strict=True):
            pixels = jnp.asarray(plane)[: SIDE * rows, : SIDE * columns]
            blocks = pixels.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
            basis = jnp.asarray(_cosines(), pixels.dtype)
            mixed = jnp.matmul(blocks.reshape(-1, SIDE**2), basis.T, precision="highest")
            found.append(mixed / steps)
        return jnp.concatenate(found)[..., None]

    def image_shape(self, data_shape: Shape) -> Shape:
        expected = (sum(rows * columns for rows, columns in self._blocks), SIDE**2, 1)
        if tuple(data_shape) != expected:
            raise ValueError(
                f"an image of {self.shape} has coefficients {expected[:-1]}, but the data are {tuple(data_shape[:-1])}."
            )
        return (*self.shape, len(self._blocks))

    @property
    def _steps(self) -> Float[Array, "C frequencies"]:
        return jnp.asarray(self.tables, jnp.float32).reshape(-1, SIDE**2)

    def _of_blocks(self, planes: NDArray[np.float64]) -> Float[np.ndarray, "n frequencies"]:
        """What each plane (C, 64) has, for each of its blocks."""
        counts = [rows * columns for rows, columns in self._blocks]
        return np.repeat(planes, counts, axis=0).astype(np.float32)

    @property
    def _blocks(self) -> list[tuple[int, int]]:
        """How many there are, down and across, of each plane."""
        stored = self.shape[::-1] if self.turn[0] else self.shape
        fewer = [-(-n // k) for n, k in zip(stored, self.subsampling, strict=True)]
        return [
            (-(-rows // SIDE), -(-columns // SIDE))
            for rows, columns in (stored, fewer, fewer)[: np.shape(self.tables)[0]]
        ]


def _cosines() -> NDArray[np.float64]:
    """The transform of a block row by row: D ⊗ D, with D_kn = c_k cos(π k (2n + 1)/16), c_0 = √⅛ and else ½."""
    number = np.arange(SIDE)
    waves = np.cos(np.pi * np.outer(number, 2 * number + 1) / (2 * SIDE)) / 2
    waves[0] = SIDE**-0.5
    return np.asarray(np.kron(waves, waves), np.float64)
