"""R-hat, effective sample size and Monte Carlo error of many short series at once.

The formulas of Vehtari et al. (2021), Bayesian Analysis 16, 667–718 ("V" below), as ArviZ and Stan have
them. Values are (s, m, p): s halves of chains, p pixels side by side, and places for m draws, of which the first n hold
one. n is traced, so that one program serves for many numbers of draws.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int

Values = Float[Array, "s m p"]
Counts = Int[Array, "s m p"]
Pixels = Float[Array, " p"]
Count = Int[Array, ""]

TAIL = 0.05  # probability beyond each of the two tail quantiles (V, section 4)
BLOM = 3 / 8  # offset at which normal scores are about their expected values (Blom 1958)


class Series(NamedTuple):
    """Values, of which the first n of each series are there; the others are of no meaning."""

    values: Values
    n: Count

    @property
    def there(self) -> Bool[Array, "m 1"]:
        """Which of the places of a series hold a draw."""
        return (jnp.arange(self.values.shape[1]) < self.n)[:, None]

    @property
    def total(self) -> Count:
        """Draws of all series together."""
        return self.values.shape[0] * self.n

    def with_(self, values: Values) -> "Series":
        """Others in their places."""
        return Series(values, self.n)


@jax.jit
def described(draws: Float[Array, "k m p"], count: Count) -> list[Pixels]:
    """What `mixing.Mixing` holds, in its order, of the first `count` ≥ 4 of the draws of each of k chains."""
    draws = jnp.asarray(draws, jnp.float32)
    draws = draws - draws[:1, :1]  # an offset changes nothing here, and costs float32 its digits
    whole = Series(draws, count)
    series, middle = halves(whole)
    less, at_most = counts(series, series)
    bulk, folded = normal_scores(series, less, at_most), fold(series, less)
    tail = normal_scores(folded, *counts(folded, folded))
    less_of_all = less + counts(series, middle)[0]
    low, high = (below_quantile(series, less_of_all, q, whole.total) for q in (TAIL, 1 - TAIL))
    rhats = _side_by_side(rhat, series, bulk, tail)
    ess_bulk, ess_low, ess_high, ess_mean = _side_by_side(ess, bulk, low, high, series)
    std = jnp.std(draws, axis=(0, 1), ddof=1, where=whole.there)
    mcse = std / jnp.sqrt(ess_mean)
    return [*rhats, ess_bulk, jnp.minimum(ess_low, ess_high), ess_mean, mcse]


def _side_by_side(function: Callable[[Series], Pixels], *many: Series) -> list[Pixels]:
    """`function` of each, called once for all: half the program to compile."""
    values = jnp.concatenate([each.values for each in many], axis=2)
    return jnp.split(function(many[0].with_(values)), len(many))


def halves(draws: Series) -> tuple[Series, Series]:
    """First and second half of each chain, as chains; and the middle draw, if an odd number leaves one over."""
    places, half = draws.values.shape[1] // 2, draws.n // 2
    first = draws.values[:, :places]
    second = jax.lax.dynamic_slice_in_dim(draws.values, draws.n - half, places, axis=1)
    middle = jax.lax.dynamic_slice_in_dim(draws.values, half, 1, axis=1)
    return Series(jnp.concatenate([first, second]), half), Series(middle, draws.n % 2)


def counts(series: Series, others: Series) -> tuple[Counts, Counts]:
    """How many of a pixel's `others` are less than each of its values, and how many at most as large."""
    rows = jnp.where(others.there, others.values, jnp.inf).reshape(-1, others.values.shape[2])

    def add(found: tuple[Counts, Counts], row: Pixels) -> tuple[tuple[Counts, Counts], None]:
        less, at_most = found
        return (less + (row < series.values), at_most + (row <= series.values)), None

    zeros = jnp.zeros(series.values.shape, jnp.int32)
    found, _ = jax.lax.scan(add, (zeros, zeros), rows)
    return found


def normal_scores(series: Series, less: Counts, at_most: Counts) -> Series:
    """Normal scores Φ⁻¹((r − 3/8)/(S + 1/4)) of the ranks r among all S values of a pixel (V, 4).

    Equal values share the mean of their ranks, (less + at most + 1)/2.
    """
    ranks = (less + at_most + 1) / 2
    return series.with_(ndtri((ranks - BLOM) / (series.total - 2 * BLOM + 1)))


def fold(series: Series, less: Counts) -> Series:
    """Twice |x − median|; the median is the mean of the two middle values, for their number is even.

    Those two are equally far from it. Written as |(x − lower) + (x − upper)| they stay so when rounded.
    """
    half = series.total // 2

    def ordered(rank: Count) -> Pixels:  # the value with `rank` others before it, in order of size
        below = series.there & (less <= rank)
        return jnp.max(jnp.where(below, series.values, -jnp.inf), axis=(0, 1))

    values = series.values
    return series.with_(jnp.abs((values - ordered(half - 1)) + (values - ordered(half))))


