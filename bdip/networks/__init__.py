"""Generators g_θ: networks whose structure is a prior over images. The only place that imports Flax."""

from dataclasses import replace

from bdip.networks.base import Generator, generate
from bdip.networks.deep_decoder import DeepDecoder
from bdip.networks.hourglass import Hourglass
from bdip.networks.pyramid import Pyramid
from bdip.networks.resnet import ResNet
from bdip.networks.unet import UNet

REGISTRY: dict[str, type[Generator]] = {
    "pyramid": Pyramid,
    "hourglass": Hourglass,
    "unet": UNet,
    "resnet": ResNet,
    "deep-decoder": DeepDecoder,
}


def default(exact: bool) -> str:
    """The name of the default generator: of samplers that are exact, or of descents and recipes, the network of their papers."""
    return "pyramid" if exact else "hourglass"


def standard(exact: bool, wide_holes: bool = False) -> Generator:
    """The default generator: in wide holes a pyramid whose last nonlinearity levels off (docs/decisions/0043)."""
    generator = REGISTRY[default(exact)]()
    if wide_holes and isinstance(generator, Pyramid):
        return replace(generator, last_activation="softsign")
    return generator


__all__ = [
    "REGISTRY",
    "DeepDecoder",
    "Generator",
    "Hourglass",
    "Pyramid",
    "ResNet",
    "UNet",
    "generate",
]
