"""Bayesian deep image priors: restore one image from itself alone, with error bars.

Names are loaded where they are first used: `import bdip` by itself does not start JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bdip._version import __version__

if TYPE_CHECKING:  # what type checkers and editors see; at run time, HOMES
    from bdip import diagnostics as diagnostics
    from bdip import io as io
    from bdip import networks as networks
    from bdip import operators as operators
    from bdip import samplers as samplers
    from bdip.api import estimate, sample
    from bdip.chain import DivergedError, Progress
    from bdip.errors import ProblemError
    from bdip.likelihood import PoissonGaussian
    from bdip.memory import Estimate, TooLargeError
    from bdip.networks import DeepDecoder, Hourglass, ResNet, UNet
    from bdip.operators import Downsample, Identity, Mask
    from bdip.posterior import Posterior, PosteriorFileError
    from bdip.settings import Settings, SettingsError

__all__ = [
    "DeepDecoder", "DivergedError", "Downsample", "Estimate", "Hourglass", "Identity", "Mask", "PoissonGaussian",
    "Posterior", "PosteriorFileError", "ProblemError", "Progress", "ResNet", "Settings", "SettingsError",
    "TooLargeError", "UNet", "__version__", "estimate", "sample",
]  # fmt: skip

# Module of bdip -> the public names that it is the home of, as above.
HOMES = {
    "api": "estimate sample",
    "chain": "DivergedError Progress",
    "errors": "ProblemError",
    "likelihood": "PoissonGaussian",
    "memory": "Estimate TooLargeError",
    "networks": "DeepDecoder Hourglass ResNet UNet",
    "operators": "Downsample Identity Mask",
    "posterior": "Posterior PosteriorFileError",
    "settings": "Settings SettingsError",
}
MODULES = ("diagnostics", "io", "networks", "operators", "samplers")  # public, as bdip.io
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
