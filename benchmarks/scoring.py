"""Scores that no part of the package has, for images from 0 to 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

# ITU-R BT.601, as papers on super-resolution have it, without its offset.
LUMINANCE = (65.481 / 255, 128.553 / 255, 24.966 / 255)


def ssim(truth: NDArray[Any], image: NDArray[Any]) -> float:
    """Structural similarity (Wang et al. 2004) of (H, W) or (H, W, C), with the paper's Gaussian window."""
    return float(
        structural_similarity(
            np.asarray(truth, np.float64), np.asarray(image, np.float64), data_range=1.0,
            channel_axis=-1 if np.ndim(truth) == 3 else None, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
    )  # fmt: skip


def luminance(image: NDArray[Any]) -> NDArray[np.float64]:
    """Y (H, W) of a picture (H, W, 3); a grey one is its own."""
    return np.asarray(image @ np.array(LUMINANCE) if image.ndim == 3 else image, np.float64)
