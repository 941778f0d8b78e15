"""R-hat, effective sample size and Monte Carlo error of many short series at once.

The formulas of Vehtari et al. (2021), Bayesian Analysis 16, 667–718 ("V" below), as ArviZ and Stan have
them. Series are (s, n, p): s halves of chains, n draws each, p pixels side by side.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Int

Series = Float[Array, "s n p"]
Counts = Int[Array, "s n p"]
Pixels = Float[Array, " p"]

TAIL = 0.05  # probability beyond each of the two tail quantiles (V, section 4)
BLOM = 3 / 8  # offset at which normal scores are about their expected values (Blom 1958)


@jax.jit
def described(draws: Float[Array, "k n p"]) -> list[Pixels]:
    """What `mixing.Mixing` holds, in its order, of n ≥ 4 draws of each of k chains."""
    draws = jnp.asarray(draws, jnp.float32)
    draws = draws - draws[:1, :1]  # an offset changes nothing here, and costs float32 its digits
    series, middle = halves(draws)
    less, at_most = counts(series, series)
    bulk, folded = normal_scores(less, at_most), fold(series, less)
    tail = normal_scores(*counts(folded, folded))
    less_of_all, total = less + counts(series, middle)[0], draws.shape[0] * draws.shape[1]
    low, high = (below_quantile(less_of_all, q, total) for q in (TAIL, 1 - TAIL))
    rhats = _side_by_side(rhat, series, bulk, tail)
    ess_bulk, ess_low, ess_high, ess_mean = _side_by_side(ess, bulk, low, high, series)
    mcse = jnp.std(draws, axis=(0, 1), ddof=1) / jnp.sqrt(ess_mean)
    return [*rhats, ess_bulk, jnp.minimum(ess_low, ess_high), ess_mean, mcse]


def _side_by_side(function: Callable[[Series], Pixels], *many: Series) -> list[Pixels]:
    """`function` of each, called once for all: half the program to compile."""
    return jnp.split(function(jnp.concatenate(many, axis=2)), len(many))


def halves(draws: Float[Array, "k n p"]) -> tuple[Series, Float[Array, "k m p"]]:
    """First and second half of each chain, as chains; and the middle draw that an odd n leaves over."""
    half = draws.shape[1] // 2
    first, second = draws[:, :half], draws[:, -half:]
    return jnp.concatenate([first, second]), draws[:, half : draws.shape[1] - half]


def counts(series: Series, others: Series) -> tuple[Counts, Counts]:
    """How many of a pixel's `others` are less than each of its values, and how many at most as large."""
    rows = others.reshape(-1, others.shape[2])

    def add(found: tuple[Counts, Counts], row: Pixels) -> tuple[tuple[Counts, Counts], None]:
        less, at_most = found
        return (less + (row < series), at_most + (row <= series)), None

    zeros = jnp.zeros(series.shape, jnp.int32)
    found, _ = jax.lax.scan(add, (zeros, zeros), rows)
    return found


def normal_scores(less: Counts, at_most: Counts) -> Series:
    """Normal scores Φ⁻¹((r − 3/8)/(S + 1/4)) of the ranks r among all S values of a pixel (V, 4).

    Equal values share the mean of their ranks, (less + at most + 1)/2.
    """
    total = less.shape[0] * less.shape[1]
    ranks = (less + at_most + 1) / 2
    return ndtri((ranks - BLOM) / (total - 2 * BLOM + 1))


def fold(series: Series, less: Counts) -> Series:
    """Twice |x − median|; the median is the mean of the two middle values, for their number is even.

    Those two are equally far from it. Written as |(x − lower) + (x − upper)| they stay so when rounded.
    """
    half = less.shape[0] * less.shape[1] // 2

    def ordered(rank: int) -> Pixels:  # the value with `rank` others before it, in order of size
        return jnp.max(jnp.where(less <= rank, series, -jnp.inf), axis=(0, 1))

    return jnp.abs((series - ordered(half - 1)) + (series - ordered(half)))


def below_quantile(less: Counts, probability: float, total: int) -> Series:
    """1 where a value is at most the quantile of `probability` among `total` values, else 0 (V, 4).

    That quantile lies between the values that have ⌊h⌋ and ⌊h⌋ + 1 others below them, h =
    probability · (total − 1), and short of the second.
    """
    return (less <= int(probability * (total - 1))).astype(jnp.float32)


def rhat(series: Series) -> Pixels:
    """R̂ = √(((n − 1)/n · W + B/n)/W): W variance within, B/n variance between series (V, 3.1)."""
    n = series.shape[1]
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
    s, n, _ = series.shape
    means, deviations = _centred(series)
    gamma = autocovariances(deviations)
    within = gamma[0] * n / (n - 1)
    total = gamma[0] + jnp.var(means, axis=0, ddof=1)
    rho = (1 - (within - gamma) / total).at[0].set(1.0)
    time = jnp.maximum(_autocorrelation_time(rho), 1 / jnp.log10(s * n))
    return jnp.where(_constant(series), s * n, s * n / time)


def autocovariances(deviations: Series) -> Float[Array, "n p"]:
    """γ_t = (1/n) Σ_i d_i d_{i+t}, averaged over series, for t = 0 … n − 1.

    By the Fourier transform of the series with as many zeros after it.
    """
    n = deviations.shape[1]
    length = 1 << (2 * n - 1).bit_length()
    spectrum = jnp.fft.rfft(jnp.moveaxis(deviations, 1, 2), length)  # (s, p, length/2 + 1)
    power = jnp.mean(spectrum.real**2 + spectrum.imag**2, axis=0)
    return jnp.fft.irfft(power, length)[:, :n].T / n


def _autocorrelation_time(rho: Float[Array, "n p"]) -> Pixels:
    """τ by Geyer's initial monotone sequence, as `ess` says."""
    pairs = max(1, (len(rho) - 1) // 2)
    even = rho[: 2 * pairs : 2]
    sums = even + rho[1 : 2 * pairs : 2]
    positive = jax.lax.cummin((sums > 0).astype(jnp.int32))[:-1] > 0
    start, end = jnp.ones_like(sums[:1], bool), jnp.zeros_like(sums[:1], bool)
    reached = jnp.concatenate([start, positive])  # the pairs up to and including J
    before = jnp.concatenate([positive, end])  # those before J
    last = jnp.where(sums < 0, jnp.maximum(even, 0), even)
    whole = jnp.sum(jnp.where(before, jax.lax.cummin(sums), 0), axis=0)
    return -1 + 2 * whole + jnp.sum(jnp.where(reached & ~before, last, 0), axis=0)


def _centred(series: Series) -> tuple[Float[Array, "s p"], Series]:
    """Means of the series, and deviations from them: exactly zero where all draws are equal."""
    shifted = series - series[:, :1]
    shift = jnp.mean(shifted, axis=1)
    return series[:, 0] + shift, shifted - shift[:, None]


def _constant(series: Series) -> Array:
    return jnp.all(series == series[:1, :1], axis=(0, 1))
