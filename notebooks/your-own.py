# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An operator, a generator and a sampler of your own
#
# All three are frozen dataclasses of two or three methods. They work where they stand, in a notebook, and go into
# the package by one file and one line of a registry each. Here is one of each, about ten lines apiece.

# %%
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import skimage

import bdip
from bdip.diagnostics import psnr
from bdip.networks import latents
from bdip.operators import Operator
from bdip.plot import plot_rows
from bdip.samplers import Constant, Schedule
from bdip.trees import frozen_pytree, normal_like

# %% [markdown]
# ## Operator: what was done to the image
#
# A photograph through a window shows everything twice: once straight, once weaker and moved aside. `strength` is a
# number, which may change without compiling again; `shift` decides shapes, so it is named as structure. The adjoint
# comes from JAX.


# %%
@frozen_pytree("shift")
class Reflection(Operator):
    """The image, and over it itself times `strength`, moved `shift` pixels to the right."""

    strength: float
    shift: int = 6

    def __call__(self, image):
        moved = jnp.roll(image, self.shift, axis=1)
        return image + self.strength * moved.at[:, : self.shift].set(0)

    def image_shape(self, data_shape):
        return data_shape


# %% [markdown]
# ## Generator: what images are like
#
# Not a convolution this time but a function of the coordinates: a perceptron on sines and cosines (Tancik et al.,
# *Fourier Features*, NeurIPS 2020). `init` draws the weights and the fixed latent, `apply` makes the image. The weights
# are standard normal, as the prior with `weight_precision` 1 says, and are scaled where they are used.


# %%
@dataclass(frozen=True)
class FourierFeatures:
    """tanh layers on `features` waves of the coordinates, with up to about `frequency` periods across the image."""

    features: int = 64
    width: int = 32
    frequency: float = 3.0

    def init(self, key, image_shape):
        *grid, channels = image_shape
        waves, *keys = jax.random.split(key, 4)
        directions = self.frequency * jax.random.normal(waves, (len(grid), self.features // 2))
        angles = 2 * jnp.pi * latents.coordinates(tuple(grid)) @ directions
        sizes = {"first": (self.features, self.width), "second": (self.width, self.width),
                 "output": (self.width, channels)}  # fmt: skip
        params = {n: jax.random.normal(k, s) for k, (n, s) in zip(keys, sizes.items(), strict=True)}
        return params, jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)

    def apply(self, params, latent):
        for name in ("first", "second"):
            latent = jnp.tanh(latent @ params[name] / jnp.sqrt(latent.shape[-1] / 2))
        return jax.nn.sigmoid(2 * latent @ params["output"] / jnp.sqrt(self.width))


# %% [markdown]
# ## Sampler: how the weights move
#
# Leimkuhler and Matthews (2013) found that Langevin's step is far better with the mean of two noises that follow
# each other, $\theta \leftarrow \theta - \frac{\varepsilon}{2} \nabla U + \sqrt{\varepsilon T}\, \frac{\xi_t + \xi_{t+1}}{2}$:
# on a quadratic energy of curvature $l$ its variance is $T/l$ whatever the step size, where the plain step has
# $T / (l (1 - \varepsilon l / 4))$. The state holds what the next step needs: how many steps were done, the size of the
# last, and its noise.


# %%
class TwoNoisesState(NamedTuple):
    step: Any
    step_size: Any
    noise: Any


@frozen_pytree()
class TwoNoises:
    """Langevin dynamics with the mean of the last two noises."""

    exact: ClassVar[bool] = True  # its kept draws are of the posterior,
    uncertain: ClassVar[bool] = True  # so that their spread means something,
    input_jitter: ClassVar[float] = 0.0  # it leaves the latent alone,
    cycle: ClassVar[int] = 1  # and every image after the warm-up is kept;
    alike: ClassVar[bool] = True  # no weight has a rule of its own: all may come as one vector

    step_size: Schedule
    temperature: float = 1.0
    warmup: int = 0

    def init(self, params):
        return TwoNoisesState(jnp.int32(0), jnp.float32(0), jax.tree.map(jnp.zeros_like, params))

    def step(self, key, params, grad, state, energy):
        step_size = self.step_size(state.step, self.warmup)
        std, noise = jnp.sqrt(step_size * self.temperature), normal_like(key, params)
        params = jax.tree.map(
            lambda p, g, old, new: p - step_size / 2 * g + std * (old + new) / 2,
            params, grad, state.noise, noise,
        )  # fmt: skip
        return params, TwoNoisesState(state.step + 1, step_size, noise)

    @classmethod
    def default(cls, information):
        # ε goes with the inverse of n/σ², which data know θ by; of 2, 6 and 20 the last was best.
        return cls(Constant(20 / information))


# %% [markdown]
# ## All three at work

# %%
clean = skimage.data.camera()[84:180, 186:282].astype(np.float32)
clean = clean.reshape(48, 2, 48, 2).mean(axis=(1, 3))  # (48, 48), from 0 to 255
window, noise_std = Reflection(strength=0.5), 15
seen = np.array(window(clean[..., None])[..., 0])
seen = seen + np.random.default_rng(0).normal(0, noise_std, seen.shape)

posterior = bdip.sample(
    seen, operator=window, noise_std=noise_std, data_range=(0, 255), generator=FourierFeatures(),
    sampler=TwoNoises.default(seen.size / (noise_std / 255) ** 2), steps=5000, progress=False,
)  # fmt: skip
print(posterior.summary())

# %%
plot_rows([[
    ("seen through the window", seen / 1.5),
    (f"without it, {psnr(clean, posterior.mean, 255):.1f} dB", posterior.mean),
    ("truth", clean),
]])  # fmt: skip

# %% [markdown]
# The picture is soft, for these waves are; and the verdict says, as it should, what this simple sampler has not reached
# in so few steps: the package's own preconditions its step, and moves faster.
#
# ## Into the package
#
# | what | its file | its line | its row in the tests' tables |
# |---|---|---|---|
# | operator | `bdip/operators/reflection.py` | `"reflection": Reflection` in the `REGISTRY` of `bdip/operators/__init__.py` | `CASES` of `tests/test_operators.py` |
# | generator | `bdip/networks/fourier_features.py` | `REGISTRY` of `bdip/networks/__init__.py` | `SMALL` of `tests/test_networks.py`, `GENERATORS` of `tests/test_signals.py` |
# | sampler | `bdip/samplers/two_noises.py` | `REGISTRY` of `bdip/samplers/__init__.py` | `CASES` of `tests/test_samplers.py`, and as it is exact `ROWS` of `tests/exactness/samplers.py` |
#
# A row is the object, such as `"reflection": Case(Reflection(0.5, 2))`. From then on the contract tests try it: that the operator's
# adjoint is one, that the generator's gradients are finite on one pixel and on many, that the sampler's noise depends on
# the key alone, that a change of a number compiles nothing again, and that an exact sampler has the covariance of its
# law. The tests remind you of a missing row: a registry that holds more than the tables fails. These three classes are tried in the same
# way by `tests/test_newcomers.py`.
