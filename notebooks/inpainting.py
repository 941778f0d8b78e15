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
# # Inpainting with masks of your own
#
# Which pixels are missing is said in one of three ways, and all come to the same:
#
# * `mask`, the second argument: **True where a pixel is observed**, as in the Deep Image Prior;
# * `missing=`: True where one is *not*, as in scikit-image;
# * NaN in the image itself.

# %%
import numpy as np
import skimage
from PIL import Image, ImageDraw

import bdip
from bdip.diagnostics import coverage, psnr
from bdip.plot import plot_rows

clean = skimage.data.camera()[84:180, 186:282].astype(float)
clean = clean.reshape(48, 2, 48, 2).mean(axis=(1, 3))  # (48, 48), from 0 to 255
noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)

# %% [markdown]
# ## Text over the picture

# %%
canvas = Image.new("L", (48, 48), 0)
ImageDraw.Draw(canvas).text((2, 3), "do not\ncopy\nthis", fill=255, font_size=14, spacing=2)
text = np.array(canvas) > 64  # True where the text hides the picture

with_nan = np.where(text, np.nan, noisy)
options = {"noise_std": 10, "data_range": (0, 255), "progress": False}
answers = [
    bdip.sample(noisy, ~text, steps=20, **options),
    bdip.sample(noisy, missing=text, steps=20, **options),
    bdip.sample(with_nan, steps=20, **options),
]
print("all the same:", all(np.array_equal(each.mean, answers[0].mean) for each in answers))

# %% [markdown]
# Twenty steps are enough to see that; now some more of them.

# %%
posterior = bdip.sample(noisy, missing=text, steps=2000, **options)
posterior.plot(clean=clean, draws=1)

# %% [markdown]
# The standard deviation shows the letters: where nothing was measured, the answer is less sure, but not by much, for
# strokes are thin and their surroundings known.

# %%
for where, pixels in {"where it was seen": ~text, "under the text": text}.items():
    error = np.sqrt(np.mean((posterior.mean - clean)[pixels] ** 2))
    print(
        f"{where:17} std {np.sqrt(np.mean(posterior.std[pixels] ** 2)):4.1f}, error {error:4.1f} grey levels"
    )

# %% [markdown]
# ## A hole
#
# A large hole is another matter. Its middle is far from anything known; what the network puts there is a guess among
# many, and single draws differ there from each other.

# %%
known = np.ones(clean.shape, bool)
known[26:40, 8:24] = False
hole = bdip.sample(noisy, known, steps=2000, **options)
plot_rows([[
    ("known", np.where(known, noisy, 255)), ("one draw", hole.draws[0, 30]),
    ("another draw", hole.draws[0, -1]), ("mean", hole.mean),
    ("10 × std", 10 * hole.std), ("truth", clean),
]])  # fmt: skip

# %%
print(
    f"std: median {np.median(hole.std[known]):.1f} where it is known, {np.median(hole.std[~known]):.1f} in the hole"
)
for name, pixels in {"known": known, "hole": ~known}.items():
    inside = coverage(clean[pixels], hole.mean[pixels], hole.std[pixels])
    print(f"90 % intervals cover {100 * inside:3.0f} % of the {name} pixels; "
          f"mean {psnr(clean[pixels], hole.mean[pixels], 255):.1f} dB")  # fmt: skip

# %% [markdown]
# **What the standard deviation says in a hole**: how much pictures differ that this network finds natural, and that fit
# what is around the hole. It is the prior's opinion, conditioned on the rim. It knows nothing of a face or a hand that may
# have been there, and where the truth is such a thing, the intervals cannot cover it. A single short chain also sees only a part of
# what is possible in there: several `chains`, and as many steps as the verdict asks for, widen it.
