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
# One noisy photograph, half of its pixels missing, restored from itself alone. The picture is
# small and the steps few, so that this page runs in a minute; for real work leave `steps` out: then the run ends by
# itself, where the mean is known well enough.

# %%
import tempfile
from pathlib import Path

import numpy as np
import skimage

import bdip
from bdip.diagnostics import coverage, psnr

clean = skimage.data.camera()[84:180, 186:282].astype(float)
clean = clean.reshape(48, 2, 48, 2).mean(axis=(1, 3))  # (48, 48), from 0 to 255
rng = np.random.default_rng(0)
noisy = clean + rng.normal(0, 25, clean.shape)
known = rng.random(clean.shape) < 0.5  # True where a pixel is observed

# %% [markdown]
# Everything is in the image's own units: the noise has a standard deviation of 25 grey levels. `bdip.Live()` shows
# the picture and its χ² while they change; without it there is a progress bar.

# %%
posterior = bdip.sample(
    noisy, known, noise_std=25, data_range=(0, 255), steps=1500,
    progress=False, callback=bdip.Live(),
)  # fmt: skip

# %%
posterior.plot(clean=clean)

# %% [markdown]
# A single draw is as rough as the posterior is wide; the mean is smooth. How good is it, and do the 90 % intervals hold
# the truth nine times in ten?

# %%
draw = posterior.draws[0, -1]
print(f"one draw {psnr(clean, draw, 255):.2f} dB, mean {psnr(clean, posterior.mean, 255):.2f} dB")
print(f"90 % intervals cover {100 * coverage(clean, posterior.mean, posterior.std):.1f} %")

# %% [markdown]
# The summary says how it went. Its last lines are a verdict: after so few steps it asks, rightly, for more of them: the intervals above are still too short.

# %%
print(posterior.summary())

# %% [markdown]
# Quantiles and intervals of each pixel come from the stored draws, and need not be symmetric about the mean.

# %%
low, high = posterior.interval(0.9)
print(f"pixel (10, 20): 90 % between {low[10, 20]:.0f} and {high[10, 20]:.0f}, "
      f"median {posterior.quantile(0.5)[10, 20]:.0f}; the truth is {clean[10, 20]:.0f}")  # fmt: skip

# %% [markdown]
# And a page to look at in a browser, with a slider between input and mean, and the numbers of each pixel;
# `posterior.save("answer.npz")` keeps the whole answer.

# %%
with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "answer.html"  # a name of your own, to keep it
    posterior.report(page, title="A cameraman")
    print(f"{page.name}: {page.stat().st_size // 1000} kB, and it needs nothing else")
