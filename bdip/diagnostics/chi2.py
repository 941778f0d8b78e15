"""Does the chain fit the data as the noise says, and does it stay so? The χ² of its steps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCKS = 4  # of the kept steps: enough to see a trend, each long enough for a standard error
LEAST_LENGTH = 2  # steps of a block, for a variance
# The sum of autocorrelations is cut off at this many autocorrelation times (Sokal 1997, eq. 3.19).
WINDOW = 5

Values = NDArray[np.float64]


class Blocks(NamedTuple):
    """χ² over time: means of consecutive blocks of the kept steps, over all chains, and their errors."""

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
    """
    values = np.asarray(chi2, np.float64)
    half = len(values) // 2
    return float(values[:half].mean()), float(values[half:].mean())


def chi2_blocks(chi2: ArrayLike, blocks: int = BLOCKS) -> Blocks:
    """χ² (k, t) of the kept steps of k chains in `blocks` equal blocks of time.

    The standard error of a block of n steps of each chain is √(γ₀ τ/(k n)); the variance γ₀ about a
    chain's mean in a block and the autocorrelation time τ are averaged over chains and blocks. Steps
    that do not fill the blocks are left out at the start, and so is what only some chains reached
    (NaN). All NaN where a block would have fewer than 2 steps.
    """
    values = np.atleast_2d(np.asarray(chi2, np.float64))
    values = values[:, ~np.isnan(values).any(axis=0)]
    length = values.shape[1] // blocks
    if length < LEAST_LENGTH:
        nothing = np.full(blocks, np.nan)
        return Blocks(nothing, nothing)
    pieces = values[:, values.shape[1] - blocks * length :].reshape(len(values), blocks, length)
    gamma = _autocovariances(pieces).mean(axis=(0, 1))
    error = np.sqrt(gamma[0] * autocorrelation_time(gamma) / (len(values) * length))
    return Blocks(pieces.mean(axis=(0, 2)), np.full(blocks, error))


def autocorrelation_time(gamma: Values) -> float:
    """τ = 1 + 2 Σ_{t ≤ M} γ_t/γ₀, M the first that is at least 5 τ (Sokal 1997, "Monte Carlo methods").

    At least 1, so that no error comes out smaller than that of independent steps; and 1 for a constant.
    """
    if gamma[0] == 0:
        return 1.0
    times = 2 * np.cumsum(gamma / gamma[0]) - 1
    enough = np.flatnonzero(np.arange(len(times)) >= WINDOW * times)
    return max(1.0, float(times[enough[0] if len(enough) else -1]))


def _autocovariances(values: Values) -> Values:
    """γ_t = (1/n) Σ_i d_i d_{i+t} of the deviations from the mean along the last axis of length n."""
    n = values.shape[-1]
    deviations = values - values.mean(axis=-1, keepdims=True)
    power = np.abs(np.fft.rfft(deviations, 2 * n)) ** 2
    return np.fft.irfft(power, 2 * n)[..., :n] / n
