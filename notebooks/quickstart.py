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
# # bdip in five minutes
#
# One noisy photograph, half of its pixels missing, restored from itself alone. The picture and the network are
# small and the steps few, so that this page runs in about a minute; for real work leave `generator` and `steps` out:
# then the run ends by itself, where the mean is known well enough.

# %%
import numpy as np
import skimage

import bdip
from bdip.diagnostics import coverage, psnr
from bdip.plot import plot_posterior

clean = skimage.data.camera()[60:188, 176:304].astype(float)
clean = clean.reshape(64, 2, 64, 2).mean(axis=(1, 3))  # (64, 64), from 0 to 255
rng = np.random.default_rng(0)
noisy = clean + rng.normal(0, 25, clean.shape)
known = rng.random(clean.shape) < 0.5  # True where a pixel is observed

# %% [markdown]
# Everything is in the image's own units: the noise has a standard deviation of 25 grey levels.

# %%
generator = bdip.Hourglass(scales=3, channels_down=24, channels_up=24)
posterior = bdip.sample(
    noisy, known, noise_std=25, data_range=(0, 255), generator=generator, steps=3000, progress=False
)
print(posterior.summary())

# %%
plot_posterior(posterior, noisy, known, clean)

# %% [markdown]
# A single draw is as rough as the posterior is wide; the mean is smooth. How good is the mean, and do the
# 90 % intervals hold the truth nine times in ten?

# %%
draw = posterior.draws[0, -1]
print(f"one draw {psnr(clean, draw, 255):.2f} dB, mean {psnr(clean, posterior.mean, 255):.2f} dB")
print(f"90 % intervals cover {100 * coverage(clean, posterior.mean, posterior.std):.1f} %")
