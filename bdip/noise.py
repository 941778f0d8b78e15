"""Noise level of an image, from the image itself."""

import warnings

import numpy as np
import pywt
from numpy.typing import NDArray

# Low and high, each one number or one a value.
Ends = tuple[float | NDArray[np.float64], float | NDArray[np.float64]]

# For Gaussian noise the median absolute value is this many standard deviations.
NORMAL_MEDIAN = 0.6744897501960817
# σ tells which blocks are far from the ends, and those tell σ: it settles to 1 % in three rounds.
ROUNDS = 4
FEWEST = 50  # blocks, whose median is good to a sixth


def estimate_noise_std(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    ends: Ends | None = None,
) -> float:
    """Standard deviation of white Gaussian noise in `image` (H W C), in the image's units.

    Or in a signal (L C), or a volume (D H W C).

    Median of the finest diagonal wavelet coefficients (Donoho & Johnstone 1994): as scikit-image's
    estimator (whose import takes most of a second) where every pixel is observed; elsewhere the same with Haar wavelets, over the 2 × 2
    blocks whose pixels are all observed. Fine texture counts as noise, so that it errs upward
    on clean, detailed pictures. Returns NaN where no such block exists.

    Where noise was cut off at `ends`, low and high, it looks too small near them. Then only blocks count whose mean is further from both than one σ: of white noise
    mean and diagonal coefficient are independent, so that this choice does not change what it finds.
    """
    if mask is None:
        mask = np.ones(image.shape[:-1], bool)
    # The db2 wavelet needs 16 pixels.
    if ends is None and mask.all() and min(mask.shape) >= 16:
        channels = np.moveaxis(image, -1, 0)
        return float(np.mean([_db2_diagonal_std(channel) for channel in channels]))
    diagonal, whole = image, mask
    for axis in range(mask.ndim):
        diagonal = np.diff(diagonal, axis=axis) / np.sqrt(2)  # Haar: the noise keeps its σ
        pairs = np.moveaxis(whole, axis, 0)
        whole = np.moveaxis(pairs[:-1] & pairs[1:], 0, axis)
    diagonal = diagonal[whole]
    std = _median_std(diagonal)
    if ends is None or not whole.any():
        return std
    low, high = ends
    margin = np.minimum(_means(image - low), _means(high - image))[whole]
    for _ in range(ROUNDS):
        far = diagonal[margin > std]
        if far.size < FEWEST:
            break
        std = _median_std(far)
    return std


def _means(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """Of each block of two pixels along each axis of the grid."""
    for axis in range(image.ndim - 1):
        pairs = np.moveaxis(image, axis, 0)
        image = np.moveaxis((pairs[:-1] + pairs[1:]) / 2, 0, axis)
    return image


def _median_std(coefficients: NDArray[np.floating]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing is NaN, as said
        return float(np.median(np.abs(coefficients)) / NORMAL_MEDIAN)


def _db2_diagonal_std(channel: NDArray[np.floating]) -> np.floating:
    """σ by the diagonal coefficients of one channel (H W); NaN where all of them are zero."""
    details = np.abs(pywt.dwtn(channel, wavelet="db2")["d" * channel.ndim])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing
        return np.median(details[details > 0]) / NORMAL_MEDIAN  # zeros: masked out, or saturated
