"""Generators g_θ: networks whose structure is a prior over images. The only place that imports Flax."""

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
