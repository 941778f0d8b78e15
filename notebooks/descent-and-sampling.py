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
# # Why descent overfits, and sampling does not
#
# The Deep Image Prior (Ulyanov et al., 2018) fits a network to the noisy image by gradient descent, here Adam. The network learns the
# picture first and the noise later, so that there is a best moment to stop, which nobody knows without the truth. Sampling
# the posterior (Cheng et al., 2019) adds to each step just the noise that keeps the network from settling on any one explanation
# of the data, and averages what it sees. It has no best moment: it can run on.

# %%
import numpy as np
import skimage

import bdip
from bdip.compare import compare
from bdip.diagnostics import psnr
from bdip.plot import plot_curves, plot_rows

clean = skimage.data.camera()[84:180, 186:282].astype(float)
clean = clean.reshape(48, 2, 48, 2).mean(axis=(1, 3))  # (48, 48), from 0 to 255
noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)

comparison = compare(
    noisy, clean=clean, samplers=("adam", "mclmc"), noise_std=25, data_range=(0, 255), steps=800,
    generator=bdip.Hourglass(scales=3, channels_down=16, channels_up=16), progress=False,
)  # fmt: skip
print(comparison.table())

# %%
plot_curves(comparison.curves, with_truth=True)

# %% [markdown]
# **Above**, the PSNR against the truth. Descent rises, and falls again while it learns the noise. Of the sampler the thin line is
# one draw, never better than a good moment of descent, and it need not be: by the 3 dB law a draw is about 3 dB worse than the mean of all, the
# thick line, which starts where the warm-up ends.
#
# **Below**, what can be seen *without* the truth: χ², the misfit in units of the noise. The true image would have 1. Descent goes through 1 without a
# halt and on towards 0: it explains the noise as if it were picture. The sampler comes to 1 and stays.

# %%
posteriors = comparison.posteriors
best = int(np.argmax(comparison.curves["adam"]["draw"]))
print(
    f"descent was best at step {comparison.curves['adam']['step'][best]}, which only the truth tells"
)
plot_rows([[
    (f"noisy, {psnr(clean, noisy, 255):.1f} dB", noisy),
    (f"descent at its end, {psnr(clean, posteriors['adam'].mean, 255):.1f} dB", posteriors["adam"].mean),
    (f"mean of the draws, {psnr(clean, posteriors['mclmc'].mean, 255):.1f} dB", posteriors["mclmc"].mean),
    ("truth", clean),
]])  # fmt: skip

# %% [markdown]
# Why is a draw not as good as the mean? Draws and the truth are alike, as far as the data tell: each is as far from the mean as
# the other. So a draw is twice as far from the truth, in squares, as the mean is: 10 log₁₀ 2 = 3.01 dB.

# %%
answer = posteriors["mclmc"]
draws = [psnr(clean, draw, 255) for draw in answer.draws[0]]
print(f"mean − draw: {psnr(clean, answer.mean, 255) - np.mean(draws):.2f} dB")

# %% [markdown]
# A verdict comes with either.

# %%
for name, posterior in posteriors.items():
    print(f"{name}:", *posterior.verdict, sep="\n  ")
