"""Bayesian deep image priors: restore one image from itself alone, with error bars."""

from bdip._version import __version__
from bdip.api import estimate, sample
from bdip.chain import DivergedError, Progress
from bdip.checkpoint import Checkpoint, CheckpointError, CheckpointWarning
from bdip.errors import MissingExtraError, TooFewDrawsError
from bdip.likelihood import PoissonGaussian
from bdip.live import Live
from bdip.memory import Estimate, TooLargeError
from bdip.networks import DeepDecoder, Hourglass, ResNet, UNet
from bdip.operators import (
    Blur,
    Downsample,
    Fourier,
    FromFunction,
    FromMatrix,
    Identity,
    Mask,
    Mosaic,
    Radon,
)
from bdip.posterior import Posterior, PosteriorFileError
from bdip.problem import ProblemError
from bdip.recovery import DivergedWarning
from bdip.settings import Settings, SettingsError
from bdip.tiling import sample_tiled

__all__ = [
    "Blur", "Checkpoint", "CheckpointError", "CheckpointWarning", "DeepDecoder", "DivergedError",
    "DivergedWarning", "Downsample", "Estimate", "Fourier", "FromFunction", "FromMatrix",
    "Hourglass", "Identity", "Live", "Mask", "MissingExtraError", "Mosaic", "PoissonGaussian",
    "Posterior", "PosteriorFileError", "ProblemError", "Progress", "Radon", "ResNet", "Settings",
    "SettingsError", "TooFewDrawsError", "TooLargeError", "UNet", "__version__", "estimate",
    "sample", "sample_tiled",
]  # fmt: skip
