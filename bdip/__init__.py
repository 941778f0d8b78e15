"""Bayesian deep image priors: restore one image from itself alone, with error bars.

Names are loaded where they are first used: `import bdip` by itself does not start JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bdip._version import __version__

if TYPE_CHECKING:  # what type checkers and editors see; at run time, HOMES
    from bdip import batch as batch
    from bdip import diagnostics as diagnostics
    from bdip import io as io
    from bdip import networks as networks
    from bdip import operators as operators
    from bdip import samplers as samplers
    from bdip.api import estimate, sample
    from bdip.chain import DivergedError, Progress
    from bdip.checkpoint import Checkpoint, CheckpointError, CheckpointWarning
    from bdip.errors import MissingExtraError, ProblemError, TooFewDrawsError
    from bdip.jpeg import load_jpeg
    from bdip.likelihood import Clipped, PoissonGaussian, Rounding
    from bdip.live import Live
    from bdip.memory import Estimate, TooLargeError
    from bdip.networks import DeepDecoder, Hourglass, Pyramid, ResNet, UNet
    from bdip.operators import (
        JPEG,
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
    from bdip.recovery import DivergedWarning
    from bdip.settings import Settings, SettingsError
    from bdip.tiling import sample_tiled

__all__ = [
    "JPEG", "Blur", "Checkpoint", "CheckpointError", "CheckpointWarning", "Clipped",
    "DeepDecoder", "DivergedError", "DivergedWarning", "Downsample", "Estimate", "Fourier", "FromFunction", "FromMatrix",
    "Hourglass", "Identity", "Live", "Mask", "MissingExtraError", "Mosaic", "PoissonGaussian",
    "Posterior", "PosteriorFileError", "ProblemError", "Progress", "Pyramid", "Radon", "ResNet", "Rounding",
    "Settings", "SettingsError", "TooFewDrawsError", "TooLargeError", "UNet", "__version__",
    "estimate", "load_jpeg", "sample", "sample_tiled",
]  # fmt: skip

# Module of bdip -> the public names that it is the home of, as above.
HOMES = {
    "api": "estimate sample",
    "chain": "DivergedError Progress",
    "checkpoint": "Checkpoint CheckpointError CheckpointWarning",
    "errors": "MissingExtraError ProblemError TooFewDrawsError",
    "jpeg": "load_jpeg",
    "likelihood": "Clipped PoissonGaussian Rounding",
    "live": "Live",
    "memory": "Estimate TooLargeError",
    "networks": "DeepDecoder Hourglass Pyramid ResNet UNet",
    "operators": "Blur Downsample Fourier FromFunction FromMatrix Identity JPEG Mask Mosaic Radon",
    "posterior": "Posterior PosteriorFileError",
    "recovery": "DivergedWarning",
    "settings": "Settings SettingsError",
    "tiling": "sample_tiled",
}
MODULES = ("batch", "diagnostics", "io", "networks", "operators", "samplers")  # public, as bdip.io
_HOME_OF = {name: module for module, names in HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """The public name or module, loaded (PEP 562); AttributeError for any other."""
    if name in MODULES:
        return import_module(f"bdip.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'bdip' has no attribute {name!r}")
    value = getattr(import_module(f"bdip.{_HOME_OF[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    """All public names and modules, loaded or not."""
    return sorted([*__all__, *MODULES])
