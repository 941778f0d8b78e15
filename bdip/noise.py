"""Noise level of an image, from the image itself."""

import warnings

import numpy as np
import pywt
from numpy.typing import NDArray

# For Gaussian noise the median absolute value is this many standard deviations.
NORMAL_MEDIAN = 0.6744897501960817


def estimate_noise_std(image: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> float:
    """Standard deviation of white Gaussian noise in `image` (H W C), in the image's units.

    Median of the finest diagonal wavelet coefficients (Donoho & Johnstone 1994): as scikit-image's
    estimator (whose import takes most of a second) where every pixel is observed; elsewhere the same with Haar wavelets, over the 2 × 2
    blocks whose four pixels are all observed. Fine texture counts as noise, so that it errs upward
    on clean, detailed pictures. Returns NaN where no such block exists.
    """
    if mask is None or mask.all():
        if min(image.shape[:2]) >= 16:  # the db2 wavelet needs that much
            channels = np.moveaxis(image, -1, 0)
            return float(np.mean([_db2_diagonal_std(channel) for channel in channels]))
        mask = np.ones(image.shape[:2], bool)
    blocks = _haar_diagonal(image)
    whole = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing is NaN, as said
        return float(np.median(np.abs(blocks[whole])) / NORMAL_MEDIAN)


def _db2_diagonal_std(channel: NDArray[np.floating]) -> np.floating:
    """σ by the diagonal coefficients of one channel (H W); NaN where all of them are zero."""
    details = np.abs(pywt.dwtn(channel, wavelet="db2")["dd"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing
        return np.median(details[details > 0]) / NORMAL_MEDIAN  # zeros: masked out, or saturated


def _haar_diagonal(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """(a − b − c + d)/2 of every 2 × 2 block, whose noise has the standard deviation of a pixel."""
    rows = image[1:] - image[:-1]
    return (rows[:, 1:] - rows[:, :-1]) / 2
