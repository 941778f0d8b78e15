"""Noise level of an image, from the image itself."""

import warnings

import numpy as np
import pywt
from numpy.typing import NDArray

# For Gaussian noise the median absolute value is this many standard deviations.
NORMAL_MEDIAN = 0.6744897501960817


def estimate_noise_std(image: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> float:
    """Standard deviation of white Gaussian noise in `image` (H W C), in the image's units.

    Or in a signal (L C), or a volume (D H W C).

    Median of the finest diagonal wavelet coefficients (Donoho & Johnstone 1994): as scikit-image's
    estimator (whose import takes most of a second) where every pixel is observed; elsewhere the same with Haar wavelets, over the 2 × 2
    blocks whose pixels are all observed. Fine texture counts as noise, so that it errs upward
    on clean, detailed pictures. Returns NaN where no such block exists.
    """
    if mask is None or mask.all():
        if min(image.shape[:-1]) >= 16:  # the db2 wavelet needs that much
            channels = np.moveaxis(image, -1, 0)
            return float(np.mean([_db2_diagonal_std(channel) for channel in channels]))
        mask = np.ones(image.shape[:-1], bool)
    blocks, whole = image, mask
    for axis in range(mask.ndim):
        blocks = np.diff(blocks, axis=axis) / np.sqrt(2)  # Haar: the noise keeps its σ
        pairs = np.moveaxis(whole, axis, 0)
        whole = np.moveaxis(pairs[:-1] & pairs[1:], 0, axis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing is NaN, as said
        return float(np.median(np.abs(blocks[whole])) / NORMAL_MEDIAN)


def _db2_diagonal_std(channel: NDArray[np.floating]) -> np.floating:
    """σ by the diagonal coefficients of one channel (H W); NaN where all of them are zero."""
    details = np.abs(pywt.dwtn(channel, wavelet="db2")["d" * channel.ndim])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing
        return np.median(details[details > 0]) / NORMAL_MEDIAN  # zeros: masked out, or saturated
