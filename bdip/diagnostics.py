"""Checks of an answer: does it fit the data as the noise says, and do its intervals cover?"""

import numpy as np
from numpy.typing import ArrayLike

# Half-width of the central interval of a normal law, in standard deviations.
NORMAL_QUANTILE = {0.5: 0.6744898, 0.9: 1.6448536, 0.95: 1.9599640}


def chi2_drift(chi2: ArrayLike) -> tuple[float, float]:
    """Mean χ² in the first and in the second half of the kept steps (t,).

    Equal within noise for a stationary chain; a fall means that it still learns the noise.
    """
    values = np.asarray(chi2, np.float64)
    half = len(values) // 2
    return float(values[:half].mean()), float(values[half:].mean())


def coverage(truth: ArrayLike, mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> float:
    """Share of the values of `truth` within the central normal interval of probability `level`.

    Arrays of one shape, in one unit; `level` is 0.5, 0.9 or 0.95. About `level` if the uncertainty
    is right; less if the answer is too sure.
    """
    error = np.abs(np.asarray(truth, np.float64) - np.asarray(mean, np.float64))
    return float(np.mean(error <= NORMAL_QUANTILE[level] * np.asarray(std, np.float64)))


def psnr(truth: ArrayLike, image: ArrayLike, span: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, 10 log₁₀(span²/MSE), `span` being the data range's width."""
    error = np.asarray(truth, np.float64) - np.asarray(image, np.float64)
    return float(10 * np.log10(span**2 / np.mean(error**2)))
