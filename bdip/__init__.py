"""Bayesian deep image priors: restore one image from itself alone, with error bars."""

from bdip._version import __version__
from bdip.api import estimate, sample
from bdip.chain import DivergedError, Progress
from bdip.likelihood import PoissonGaussian
from bdip.memory import Estimate, TooLargeError
from bdip.networks import DeepDecoder, Hourglass, ResNet, UNet
from bdip.operators import Downsample, Identity, Mask
from bdip.posterior import Posterior, PosteriorFileError
from bdip.problem import ProblemError
from bdip.settings import Settings, SettingsError
from bdip.tiling import sample_tiled

__all__ = [
    "DeepDecoder", "DivergedError", "Downsample", "Estimate", "Hourglass", "Identity", "Mask", "PoissonGaussian",
    "Posterior", "PosteriorFileError", "ProblemError", "Progress", "ResNet", "Settings", "SettingsError",
    "TooLargeError", "UNet", "__version__", "estimate", "sample",
    "sample_tiled",
]  # fmt: skip
