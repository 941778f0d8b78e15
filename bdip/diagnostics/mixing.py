"""Have the chains mixed? R-hat, effective sample size and Monte Carlo error, pixel by pixel."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from bdip.cache import kept_programs
from bdip.diagnostics.series import described

LEAST_DRAWS = 4  # a chain: each of its halves then has a variance and a lag
# Worked on at a time (256 KiB). Ranks are counted by reading all of it once a draw: it must stay in
# the cache.
SLAB_VALUES = 2**16
LEAST_SLAB = 256  # pixels, to which smaller images are padded, so that they share a program

Map = NDArray[np.float32]


class Mixing(NamedTuple):
    """Maps (H, W[, C]) of how well the draws of each pixel mix (Vehtari et al. 2021).

    rhat_split: R̂ of the draws as they are, each chain cut into two halves. 1 is right.
    rhat_bulk: the same of the normal scores of the ranks: location, whatever the law's tails.
    rhat_tail: the same of the ranks of |x − median|: scale.
    ess_bulk: effective number of draws for the centre of the law (of the normal scores).
    ess_tail: the lesser of those for the 5 % and the 95 % quantile.
    ess_mean: that for the mean. Draws that alternate about it count more than independent ones.
    mcse: Monte Carlo standard error std/√ess_mean of the mean of the draws, in their unit.

    A pixel whose draws are all equal has R̂ NaN, for they cannot tell, as many effective draws as
    draws, and an error of 0. One whose halves are constant but differ has R̂ = ∞. This is also what ArviZ
    returns.

    >>> import numpy as np
    >>> draws = np.random.default_rng(0).normal(size=(2, 500, 4, 4))
    >>> sorted(mixing_maps(draws).numbers(std=np.ones((4, 4))))
    ['ess_median', 'mcse_ratio', 'rhat_95', 'rhat_median']
    """

    rhat_split: Map
    rhat_bulk: Map
    rhat_tail: Map
    ess_bulk: Map
    ess_tail: Map
    ess_mean: Map
    mcse: Map

    @property
    def rhat(self) -> Map:
        """The greater of rhat_bulk and rhat_tail, the R̂ recommended (Vehtari et al. 2021, section 4)."""
        return np.fmax(self.rhat_bulk, self.rhat_tail)

    def numbers(self, std: NDArray[np.floating]) -> dict[str, float]:
        """The maps in four numbers, beside a posterior standard deviation `std` of their shape.

        "rhat_median" and "rhat_95" (95th percentile) of `rhat`, "ess_median" of `ess_bulk`, and
        "mcse_ratio" √(mean mcse²/mean std²). Pixels that cannot tell (NaN) are left out; NaN if all.
        """
        error, spread = (
            float(np.nanmean(each**2, dtype=np.float64)) if np.isfinite(each).any() else np.nan
            for each in (self.mcse, std)
        )
        return {
            "rhat_median": _percentile(self.rhat, 50),
            "rhat_95": _percentile(self.rhat, 95),
            "ess_median": _percentile(self.ess_bulk, 50),
            "mcse_ratio": float(np.sqrt(error / spread)) if spread > 0 else np.nan,
        }


def mixing_numbers(draws: Float[Array, "k n *image"] | NDArray[np.floating]) -> dict[str, float]:
    """`Mixing.numbers` of draws (chains, draws, ...), beside their own standard deviation.

    >>> import numpy as np
    >>> stuck = np.stack([np.zeros((50, 3)), np.ones((50, 3))])  # two chains that never meet
    >>> mixing_numbers(stuck + np.random.default_rng(0).normal(0, 0.1, stuck.shape))["rhat_95"] > 1.1
    True
    """
    places = 1 << (draws.shape[1] - 1).bit_length()  # looks at a growing chain share their programs
    return _maps(draws, places).numbers(np.std(draws, axis=(0, 1), ddof=1))


def _percentile(values: Map, percent: float) -> float:
    """Of the values that are not NaN; one of them, for infinite ones cannot be interpolated."""
    told = values[~np.isnan(values)]
    return float(np.percentile(told, percent, method="higher")) if told.size else np.nan


def mixing_maps(draws: Float[Array, "k n *image"] | NDArray[np.floating]) -> Mixing:
    """Maps of R̂, effective sample size and Monte Carlo error of draws (chains, draws, H, W[, C]).

    The draws, on the host or on a device, are worked through in slabs of pixels: beyond them a few
    megabytes are needed. All maps are NaN where a chain has fewer than 4 draws. The time grows with
    the square of the draws of a pixel, for ranks are counted: XLA's sort is slower up to thousands.

    Example:
        >>> import numpy as np
        >>> found = mixing_maps(np.random.default_rng(0).normal(size=(2, 500, 4, 4)))
        >>> found.rhat.shape, bool((found.rhat < 1.02).all()), bool((found.ess_bulk > 500).all())
        ((4, 4), True, True)

    Reference:
        Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "Rank-normalization, folding, and
        localization: an improved R̂ for assessing convergence of MCMC", Bayesian Analysis 16, 667–718.
    """
    return _maps(draws, draws.shape[1])


def _maps(draws: Any, places: int) -> Mixing:
    """The same by a program that has places for so many draws of a chain, of which some may stay empty."""
    chains, count, *image = draws.shape
    pixels = int(np.prod(image))
    maps = np.full((len(Mixing._fields), pixels), np.nan, np.float32)
    if count >= LEAST_DRAWS and chains > 0:
        size = _slab_size(chains * places, pixels)
        with kept_programs():
            for place in range(0, pixels, size):
                start = max(0, min(place, pixels - size))  # the last overlaps the one before it
                found = np.stack(described(_slab(draws, places, start, size), count))
                maps[:, start : start + size] = found[:, :pixels]
    return Mixing(*(each.reshape(image) for each in maps))


def _slab_size(values: int, pixels: int) -> int:
    """Pixels worked on at a time, of so many values each: a power of two."""
    affordable = SLAB_VALUES // values
    return 1 << (max(LEAST_SLAB, min(affordable, pixels)) - 1).bit_length()


def _slab(draws: Any, places: int, start: int, size: int) -> Any:
    """Draws (k, places, size) of the pixels from `start` on; of fewer draws, or a smaller image, padded with zeros."""
    count, pixels = draws.shape[1], int(np.prod(draws.shape[2:]))
    if isinstance(draws, jax.Array) and pixels >= size and places == count:
        return _device_slab(draws, start, size)
    flat = np.asarray(draws).reshape(*draws.shape[:2], pixels)[..., start : start + size]
    return np.pad(flat, ((0, 0), (0, places - count), (0, size - flat.shape[2])))


@partial(jax.jit, static_argnames="size")
def _device_slab(draws: Float[Array, "k n *image"], start: int, size: int) -> Array:
    """The same on the device; `start` is traced, and the whole is never copied."""
    flat = draws.reshape(*draws.shape[:2], -1)
    return jax.lax.dynamic_slice_in_dim(flat, start, size, axis=2)
