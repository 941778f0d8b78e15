"""Classical restorations to compare with, each as its library has it: scikit-image's, and BM3D where it is installed.

σ is given to all that take it. None looks at the truth.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import restoration, transform

Image = NDArray[Any]

PATCHES = {
    "patch_size": 5,
    "patch_distance": 6,
}  # of non-local means, as scikit-image's gallery has them
TV_SHARE = 0.8  # of σ, as the weight of total variation


def channels_last(image: Image) -> int | None:
    """The axis of the channels, for scikit-image."""
    return 2 if image.ndim == 3 else None


def denoised(noisy: Image, std: float) -> dict[str, Image]:
    """Total variation, wavelets, non-local means, and BM3D where `pip install bm3d` was done (not for commercial use)."""
    axis = channels_last(noisy)
    answers = {
        "TV": restoration.denoise_tv_chambolle(noisy, weight=TV_SHARE * std, channel_axis=axis),
        "wavelets": restoration.denoise_wavelet(
            noisy, sigma=std, method="BayesShrink", mode="soft", rescale_sigma=True,
            channel_axis=axis, convert2ycbcr=axis is not None,
        ),
        "NLM": restoration.denoise_nl_means(
            noisy, h=0.8 * std, sigma=std, fast_mode=True, channel_axis=axis, **PATCHES
        ),
    }  # fmt: skip
    found = bm3d(noisy, std)
    return answers if found is None else answers | {"BM3D": found}


def bm3d(noisy: Image, std: float) -> Image | None:
    """BM3D (Dabov et al. 2007), of colours CBM3D; None where the package is absent."""
    try:
        import bm3d as package
    except ImportError:
        return None
    method = package.bm3d_rgb if noisy.ndim == 3 else package.bm3d
    return np.asarray(method(noisy.astype(np.float64), std)).reshape(noisy.shape)


def inpainted(data: Image, mask: NDArray[np.bool_]) -> dict[str, Image]:
    """Biharmonic interpolation (Damelin & Hoang 2018)."""
    filled = restoration.inpaint_biharmonic(data, ~mask, channel_axis=channels_last(data))
    return {"biharmonic": filled}


def enlarged(data: Image, shape: tuple[int, ...]) -> dict[str, Image]:
    """Cubic interpolation."""
    return {"bicubic": transform.resize(data, shape, order=3, mode="symmetric")}


def deblocked(data: Image, std: float) -> dict[str, Image]:
    """The decoded JPEG as it is, total variation, and non-local means."""
    answers = denoised(data, std)
    return {"as decoded": data, "TV": answers["TV"], "NLM": answers["NLM"]}
