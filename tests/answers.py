"""Answers made up of random numbers, for the tests of what shows them."""

import numpy as np

from bdip.posterior import Posterior

SETTINGS = {
    "steps": 60, "warmup": 20, "sampler": {"name": "Mclmc", "temperature": 1.0},
    "generator": {"name": "Hourglass", "channels_skip": [0, 4]}, "seed": 5, "noise_std": 20.0,
    "data_range": [0.0, 255.0], "observed": 1.0, "observed_values": 320, "dtype": "float32",
    "versions": {"bdip": "1.2.3"},
}  # fmt: skip


def answer(shape=(16, 20), axis=None, chains=2, draws=8, std=6.0, seed=0, **changes):
    """A posterior of this shape whose draws are N(mean, std²)."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(40, 200, shape)
    chi2 = 1 + 0.1 * rng.normal(size=(chains, 60))
    content = {
        "mean": mean,
        "std": np.full(shape, std),
        "draws": mean + std * rng.normal(size=(chains, draws, *shape)),
        "trace": {"energy": 160 * chi2, "chi2": chi2, "step_size": np.full_like(chi2, 0.01)},
    }
    content = {
        name: {k: v.astype(np.float32) for k, v in value.items()} if name == "trace" else value.astype(np.float32)
        for name, value in content.items()
    }  # fmt: skip
    settings = {**SETTINGS, "channel_axis": axis}
    return Posterior(**{"settings": settings, **content, **changes})