def below_quantile(series: Series, less: Counts, probability: float, total: Count) -> Series:
    """1 where a value is at most the quantile of `probability` among `total` values, else 0 (V, 4).

    That quantile lies between the values that have ⌊h⌋ and ⌊h⌋ + 1 others below them, h =
    probability · (total − 1), and short of the second.
    """
    hundredths = round(100 * probability)  # whole numbers: a float32 would round h up to the next
    return series.with_((less <= hundredths * (total - 1) // 100).astype(jnp.float32))


def rhat(series: Series) -> Pixels:
    """R̂ = √(((n − 1)/n · W + B/n)/W): W variance within, B/n variance between series (V, 3.1)."""
    n = series.n
    means, deviations = _centred(series)
    within = jnp.mean(jnp.sum(deviations**2, axis=1), axis=0) / (n - 1)
    between = jnp.var(means, axis=0, ddof=1)
    value = jnp.sqrt((n - 1) / n + between / within)
    return jnp.where(_constant(series), jnp.nan, value)


def ess(series: Series) -> Pixels:
    """Effective number of draws, S/τ of S = s·n, with the autocorrelation time (V, 3.2)

        τ = −1 + 2 Σ_{j<J} P_j + max(0, ρ_2J),    P_j = ρ_2j + ρ_2j+1,    P_j ← min(P_j, P_j−1)

    where J is the first pair whose sum is not positive: Geyer's (1992) initial monotone sequence. ρ_t
    is 1 − (W − mean of γ_t)/V, W the variance within series, V = (n − 1)/n · W + B/n that of all, γ_t
    the autocovariances. τ is at least 1/log₁₀ S. Equal draws count in full.
    """
    n = series.n
    means, deviations = _centred(series)
    gamma = autocovariances(deviations, n)
    within = gamma[0] * n / (n - 1)
    total = gamma[0] + jnp.var(means, axis=0, ddof=1)
    rho = (1 - (within - gamma) / total).at[0].set(1.0)
    time = jnp.maximum(_autocorrelation_time(rho, n), 1 / jnp.log10(series.total))
    return jnp.where(_constant(series), series.total, series.total / time)


def autocovariances(deviations: Values, n: Count) -> Float[Array, "m p"]:
    """γ_t = (1/n) Σ_i d_i d_{i+t}, averaged over series, for t = 0 … m − 1; deviations that are not there are 0.

    By the Fourier transform of the series with as many zeros after it.
    """
    places = deviations.shape[1]
    length = 1 << (2 * places - 1).bit_length()
    spectrum = jnp.fft.rfft(jnp.moveaxis(deviations, 1, 2), length)  # (s, p, length/2 + 1)
    power = jnp.mean(spectrum.real**2 + spectrum.imag**2, axis=0)
    return jnp.fft.irfft(power, length)[:, :places].T / n


def _autocorrelation_time(rho: Float[Array, "m p"], n: Count) -> Pixels:
    """τ of the first n by Geyer's initial monotone sequence, as `ess` says."""
    places = max(1, (len(rho) - 1) // 2)
    pair = jnp.arange(places)[:, None]
    pairs = jnp.maximum(1, (n - 1) // 2)
    even = rho[: 2 * places : 2]
    sums = even + rho[1 : 2 * places : 2]
    positive = jax.lax.cummin((sums > 0).astype(jnp.int32)) > 0
    start = jnp.ones_like(positive[:1])
    reached = jnp.concatenate([start, positive[:-1]]) & (pair < pairs)  # up to and including J
    before = positive & (pair < pairs - 1)
    last = jnp.where(sums < 0, jnp.maximum(even, 0), even)
    whole = jnp.sum(jnp.where(before, jax.lax.cummin(sums), 0), axis=0)
    return -1 + 2 * whole + jnp.sum(jnp.where(reached & ~before, last, 0), axis=0)


def _centred(series: Series) -> tuple[Float[Array, "s p"], Values]:
    """Means of the series, and deviations from them: exactly zero where all draws are equal, or where there is none."""
    shifted = series.values - series.values[:, :1]
    shift = jnp.sum(shifted, axis=1, where=series.there) / series.n
    deviations = jnp.where(series.there, shifted - shift[:, None], 0)
    return series.values[:, 0] + shift, deviations


def _constant(series: Series) -> Array:
    same = series.values == series.values[:1, :1]
    return jnp.all(same, axis=(0, 1), where=series.there)
