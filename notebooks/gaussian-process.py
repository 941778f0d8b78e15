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
# # The prior in one dimension
#
# Cheng et al. (*A Bayesian Perspective on the Deep Image Prior*, CVPR 2019) showed what an untrained convolutional network believes before it sees
# data: with many channels its output is a **stationary Gaussian process**. In one dimension that is easily seen.
# `bdip.sample` takes a signal as it takes an image.

# %%
import jax
import numpy as np
from scipy.stats import norm

import bdip
from bdip.plot import Picture

LENGTH, DRAWS = 128, 400
network = bdip.Hourglass(scales=3, channels_down=32, channels_up=32, output="linear")

# %% [markdown]
# ## Draws of the prior
#
# Each draw has fresh random weights *and* a fresh random latent; nothing is trained.


# %%
def draw(key):
    return network.apply(*network.init(key, (LENGTH, 1)))[:, 0]


prior = np.array(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), DRAWS)))
figure = Picture(figsize=(8, 2.4), layout="constrained")
axes = figure.subplots()
axes.plot(prior[:5].T, linewidth=1)
axes.set(xlabel="position", title="five draws of the prior")
figure

# %% [markdown]
# **Stationary**: the variance is the same at all positions, and how two positions go together depends on their distance alone, but
# for the ends, where the signal is mirrored. (It does not fall to zero, for each draw has a level of its own.) **Gaussian**: at one position the values of all draws lie on the diagonal of a normal
# probability plot.

# %%
correlation = np.corrcoef(prior.T)
reach = np.arange(-24, 25)
figure = Picture(figsize=(10, 2.8), layout="constrained")
left, middle, right = figure.subplots(1, 3)
left.plot(prior.std(axis=0))
left.set(ylim=(0, None), xlabel="position", title="standard deviation")
for centre in (32, 48, 64, 80, 96):
    middle.plot(reach, correlation[centre, centre + reach], label=f"from {centre}", linewidth=1)
middle.set(xlabel="distance", title="correlation")
middle.legend(frameon=False, fontsize=7)
values = np.sort(prior[:, 64]) / prior[:, 64].std()
right.plot(norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS), values, ".", markersize=3)
right.plot((-3, 3), (-3, 3), color="grey", linewidth=1, linestyle=":")
right.set(xlabel="normal quantile", title="draws at position 64")
figure

# %%
inner = prior[:, 16:-16].std(axis=0)
print(f"standard deviation: {inner.mean():.2f}, from {inner.min():.2f} to {inner.max():.2f} "
      f"(luck alone: ± {2 * inner.mean() / np.sqrt(2 * DRAWS):.2f})")  # fmt: skip

# %% [markdown]
# ## The posterior
#
# A signal under noise, with a gap. The band is the mean, give or take two standard deviations.

# %%
position = np.arange(LENGTH)
truth = np.sin(position / 9) + 0.5 * np.sin(position / 4 + 1)
noisy = truth + np.random.default_rng(1).normal(0, 0.3, LENGTH)
known = (position < 56) | (position >= 76)

posterior = bdip.sample(
    noisy, known, noise_std=0.3, data_range=(-2, 2), steps=4000, progress=False,
    generator=bdip.Hourglass(scales=3, channels_down=32, channels_up=32),
)  # fmt: skip

# %%
mean, std = posterior.mean, posterior.std
figure = Picture(figsize=(8, 3), layout="constrained")
axes = figure.subplots()
axes.fill_between(position, mean - 2 * std, mean + 2 * std, alpha=0.25, label="± 2 std")
axes.plot(position, mean, label="mean")
axes.plot(position, truth, color="black", linewidth=1, linestyle="--", label="truth")
axes.plot(position[known], noisy[known], ".", color="grey", markersize=4, label="data")
axes.legend(frameon=False, ncols=4, loc="upper right", fontsize=8)
axes.set(xlabel="position", ylim=(-2.3, 2.6))
figure

# %%
inside = np.abs(truth - mean) < 2 * std
print(
    f"root mean square error {np.sqrt(np.mean((mean - truth)[known] ** 2)):.2f} where it is known (noise 0.30)"
)
print(f"std {std[known].mean():.2f} where it is known, {std[~known].mean():.2f} in the gap")
print(
    f"within 2 std: {100 * inside[known].mean():.0f} % where it is known, {100 * inside[~known].mean():.0f} % in the gap"
)
print(*posterior.verdict, sep="\n")

# %% [markdown]
# In the gap the band widens, as a Gaussian process's does, and closes where data return.
