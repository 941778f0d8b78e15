"""Bayesian deep image priors: restore one image from itself alone, with error bars."""

from bdip._version import __version__
from bdip.api import estimate, sample
from bdip.chain import DivergedError, Progress
from bdip.checkpoint import Checkpoint, CheckpointError, CheckpointWarning
from bdip.likelihood import PoissonGaussian
from bdip.memory import Estimate, TooLargeError
from bdip.networks import DeepDecoder, Hourglass, ResNet, UNet
from bdip.operators import Downsample, Identity, Mask
from bdip.posterior import Posterior, PosteriorFileError
from bdip.problem import ProblemError
from bdip.recovery import DivergedWarning
from bdip.settings import Settings, SettingsError

__all__ = [
    "Checkpoint", "CheckpointError", "CheckpointWarning", "DeepDecoder", "DivergedError", "DivergedWarning", "Downsample", "Estimate", "Hourglass", "Identity", "Mask", "PoissonGaussian",
    "Posterior", "PosteriorFileError", "ProblemError", "Progress", "ResNet", "Settings", "SettingsError",
    "TooLargeError", "UNet", "__version__", "estimate", "sample",
]  # fmt: skip
