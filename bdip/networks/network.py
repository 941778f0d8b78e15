"""What the convolutional generators share: fields, checks, and the way from Flax NNX modules to plain params and back."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from bdip.networks import latents
from bdip.networks.convolution import Padding, Precision
from bdip.networks.layers import ACTIVATIONS, CONVOLVED, Normal
from bdip.types import Latent, Params, PRNGKey

Activation = Literal["leaky_relu", "relu", "swish", "elu", "tanh", "softsign"]
KEEP_CONVOLVED = jax.checkpoint_policies.save_only_these_names(CONVOLVED)
OUTPUTS: dict[str, Callable[[Array], Array]] = {"sigmoid": jax.nn.sigmoid, "linear": lambda x: x}


@dataclass(frozen=True, kw_only=True)
class Network:
    """The fields and methods of every generator here.

    A subclass builds its module, whose last layer must be called ``output``, and says what grid covers an image.

    Arguments:
        activation: the nonlinearity after each norm; "tanh" and "softsign", x/(1 + |x|), are of twice the feature.
        padding: what lies beyond the edge of an image: its mirror image, or zeros.
        output: "sigmoid" for images between 0 and 1, or "linear".
        precision: of the factors in the convolutions, "float32", "tf32" or "bfloat16"; by default float32 on a CPU and
            tf32 on a GPU. Weights, norms, sums and the last layer are float32 whatever it is.
        remat: keep only the convolutions' results for the gradient and make what lies between them again (Chen et
            al., 2016): less memory, more time.
    """

    activation: Activation = "leaky_relu"
    padding: Padding = "reflect"
    output: Literal["sigmoid", "linear"] = "sigmoid"
    precision: Precision | None = None
    remat: bool = False

    def __post_init__(self) -> None:
        check_activation("activation", self.activation)
        check_choice("padding", self.padding, ["reflect", "zero"])
        check_choice("output", self.output, OUTPUTS)
        check_choice("precision", self.precision, [None, "float32", "tf32", "bfloat16"])

    def build(self, image_channels: int, normal: Normal) -> nnx.Module:
        """The module, its weights drawn with ``normal``."""
        raise NotImplementedError

    def latent_grid(self, *grid: int) -> tuple[int, ...]:
        """The grid of the latent for an image of this grid, (H, W) or with fewer or more axes."""
        raise NotImplementedError

    def latents(self, key: PRNGKey, grid: tuple[int, ...]) -> tuple[Params, Latent]:
        """What is random of the latent's grid: params beside the weights, and the latent, which stays as it is."""
        raise NotImplementedError

    def init(self, key: PRNGKey, image_shape: tuple[int, ...]) -> tuple[Params, Latent]:
        """Random params and a latent for images of shape (H, W, C), signals (L, C) or volumes (D, H, W, C)."""
        return _init(self, key, tuple(image_shape))

    def apply(self, params: Params, latent: Latent) -> Float[Array, "*covering C"]:
        """The image g_θ(z) on the generator's own grid, which covers (H, W)."""
        return self._image(params, latent, latent.ndim - 1)

    def _image(self, weights: Params, latents: Any, axes: int) -> Float[Array, "*covering C"]:
        """The image of the module with these weights, called with these latents."""
        graph = _graph(self, weights["output"]["kernel"].shape[-1], axes)

        def image(weights: Params, latents: Any) -> Array:
            module: Any = nnx.merge(graph, weights)
            return OUTPUTS[self.output](module(latents))

        if self.remat:
            image = jax.checkpoint(image, policy=KEEP_CONVOLVED)
        return image(weights, latents)

    @property
    def _convolution(self) -> dict[str, Any]:
        """The options of every convolution but the last."""
        return {"padding": self.padding, "precision": self.precision}


@dataclass(frozen=True, kw_only=True)
class FixedLatent(Network):
    """The fields and methods of the generators whose only latent is their input, which stays as it was drawn.

    Arguments:
        latent: "noise", uniform on [0, latent_scale) in latent_channels channels, or "coordinates", the two coordinates
            of each pixel.

    The other arguments are those of ``Network``.
    """

    latent: Literal["noise", "coordinates"] = "noise"
    latent_channels: int = 32
    latent_scale: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("latent", self.latent, ["noise", "coordinates"])
        check_whole("latent_channels", self.latent_channels)
        check_scale("latent_scale", self.latent_scale, usual=0.1)

    def latents(self, key: PRNGKey, grid: tuple[int, ...]) -> tuple[Params, Latent]:
        """No params, and the latent (H, W, C)."""
        if self.latent == "coordinates":
            return {}, latents.coordinates(grid)
        return {}, latents.noise(key, grid, self.latent_channels, self.latent_scale)

    def _input_channels(self, axes: int) -> int:
        return axes if self.latent == "coordinates" else self.latent_channels


