"""Samples in the Fourier plane: the forward model of magnetic resonance imaging."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from bdip.operators.base import Operator, Shape
from bdip.trees import frozen_pytree

CENTRE_SHARE = 0.08  # of the lines, next to zero frequency, that Cartesian schemes measure in full


@frozen_pytree()
class Fourier(Operator):
    """The orthonormal Fourier transform of a real image, zero frequency in the middle; with coils, one for each.

        data_k = F(s_k · image),   F = fftshift ∘ fft2(norm="ortho") ∘ ifftshift

    Data (H, W, 2K) have the K real parts, and behind them the K imaginary ones. `bdip.sample` takes complex
    data (H, W), or (H, W, K) with channel_axis=-1, as they are, and σ is then that of the real and of the imaginary part
    each. **Which frequencies were measured is said by its mask**, such as `cartesian_lines` or
    `radial_lines` make: `bdip.sample(data, lines, operator=bdip.Fourier(), data_range=(0, 1))`.

    Arguments:
        sensitivities: s (H, W, K), complex, of K coils; by default one coil that sees all alike.

    Example:
        >>> import jax.numpy as jnp, bdip
        >>> bdip.Fourier()(jnp.ones((4, 4, 1)))[2, 2]  # all of it at zero frequency: √(4 · 4)
        Array([4., 0.], dtype=float32)
    """

    sensitivities: Complex[Array, "H W K"] | None = None

    @property
    def complex_data(self) -> bool:
        return True

    def __call__(self, image: Float[Array, "H W 1"]) -> Float[Array, "H W 2*K"]:
        seen = image if self.sensitivities is None else self.sensitivities * image
        grid = (0, 1)
        found = jnp.fft.fft2(jnp.fft.ifftshift(seen, grid), axes=grid, norm="ortho")
        found = jnp.fft.fftshift(found, grid)
        return jnp.concatenate([found.real, found.imag], axis=-1)

    def image_shape(self, data_shape: Shape) -> Shape:
        coils = 1 if self.sensitivities is None else np.shape(self.sensitivities)[-1]
        if len(data_shape) != 3 or data_shape[-1] != 2 * coils:
            raise ValueError(
                f"the data have shape {data_shape}: expected real and imaginary parts of {coils} "
                f"coil{'s' * (coils > 1)}, (H, W, {2 * coils}), or a complex array."
            )
        return (*data_shape[:-1], 1)


def cartesian_lines(
    shape: tuple[int, int], share: float = 0.25, seed: int = 0
) -> Bool[np.ndarray, "H W"]:
    """Which frequencies are measured by a random `share` of the columns; those in the middle always are.

    Raises ValueError where the share is not above 0, or above 1.

    >>> lines = cartesian_lines((64, 64), share=0.25)
    >>> lines.shape, float(lines.mean())
    ((64, 64), 0.25)
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share!r}: expected a number above 0, and at most 1.")
    width = shape[1]
    count = max(1, round(share * width))
    order = np.random.default_rng(seed).permutation(width)
    middle = abs(np.arange(width) - width // 2) <= CENTRE_SHARE * width / 2
    chosen = order[np.argsort(~middle[order], kind="stable")][:count]
    measured = np.zeros(shape, bool)
    measured[:, chosen] = True
    return measured


def radial_lines(shape: tuple[int, int], count: int) -> Bool[np.ndarray, "H W"]:
    """Which frequencies are next to one of `count` lines through zero, at equal angles from the first axis on.

    Raises ValueError for no line.

    >>> radial_lines((5, 5), 2).astype(int)
    array([[0, 0, 1, 0, 0],
           [0, 0, 1, 0, 0],
           [1, 1, 1, 1, 1],
           [0, 0, 1, 0, 0],
           [0, 0, 1, 0, 0]])
    """
    if count < 1:
        raise ValueError(f"count is {count!r}: expected at least 1 line.")
    measured = np.zeros(shape, bool)
    radius = np.linspace(-1, 1, 4 * max(shape) + 1) * max(shape)  # four points a pixel
    for angle in np.pi * np.arange(count) / count:
        rows = np.rint(shape[0] // 2 + radius * np.cos(angle)).astype(int)
        columns = np.rint(shape[1] // 2 + radius * np.sin(angle)).astype(int)
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        measured[rows[inside], columns[inside]] = True
    return measured
