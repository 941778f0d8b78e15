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
# # What the error bars mean, and when not to trust them
#
# `posterior.std` is the standard deviation of the clean image's value at each pixel, **given** the data, the noise you said
# there is, and the prior that the network stands for. If all that is right, an interval of 90 % holds the truth nine times in ten, over
# all pixels. Nothing forces it to be right. Here is a way to see it, and one way to get it wrong.

# %%
import numpy as np
import skimage

import bdip
from bdip.diagnostics import coverage

clean = skimage.data.camera()[84:180, 186:282].astype(float)
clean = clean.reshape(48, 2, 48, 2).mean(axis=(1, 3))  # (48, 48), from 0 to 255
noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)
options = {"data_range": (0, 255), "holdout": 0.1, "steps": 800, "progress": False}

# %% [markdown]
# ## Without the truth: pixels held out
#
# With `holdout=0.1` the sampler is not shown a tenth of the observed pixels. Each of them is then compared with what was predicted for it: the mean, give or
# take the std *and* the noise, N(mean, std² + σ²). On real data 2 % are enough, for there are more of them.

# %%
posterior = bdip.sample(noisy, noise_std=25, **options)
print(posterior.summary())

# %%
posterior.plot_calibration()

# %% [markdown]
# The reliability plot: of the intervals of each nominal probability, how many held what was measured? On the diagonal
# the error bars are honest; below it they are too short. The grey band is the luck of so few pixels.
#
# ## With the truth
#
# Here we have it. This is the stricter test, for the noise no longer blurs the comparison.

# %%
posterior.plot_calibration(clean)

# %%
for level in (0.5, 0.9, 0.99):
    found = coverage(clean, posterior.mean, posterior.std, level)
    print(f"{100 * level:.0f} % intervals cover the truth at {100 * found:.1f} % of the pixels")

# %% [markdown]
# That is about what they promise, and the held-out pixels have said so. The verdict asks for more steps all the same: after so few, some
# dozen effective draws, the mean is not yet the mean. Held-out pixels, under a noise larger than the std, are too blunt to show
# that, so read all lines of a verdict. The run as it should be, to its own end, is in the README's table: 89 to 92 %.
#
# Coverage is also an average over all pixels. It can be right on the whole and wrong along an edge.
#
# ## The model is wrong: σ too small
#
# Let us say that the noise is 10 grey levels, where it is 25.

# %%
wrong = bdip.sample(noisy, noise_std=10, **options)
print(*wrong.verdict, sep="\n")

# %% [markdown]
# The sampler believes what it is told: whatever departs from the image by more than 10 levels must be picture, so it paints as much of the noise as the network can, and is sure of it.
# The verdict does not need the truth to say so.

# %%
wrong.plot_calibration(clean)

# %%
for name, each in {"σ = 25, right": posterior, "σ = 10, wrong": wrong}.items():
    inside = coverage(clean, each.mean, each.std)
    held = each.diagnostics["holdout_coverage_90"]
    print(f"{name}: χ² {each.diagnostics['chi2']:.2f}; 90 % intervals cover {100 * held:.0f} % of the pixels held out, "
          f"{100 * inside:.0f} % of the truth")  # fmt: skip

# %% [markdown]
# ## When not to trust them
#
# * **χ² is not 1**, or held-out pixels are not covered: σ is wrong, or the noise is not what it is taken for. Leave `noise_std` out, and it is estimated; or say
#   `noise_std="sample"`, and it is drawn with the image; for photons there is `bdip.PoissonGaussian`.
# * **R-hat is above 1.1, or the effective draws are few**: the chain was too short. Leave `steps` out, and it ends where it may.
# * **Noise that goes together from pixel to pixel** (JPEG, demosaicking, stripes): the model takes each pixel for a witness of its own, and the
#   error bars come out too short.
# * **Large holes, high magnifications**: there the answer is the prior's opinion, and no held-out pixel can check it.