@partial(jax.jit, static_argnums=(0, 2))
def _init(generator: Network, key: PRNGKey, image_shape: tuple[int, ...]) -> tuple[Params, Latent]:
    *grid, image_channels = image_shape
    axes = len(grid)
    params_key, latent_key = jax.random.split(key)
    draw = _one_draw(params_key, _count_draws(generator, image_channels, axes))
    module = generator.build(image_channels, Normal(draw, axes))
    params, latent = generator.latents(latent_key, generator.latent_grid(*grid))
    return nnx.to_pure_dict(nnx.state(module)) | params, latent


def _one_draw(key: PRNGKey, size: int) -> Callable[[tuple[int, ...]], Array]:
    """Normal draws cut from one long vector: one random stream compiles many times faster than one a weight."""
    draws, start = jax.random.normal(key, (size,)), 0

    def normal(shape: tuple[int, ...]) -> Array:
        nonlocal start
        start += math.prod(shape)
        return draws[start - math.prod(shape) : start].reshape(shape)

    return normal


def _count_draws(generator: Network, image_channels: int, axes: int) -> int:
    sizes: list[int] = []

    def count(shape: tuple[int, ...]) -> Array:
        sizes.append(math.prod(shape))
        return jnp.zeros(shape)

    nnx.eval_shape(lambda: generator.build(image_channels, Normal(count, axes)))
    return sum(sizes)


@cache
def _graph(generator: Network, image_channels: int, axes: int) -> nnx.GraphDef:
    none = Normal(jnp.zeros, axes)
    return nnx.split(nnx.eval_shape(lambda: generator.build(image_channels, none)))[0]


def covering_grid(*grid: int, scales: int, smallest: int) -> tuple[int, ...]:
    """The least multiples of 2**scales that cover the grid and leave ``smallest`` pixels at the coarsest scale.

    >>> covering_grid(100, 33, scales=4, smallest=2)
    (112, 48)
    """
    step = 2**scales
    return tuple(max(-(-n // step), smallest) * step for n in grid)


def per_scale(channels: int | tuple[int, ...], scales: int) -> tuple[int, ...]:
    """One number of channels a scale, finest first."""
    return (channels,) * scales if isinstance(channels, int) else channels


def check_choice(name: str, found: object, allowed: Collection[str | None]) -> None:
    """Raises ValueError unless the field's value is one of those allowed."""
    if found not in allowed:
        raise ValueError(f"{name} is {found!r} but must be one of {', '.join(map(repr, allowed))}.")


def check_activation(name: str, found: object) -> None:
    """Raises ValueError unless the field's value is a nonlinearity."""
    check_choice(name, found, [known for known in ACTIVATIONS if known != "linear"])


def check_whole(name: str, found: object, least: int = 1) -> None:
    """Raises ValueError unless the field's value is a whole number of at least ``least``."""
    if not isinstance(found, int | np.integer) or isinstance(found, bool) or found < least:
        raise ValueError(f"{name} is {found!r} but must be a whole number of at least {least}.")


def check_channels(name: str, found: object, scales: int, least: int = 1) -> None:
    """Raises ValueError unless the field is a number of channels, or a tuple of one a scale."""
    if not isinstance(found, tuple):
        return check_whole(name, found, least)
    if len(found) != scales:
        raise ValueError(
            f"{name} has {len(found)} entries but scales is {scales}: pass one number for all, or one a scale, finest first."
        )
    for entry in found:
        check_whole(f"an entry of {name}", entry, least)


def check_scale(name: str, found: float, usual: float) -> None:
    """Raises ValueError unless the field is above 0."""
    if not found > 0:
        raise ValueError(f"{name} is {found!r} but must be above 0: {usual:g} is usual.")


def check_kernel(name: str, found: object) -> None:
    """Raises ValueError unless the field is the size of an odd kernel that ``convolve`` knows."""
    if found not in (1, 3, 5):
        raise ValueError(f"{name} is {found!r} but must be 1, 3 or 5 pixels.")
