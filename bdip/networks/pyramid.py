"""A generator whose latents, noise at each scale, are sampled with its weights."""

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from bdip.networks.layers import UPSAMPLERS, Block, Convolution, Norm, Normal
from bdip.networks.network import (
    Activation,
    Network,
    check_activation,
    check_channels,
    check_choice,
    check_kernel,
    check_scale,
    check_whole,
    covering_grid,
    per_scale,
)
from bdip.types import Latent, Params, PRNGKey

FINEST = "00"  # the scale of the image
# Twice the sigmoid of twice a normalised feature: 1 where it is at its mean, 0.24 and 1.76 a standard deviation from there.
GATE_SLOPE, GATE_MOST = 2.0, 2.0


@dataclass(frozen=True, kw_only=True)
class Pyramid(Network):
    """The way up of an hourglass, from latents at every scale that are unknowns like the weights.

    Each scale doubles the grid, adds latents of its own and mixes. A fixed latent is one pattern of noise, which a
    network can only learn to hide; unknown latents, standard normal before the data are seen, are the detail that
    the coarser scales leave open, and the posterior is over them, too. They are in the params under "latents".

    How much detail there is differs from place to place: the coarser scale says by gates how much each latent counts where.

    Arguments:
        scales: how many times the coarsest grid is doubled.
        channels: channels of each scale, one number or a tuple, finest first; the coarsest grid has as many latents
            as the coarsest scale has channels.
        latent_channels: latents a pixel that each finer scale adds, one number or a tuple, finest first; 0 adds none.
        latent_scale: spread of a finer scale's latents where they join the coarser scale's channels, each of which has a
            spread of 1: the smaller, the smoother is what no datum decides.
        gated: whether the coarser scale gates the latents; otherwise each has one spread for the whole image.
        kernel: size in pixels of the kernels that mix: 1, 3 or 5.
        upsample: "bilinear" or "nearest".
        last_activation: the nonlinearity before the output, by default as the others. "tanh" and "softsign" level off on either
            side: where features are far from a step the image is flat, whatever else they do.

    The other arguments are those of ``Network``. Input jitter moves the finest latents. Raises ValueError where an
    argument is out of range or no choice.

    >>> import jax
    >>> generator = Pyramid(scales=2, channels=8)
    >>> params, latent = generator.init(jax.random.key(0), (10, 7, 3))
    >>> jax.eval_shape(generator.apply, params, latent).shape  # the grid that covers the image
    (12, 8, 3)

    Reference: noise at each scale, Karras, Laine & Aila (CVPR 2019), section 2; latents at each scale of which there is
    a posterior, Sønderby et al. (NeurIPS 2016); detail whose scale is a field of its own, Portilla et al. (IEEE Transactions
    on Image Processing, 2003); gates, Dauphin et al. (ICML 2017); layers, Ulyanov, Vedaldi & Lempitsky (CVPR 2018).
    """

    scales: int = 4
    channels: int | tuple[int, ...] = 16
    latent_channels: int | tuple[int, ...] = 1
    latent_scale: float = 0.7
    gated: bool = True
    kernel: int = 3
    upsample: Literal["bilinear", "nearest"] = "bilinear"
    last_activation: Activation | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("scales", self.scales)
        check_channels("channels", self.channels, self.scales)
        check_channels("latent_channels", self.latent_channels, self.scales, least=0)
        check_scale("latent_scale", self.latent_scale, usual=0.7)
        check_kernel("kernel", self.kernel)
        check_choice("upsample", self.upsample, UPSAMPLERS)
        if self.last_activation is not None:
            check_activation("last_activation", self.last_activation)

    def latent_grid(self, *grid: int) -> tuple[int, ...]:
        """The multiple of 2**scales that covers the image and whose coarsest scale can be mirrored."""
        return covering_grid(*grid, scales=self.scales, smallest=max(2, self.kernel // 2 + 1))

    def build(self, image_channels: int, normal: Normal) -> nnx.Module:
        """The module, its weights drawn with ``normal``."""
        return _Pyramid(self, image_channels, normal)

    def latents(self, key: PRNGKey, grid: tuple[int, ...]) -> tuple[Params, Latent]:
        """Standard normal latents by scale, finest first, and zeros on the finest grid, for jitter to be added to."""
        added = (*per_scale(self.latent_channels, self.scales), self.coarsest_channels)
        shapes = [(*_coarser(grid, scale), channels) for scale, channels in enumerate(added)]
        # All in one: a generator call a scale would take most of the compile time.
        keys, most = jax.random.split(key, len(added)), max(map(math.prod, shapes))
        rows = jax.vmap(lambda key: jax.random.normal(key, (most,)))(keys)
        drawn = {
            f"{scale:02}": row[: math.prod(shape)].reshape(shape)
            for scale, (row, shape) in enumerate(zip(rows, shapes, strict=True))
            if math.prod(shape)
        }
        return {"latents": drawn}, jnp.zeros((*grid, max(added[0], 1)))

    def apply(self, params: Params, latent: Latent) -> Float[Array, "*covering C"]:
        """The image g_θ on the generator's own grid, which covers (H, W)."""
        weights, latents = dict(params), dict(params["latents"])
        del weights["latents"]
        if FINEST in latents:
            latents[FINEST] = latents[FINEST] + latent
        return self._image(weights, latents, latent.ndim - 1)

    @property
    def coarsest_channels(self) -> int:
        """Channels, and latents, of the coarsest grid."""
        return per_scale(self.channels, self.scales)[-1]


class _Pyramid(nnx.Module):
    def __init__(self, config: Pyramid, image_channels: int, normal: Normal) -> None:
        style = {"activation": config.activation, "normal": normal, **config._convolution}
        coarsest = config.coarsest_channels
        self.coarsest = Block(coarsest, coarsest, config.kernel, **style)
        self.levels = nnx.Dict(
            {f"{scale:02}": _Level(config, scale, normal) for scale in range(config.scales)}
        )
        finest = per_scale(config.channels, config.scales)[0]
        self.output = Convolution(finest, image_channels, 1, bias=True, normal=normal)

    def __call__(self, latents: dict[str, Array]) -> Array:
        x = self.coarsest(latents[max(latents)])
        for scale in sorted(self.levels, reverse=True):
            x = self.levels[scale](x, latents.get(scale))
        return self.output(x)


class _Level(nnx.Module):
    """Twice the grid, joined with the latents of this scale, and mixed."""

    def __init__(self, config: Pyramid, scale: int, normal: Normal) -> None:
        style = {"normal": normal, **config._convolution}
        channels = per_scale(config.channels, config.scales)
        below = channels[min(scale + 1, config.scales - 1)]
        own = per_scale(config.latent_channels, config.scales)[scale]
        gates = own if config.gated else 0
        self.upsample, self.latent_scale = config.upsample, config.latent_scale
        self.gates = Convolution(below, gates, 1, **style) if gates else None
        self.joined_norm = Norm(own + gates + below)
        activation = config.activation
        self.mix = Block(
            own + below, channels[scale], config.kernel, activation=activation, **style
        )
        last = scale == 0  # what goes to the finer scale's `joined_norm` needs no scale of its own
        if last:
            activation = config.last_activation or activation
        self.polish = Block(
            channels[scale], channels[scale], 1, activation=activation, scaled=last, **style
        )

    def __call__(self, x: Array, latents: Array | None) -> Array:
        # A gate is linear until its norm: it costs a quarter where it is told on the coarser grid.
        coarser = x if self.gates is None else jnp.concatenate([self.gates(x), x], axis=-1)
        finer = UPSAMPLERS[self.upsample](coarser)
        if latents is None:
            return self.polish(self.mix(self.joined_norm(finer)))
        own = latents.shape[-1]
        joined = self.joined_norm(jnp.concatenate([latents, finer], axis=-1))
        scaled, features = self.latent_scale * joined[..., :own], joined[..., -x.shape[-1] :]
        if self.gates is not None:
            scaled *= GATE_MOST * jax.nn.sigmoid(GATE_SLOPE * joined[..., own : 2 * own])
        return self.polish(self.mix(jnp.concatenate([scaled, features], axis=-1)))


def _coarser(grid: tuple[int, ...], scale: int) -> tuple[int, ...]:
    return tuple(n // 2**scale for n in grid)
