"""The hourglass with skip connections of the Deep Image Prior (Ulyanov, Vedaldi & Lempitsky, CVPR 2018, figure 21)."""

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from bdip.networks.layers import UPSAMPLERS, Block, Convolution, Norm, Normal
from bdip.networks.network import (
    FixedLatent,
    check_channels,
    check_choice,
    check_kernel,
    check_whole,
    covering_grid,
    per_scale,
)


@dataclass(frozen=True, kw_only=True)
class Hourglass(FixedLatent):
    """The generator of the Deep Image Prior: down to a coarse grid and up again, with thin skip connections.

    Arguments:
        scales: how many times the grid is halved.
        channels_down, channels_up, channels_skip: channels of each scale, one number or a tuple, finest first; a skip of 0
            channels is absent.
        kernel_down, kernel_up: sizes in pixels of the kernels on the way down and up: 1, 3 or 5.
        upsample: "bilinear" or "nearest".

    The paper has 5 scales of 128 channels; the defaults take a quarter of its time on a CPU.
    The other arguments are those of ``FixedLatent``. Raises ValueError where an argument is out of range or no choice.

    >>> import jax
    >>> generator = Hourglass(scales=2, channels_down=8, channels_up=8)
    >>> params, latent = generator.init(jax.random.key(0), (10, 7, 3))
    >>> jax.jit(generator.apply)(params, latent).shape
    (12, 8, 3)

    Reference: Ulyanov, Vedaldi & Lempitsky (CVPR 2018), figure 21.
    """

    scales: int = 4
    channels_down: int | tuple[int, ...] = 48
    channels_up: int | tuple[int, ...] = 48
    channels_skip: int | tuple[int, ...] = 4
    kernel_down: int = 3
    kernel_up: int = 3
    upsample: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("scales", self.scales)
        check_channels("channels_down", self.channels_down, self.scales)
        check_channels("channels_up", self.channels_up, self.scales)
        check_channels("channels_skip", self.channels_skip, self.scales, least=0)
        check_kernel("kernel_down", self.kernel_down)
        check_kernel("kernel_up", self.kernel_up)
        check_choice("upsample", self.upsample, UPSAMPLERS)

    def latent_grid(self, *grid: int) -> tuple[int, ...]:
        """The multiple of 2**scales that covers the image and whose coarsest scale can be mirrored."""
        return covering_grid(*grid, scales=self.scales, smallest=max(2, self.kernel_down // 2 + 1))

    def build(self, image_channels: int, normal: Normal) -> nnx.Module:
        """The module, its weights drawn with ``normal``."""
        return _Hourglass(self, image_channels, normal)


class _Hourglass(nnx.Module):
    def __init__(self, config: Hourglass, image_channels: int, normal: Normal) -> None:
        self.body = _Level(config, 0, config._input_channels(normal.axes), normal)
        last = per_scale(config.channels_up, config.scales)[0]
        self.output = Convolution(last, image_channels, 1, bias=True, normal=normal)

    def __call__(self, latent: Array) -> Array:
        return self.output(self.body(latent))


class _Level(nnx.Module):
    """One scale: a skip beside the next scale, joined and mixed."""

    def __init__(self, config: Hourglass, scale: int, in_channels: int, normal: Normal) -> None:
        down, up, skip = (
            per_scale(channels, config.scales)
            for channels in (config.channels_down, config.channels_up, config.channels_skip)
        )
        coarsest = scale + 1 == config.scales
        style: dict[str, Any] = {
            "activation": config.activation,
            "normal": normal,
            **config._convolution,
        }
        self.upsample = config.upsample
        # What goes to `joined_norm`, of this scale or of the finer one, needs no scale of its own.
        bare = {**style, "scaled": False}
        self.skip = Block(in_channels, skip[scale], 1, **bare) if skip[scale] else None
        self.halve = Block(in_channels, down[scale], config.kernel_down, stride=2, **style)
        self.refine = Block(
            down[scale], down[scale], config.kernel_down, **(bare if coarsest else style)
        )
        self.coarser = None if coarsest else _Level(config, scale + 1, down[scale], normal)
        joined = skip[scale] + (down[scale] if coarsest else up[scale + 1])
        self.joined_norm = Norm(joined)
        self.mix = Block(joined, up[scale], config.kernel_up, **style)
        self.polish = Block(up[scale], up[scale], 1, **(bare if scale > 0 else style))

    def __call__(self, x: Array) -> Array:
        deep = self.refine(self.halve(x))
        if self.coarser is not None:
            deep = self.coarser(deep)
        deep = UPSAMPLERS[self.upsample](deep)
        joined = deep if self.skip is None else jnp.concatenate([self.skip(x), deep], axis=-1)
        return self.polish(self.mix(self.joined_norm(joined)))
