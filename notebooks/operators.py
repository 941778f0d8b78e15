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
# # Super-resolution, and an operator of your own
#
# What was measured need not be the image itself: `operator=` says what was done to it. Mean and std are then those of the image
# *before* that. Operators compose as matrices do: what stands on the right comes first.

# %%
import jax.numpy as jnp
import numpy as np
import skimage
from PIL import Image

import bdip
from bdip.diagnostics import psnr
from bdip.plot import plot_rows

clean = skimage.data.camera()[84:180, 186:282].astype(float)
clean = clean.reshape(48, 2, 48, 2).mean(axis=(1, 3))  # (48, 48), from 0 to 255
rng = np.random.default_rng(0)
options = {"data_range": (0, 255), "steps": 6000, "progress": False}

# %% [markdown]
# ## A small, blurred picture
#
# A lens blurs, and each pixel of a sensor takes the mean of an area: `Downsample(2) @ Blur.gaussian(0.7)`, the blur in pixels of the
# large image. Before anything else, look at what the operator makes of a picture.

# %%
camera = bdip.Downsample(2) @ bdip.Blur.gaussian(0.7)
small = np.array(camera(clean[..., None])[..., 0])
small = small + rng.normal(0, 4, small.shape)
print(clean.shape, "becomes", small.shape)

large = bdip.sample(small, operator=camera, noise_std=4, **options)
bicubic = np.array(
    Image.fromarray(small.astype(np.float32)).resize((48, 48), Image.Resampling.BICUBIC)
)
plot_rows([[
    (f"bicubic, {psnr(clean, bicubic, 255):.1f} dB", bicubic),
    (f"mean, {psnr(clean, large.mean, 255):.1f} dB", large.mean),
    ("5 × std", 5 * large.std), ("truth", clean),
]])  # fmt: skip

# %% [markdown]
# The std is largest along edges: where exactly they run is what so few pixels do not tell.

# %%
print(large.summary())

# %% [markdown]
# ## An operator of your own
#
# Any function that JAX can differentiate will do. This film answers to light with its square root, and was exposed
# twice, the camera moved by three pixels in between. `linear=False`, for a square root is not linear; the function
# then sees images in their own units. The second argument says what shape an image has whose data have a given shape: the same, here.


# %%
def film(image):
    moved = jnp.roll(image, 3, axis=1)
    return jnp.sqrt(jnp.maximum((image + moved) / 2, 1e-3))


twice = bdip.FromFunction(film, lambda shape: shape, linear=False)
exposed = np.array(twice(clean[..., None])[..., 0])  # from 0 to 16
exposed = exposed + rng.normal(0, 0.4, exposed.shape)

once = bdip.sample(exposed, operator=twice, noise_std=0.4, **options)
plot_rows([[
    ("the film", exposed * 16), (f"mean, {psnr(clean, once.mean, 255):.1f} dB", once.mean),
    ("5 × std", 5 * once.std), ("truth", clean),
]])  # fmt: skip

# %%
print(*once.verdict, sep="\n")

# %% [markdown]
# Noise is in the units of the data (0.4 of 16), mean and std in those of the image (0 to 255), which is why `data_range` must be
# given. `FromMatrix` takes a matrix, dense or sparse; `Radon`, `Fourier` and `Mosaic` are tomography, magnetic resonance and colour filters. An operator with numbers that
# change, to try many values of, is better written as a class: the notebook *your-own* does so.
