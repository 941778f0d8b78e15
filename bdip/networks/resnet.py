"""The residual network of the Deep Image Prior (Ulyanov et al., 2018), after He et al. (2016): all at full resolution."""

from dataclasses import dataclass
from typing import Any

from flax import nnx
from jaxtyping import Array

from bdip.networks.layers import ACTIVATIONS, Block, Convolution, Normal
from bdip.networks.network import FixedLatent, check_whole, covering_grid


@dataclass(frozen=True, kw_only=True)
class ResNet(FixedLatent):
    """A convolution, residual blocks, a convolution.

    Arguments:
        blocks: how many residual blocks.
        channels: channels throughout.

    The other arguments are those of ``FixedLatent``.

    Raises ValueError where an argument is out of range or no choice.

    >>> import jax
    >>> generator = ResNet(blocks=1, channels=4)
    >>> params, latent = generator.init(jax.random.key(0), (10, 7, 3))
    >>> jax.eval_shape(generator.apply, params, latent).shape  # the grid that covers the image
    (10, 8, 3)

    Reference: He, Zhang, Ren & Sun (CVPR 2016); as a prior, Ulyanov, Vedaldi & Lempitsky (CVPR 2018).
    """

    blocks: int = 8
    channels: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("blocks", self.blocks)
        check_whole("channels", self.channels)

    def latent_grid(self, *grid: int) -> tuple[int, ...]:
        """The image's own grid, made even, and large enough to be mirrored."""
        return covering_grid(*grid, scales=1, smallest=1)

    def build(self, image_channels: int, normal: Normal) -> nnx.Module:
        """The module, its weights drawn with ``normal``."""
        return _ResNet(self, image_channels, normal)


class _ResNet(nnx.Module):
    def __init__(self, config: ResNet, image_channels: int, normal: Normal) -> None:
        channels, options = config.channels, config._convolution
        self.activation = config.activation
        self.input = Convolution(
            config._input_channels(normal.axes), channels, 3, bias=True, normal=normal, **options
        )
        self.blocks = nnx.Dict({f"{i:02}": _Residual(config, normal) for i in range(config.blocks)})
        self.last = Block(channels, channels, 3, activation="linear", normal=normal, **options)
        self.output = Convolution(
            channels, image_channels, 3, padding=config.padding, bias=True, normal=normal
        )

    def __call__(self, latent: Array) -> Array:
        x = ACTIVATIONS[self.activation](self.input(latent))
        for _, block in sorted(self.blocks.items()):
            x = block(x)
        return self.output(self.last(x))


class _Residual(nnx.Module):
    """x plus what two convolutions make of it."""

    def __init__(self, config: ResNet, normal: Normal) -> None:
        style: dict[str, Any] = {"normal": normal, **config._convolution}
        self.first = Block(
            config.channels, config.channels, 3, activation=config.activation, **style
        )
        self.second = Block(config.channels, config.channels, 3, activation="linear", **style)

    def __call__(self, x: Array) -> Array:
        return x + self.second(self.first(x))
