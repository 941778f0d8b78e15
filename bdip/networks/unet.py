"""The U-Net (Ronneberger, Fischer & Brox, 2015), as the Deep Image Prior uses it: padded, with norms, from noise."""

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from bdip.networks.layers import UPSAMPLERS, Block, Convolution, Normal
from bdip.networks.network import FixedLatent, check_choice, check_whole, covering_grid


@dataclass(frozen=True, kw_only=True)
class UNet(FixedLatent):
    """Two convolutions a scale, halved by taking the largest of four pixels, with skips as wide as the network.

    Arguments:
        scales: how many times the grid is halved.
        channels: channels at the finest scale; each coarser scale has twice as many.
        upsample: "bilinear" or "nearest".

    The other arguments are those of ``FixedLatent``.

    Raises ValueError where an argument is out of range or no choice.

    >>> import jax
    >>> generator = UNet(scales=2, channels=4)
    >>> params, latent = generator.init(jax.random.key(0), (10, 7, 3))
    >>> jax.eval_shape(generator.apply, params, latent).shape  # the grid that covers the image
    (12, 8, 3)

    Reference: Ronneberger, Fischer & Brox (MICCAI 2015).
    """

    scales: int = 4
    channels: int = 32
    upsample: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("scales", self.scales)
        check_whole("channels", self.channels)
        check_choice("upsample", self.upsample, UPSAMPLERS)

    def latent_grid(self, *grid: int) -> tuple[int, ...]:
        """The multiple of 2**scales that covers the image and whose coarsest scale can be mirrored."""
        return covering_grid(*grid, scales=self.scales, smallest=2)

    def build(self, image_channels: int, normal: Normal) -> nnx.Module:
        """The module, its weights drawn with ``normal``."""
        return _UNet(self, image_channels, normal)


class _UNet(nnx.Module):
    def __init__(self, config: UNet, image_channels: int, normal: Normal) -> None:
        self.body = _Level(config, 0, config._input_channels(normal.axes), normal)
        self.output = Convolution(config.channels, image_channels, 1, bias=True, normal=normal)

    def __call__(self, latent: Array) -> Array:
        return self.output(self.body(latent))


class _Pair(nnx.Module):
    """Two 3x3 blocks."""

    def __init__(self, in_channels: int, out_channels: int, config: UNet, normal: Normal) -> None:
        style: dict[str, Any] = {
            "activation": config.activation,
            "normal": normal,
            **config._convolution,
        }
        self.first = Block(in_channels, out_channels, 3, **style)
        self.second = Block(out_channels, out_channels, 3, **style)

    def __call__(self, x: Array) -> Array:
        return self.second(self.first(x))


class _Level(nnx.Module):
    """One scale: its features beside those of the next scale, brought up."""

    def __init__(self, config: UNet, scale: int, in_channels: int, normal: Normal) -> None:
        channels = config.channels * 2**scale
        self.upsample = config.upsample
        self.down = _Pair(in_channels, channels, config, normal)
        if scale == config.scales:
            self.coarser = None
            return
        self.coarser = _Level(config, scale + 1, channels, normal)
        self.narrow = Convolution(
            2 * channels, channels, 3, bias=True, normal=normal, **config._convolution
        )
        self.up = _Pair(2 * channels, channels, config, normal)

    def __call__(self, x: Array) -> Array:
        features = self.down(x)
        if self.coarser is None:
            return features
        deep = self.narrow(UPSAMPLERS[self.upsample](self.coarser(_halve(features))))
        return self.up(jnp.concatenate([features, deep], axis=-1))


def _halve(x: Array) -> Array:
    """The largest of each 2 x 2 pixels, or two or eight where the grid has one axis or three.

    By comparisons, whose choice is what the gradient follows. That of `max` goes where a value equals the largest: to
    none, where the compiler computes one of them again and rounds otherwise.
    """
    for axis in range(x.ndim - 1):
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        pairs = x.reshape(*before, x.shape[axis] // 2, 2, *after)
        here = (slice(None),) * (axis + 1)
        x = _larger(pairs[(*here, 0)], pairs[(*here, 1)])
    return x


def _larger(a: Array, b: Array) -> Array:
    return jnp.where(a >= b, a, b)
