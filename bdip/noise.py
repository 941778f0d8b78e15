"""Noise level of an image, from the image itself."""

import warnings

import numpy as np
from numpy.typing import NDArray

# For Gaussian noise the median absolute value is this many standard deviations.
NORMAL_MEDIAN = 0.6744897501960817


def estimate_noise_std(image: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> float:
    """Standard deviation of white Gaussian noise in `image` (H W C), in the image's units.

    Median of the finest diagonal wavelet coefficients (Donoho & Johnstone 1994): scikit-image's
    estimator where every pixel is observed; elsewhere the same with Haar wavelets, over the 2 × 2
    blocks whose four pixels are all observed. Fine texture counts as noise, so that it errs upward
    on clean, detailed pictures. Returns NaN where no such block exists.
    """
    if mask is None or mask.all():
        from skimage.restoration import estimate_sigma

        if min(image.shape[:2]) >= 16:  # the db2 wavelet needs that much
            return float(estimate_sigma(image, channel_axis=-1, average_sigmas=True))
        mask = np.ones(image.shape[:2], bool)
    blocks = _haar_diagonal(image)
    whole = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing is NaN, as said
        return float(np.median(np.abs(blocks[whole])) / NORMAL_MEDIAN)


def _haar_diagonal(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """(a − b − c + d)/2 of every 2 × 2 block, whose noise has the standard deviation of a pixel."""
    rows = image[1:] - image[:-1]
    return (rows[:, 1:] - rows[:, :-1]) / 2
