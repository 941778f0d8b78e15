"""The Deep Decoder (Heckel & Hand, ICLR 2019): an image from fewer weights than pixels, without spatial kernels."""

from dataclasses import dataclass
from typing import Literal

from flax import nnx
from jaxtyping import Array

from bdip.networks.layers import ACTIVATIONS, UPSAMPLERS, Convolution, Norm, Normal
from bdip.networks.network import Activation, FixedLatent, check_choice, check_whole, covering_grid


@dataclass(frozen=True, kw_only=True)
class DeepDecoder(FixedLatent):
    """From a coarse fixed latent upwards: mix channels, double the grid, activate, normalise (equation 1 of the paper).

    Arguments:
        scales: how many times the latent's grid is doubled.
        channels: channels throughout.
        upsample: "bilinear" or "nearest".

    The other arguments are those of ``FixedLatent``; there is no kernel that reaches beyond an edge, so ``padding`` is moot.

    Raises ValueError where an argument is out of range or no choice.

    >>> import jax
    >>> generator = DeepDecoder(scales=2, channels=8)
    >>> params, latent = generator.init(jax.random.key(0), (10, 7, 3))
    >>> jax.eval_shape(generator.apply, params, latent).shape  # the grid that covers the image
    (12, 8, 3)

    Reference: Heckel & Hand (ICLR 2019), equation 1.
    """

    scales: int = 5
    channels: int = 128
    upsample: Literal["bilinear", "nearest"] = "bilinear"
    activation: Activation = "relu"
    latent_channels: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("scales", self.scales)
        check_whole("channels", self.channels)
        check_choice("upsample", self.upsample, UPSAMPLERS)

    def latent_grid(self, *grid: int) -> tuple[int, ...]:
        """The grid 2**scales coarser than the one that covers the image."""
        fine = covering_grid(*grid, scales=self.scales, smallest=2)
        return tuple(n // 2**self.scales for n in fine)

    def build(self, image_channels: int, normal: Normal) -> nnx.Module:
        """The module, its weights drawn with ``normal``."""
        return _DeepDecoder(self, image_channels, normal)


class _DeepDecoder(nnx.Module):
    def __init__(self, config: DeepDecoder, image_channels: int, normal: Normal) -> None:
        widths = [config._input_channels(normal.axes)] + [config.channels] * config.scales
        self.activation, self.upsample = config.activation, config.upsample
        self.mixes = nnx.Dict(
            {
                f"{i:02}": Convolution(n, config.channels, 1, normal=normal, **config._convolution)
                for i, n in enumerate(widths)
            }
        )
        self.norms = nnx.Dict({f"{i:02}": Norm(config.channels) for i in range(len(widths))})
        self.output = Convolution(config.channels, image_channels, 1, bias=True, normal=normal)

    def __call__(self, latent: Array) -> Array:
        activate, upsample = ACTIVATIONS[self.activation], UPSAMPLERS[self.upsample]
        x = latent
        *doublings, last = sorted(self.mixes)
        for name in doublings:
            x = self.norms[name](activate(upsample(self.mixes[name](x))))
        return self.output(self.norms[last](activate(self.mixes[last](x))))
