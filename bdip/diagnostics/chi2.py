"""Does the chain fit the data as the noise says, and does it stay so? The χ² of its steps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCKS = 4  # of the kept steps: enough to see a trend, each long enough for a standard error
LEAST_LENGTH = 2  # steps of a block, for a variance
LINE = 2  # numbers fitted to a straight line
# The sum of autocorrelations is cut off at this many autocorrelation times (Sokal 1997).
WINDOW = 5

Values = NDArray[np.float64]


class Blocks(NamedTuple):
    """χ² over time: means of consecutive blocks of the kept steps, over all chains, and their errors.

    Both of shape (blocks,); see `chi2_blocks`.

    >>> import numpy as np
    >>> found = Blocks(means=np.array([1.06, 1.02]), errors=np.array([0.003, 0.004]))
    >>> round(found.fall, 3), round(found.fall_error, 3), round(found.error, 4)
    (0.04, 0.005, 0.0025)
    """

    means: Values
    errors: Values

    @property
    def error(self) -> float:
        """Standard error of the mean of all blocks."""
        return float(np.sqrt(np.sum(self.errors**2)) / len(self.errors))

    @property
    def fall(self) -> float:
        """Mean of the first block minus that of the last: above 0 where χ² falls."""
        return float(self.means[0] - self.means[-1])

    @property
    def fall_error(self) -> float:
        """Standard error of `fall`."""
        return float(np.hypot(self.errors[0], self.errors[-1]))


def chi2_drift(chi2: ArrayLike) -> tuple[float, float]:
    """Mean χ² in the first and in the second half of the kept steps (t,).

    Equal within noise for a stationary chain; a fall means that it still learns the noise.

    >>> chi2_drift([1.25, 1.25, 1.0, 1.0])
    (1.25, 1.0)
    """
    values = np.asarray(chi2, np.float64)
    half = len(values) // 2
    return float(values[:half].mean()), float(values[half:].mean())


def relative_chi2(chi2: ArrayLike, noise_std: ArrayLike | None) -> Values:
    """χ² (k, t) in units of one σ, the mean one of all steps, where each step has drawn its own.

    With a σ of its own each χ² is about 1, for σ goes with the residuals, and hides a drift. As it is
    where `noise_std` is None.

    >>> relative_chi2([[1.0, 1.0]], noise_std=[[1.0, 3.0]])  # their mean is 2
    array([[0.25, 2.25]])
    """
    values = np.asarray(chi2, np.float64)
    if noise_std is None:
        return values
    sigma = np.asarray(noise_std, np.float64)
    told = sigma[np.isfinite(sigma)]
    return values * (sigma / told.mean()) ** 2 if told.size else values


def chi2_blocks(chi2: ArrayLike, blocks: int = BLOCKS) -> Blocks:
    """χ² (k, t) of the kept steps of k chains in `blocks` equal blocks of time.

    The standard error of a block of n steps of each chain is √(γ₀ τ/(k n)); the variance γ₀ and the
    autocorrelation time τ are those of all kept steps about each chain's straight line, so that a drift does not
    hide itself. Steps that do not fill the blocks are left out at the start, and so is what only some
    chains reached (NaN). All NaN where a block would have fewer than 2 steps.

    >>> chi2_blocks([[1.25, 1.25, 1.0, 1.0, 1.0, 1.0, 0.75, 0.75]]).means
    array([1.25, 1.  , 1.  , 0.75])

    Reference: Sokal (1997) and Wolff (2004), by `autocorrelation_time`.
    """
    values = np.atleast_2d(np.asarray(chi2, np.float64))
    values = values[:, ~np.isnan(values).any(axis=0)]
    length = values.shape[1] // blocks
    if length < LEAST_LENGTH:
        nothing = np.full(blocks, np.nan)
        return Blocks(nothing, nothing)
    values = values[:, values.shape[1] - blocks * length :]
    gamma = _autocovariances(_without_line(values)).mean(axis=0)
    error = np.sqrt(gamma[0] * autocorrelation_time(gamma, LINE) / (len(values) * length))
    means = values.reshape(len(values), blocks, length).mean(axis=(0, 2))
    return Blocks(means, np.full(blocks, error))


def autocorrelation_time(gamma: Values, fitted: int = 1) -> float:
    """τ of the autocovariances γ_0 … γ_{n−1} of n steps about their own mean (`fitted` = 1) or line (2):

        τ = (1 + fitted · (2M + 1)/n) (1 + 2 Σ_{t ≤ M} γ_t/γ₀),    M the first lag of at least 5 times the sum

    (Sokal 1997, "Monte Carlo methods in statistical mechanics"). The factor makes up for what was fitted to
    the steps themselves: each smooth term takes (2M + 1)/n of the sum with it (Wolff 2004, Comput. Phys.
    Commun. 156, 143–153, for the mean). At least 1, so that no error comes
    out smaller than that of independent steps; and 1 for a constant.
    """
    if gamma[0] == 0:
        return 1.0
    lags, times = np.arange(len(gamma)), 2 * np.cumsum(gamma / gamma[0]) - 1
    enough = np.flatnonzero(lags >= WINDOW * times)
    window = enough[0] if len(enough) else len(gamma) - 1
    return max(1.0, float(times[window] * (1 + fitted * (2 * window + 1) / len(gamma))))


def _without_line(values: Values) -> Values:
    """Deviations of each row (k, t) from its own straight line in time, by least squares."""
    time = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    deviations = values - values.mean(axis=1, keepdims=True)
    return deviations - np.outer(deviations @ time / (time @ time), time)


def _autocovariances(deviations: Values) -> Values:
    """γ_t = (1/n) Σ_i d_i d_{i+t} along the last axis, of length n."""
    n = deviations.shape[-1]
    power = np.abs(np.fft.rfft(deviations, 2 * n)) ** 2
    return np.fft.irfft(power, 2 * n)[..., :n] / n
