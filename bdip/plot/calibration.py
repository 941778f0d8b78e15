"""The reliability plot: do intervals of probability p hold the truth with probability p?"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bdip.diagnostics import coverage
from bdip.plot.style import BLUE, GREY, Picture, last, tidy
from bdip.posterior import Posterior

LEVELS = np.arange(0.05, 1.0, 0.05)  # of the central intervals
BAND_LEVEL = 0.95  # of the binomial band, of 1.96 standard errors
BAND_ERRORS = 1.96


def plot_calibration(posterior: Posterior, clean: ArrayLike | None = None) -> Figure:
    """Observed against nominal coverage of the central normal intervals, with a binomial band.

    Of the pixels of the truth `clean`, in the image's units, where it is given; otherwise of those held
    out. The band is p ± 1.96 √(p(1 − p)/n) for n independent pixels; errors of neighbouring pixels
    go together, so that against a truth even a right answer can leave it.

    Raises ValueError where there is nothing to compare with, or no standard deviation.
    """
    truth, mean, std, name = _predicted(posterior, clean)
    nominal = np.array([0.0, *LEVELS, 1.0])
    observed = [coverage(truth, mean, std, float(level)) for level in LEVELS]
    error = BAND_ERRORS * np.sqrt(nominal * (1 - nominal) / len(truth))
    figure = Picture(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    band = np.clip((nominal - error, nominal + error), 0, 1)
    axes.fill_between(
        nominal, *band, color=GREY, alpha=0.2, linewidth=0,
        label=f"{100 * BAND_LEVEL:.0f} % of {len(truth):,} independent pixels",
    )  # fmt: skip
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=1, linestyle=":")
    axes.plot(LEVELS, observed, "o-", color=BLUE, markersize=3.5, label=name)
    axes.set(xlabel="nominal coverage", ylabel="observed coverage", xlim=(0, 1), ylim=(0, 1))
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.text(0.97, 0.03, "below the line: too sure", ha="right", fontsize=8, color=GREY)
    tidy(axes)
    return figure


def _predicted(
    posterior: Posterior, clean: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], str]:
    """Truth, mean and std of the pixels (n, C), and what they are."""
    if not np.isfinite(posterior.std).any():
        raise ValueError("this answer has no standard deviation: use a sampler such as 'mclmc'.")
    if clean is None:
        measured, mean, std = posterior.held_out()
        if len(measured) == 0:
            raise ValueError(
                "no pixels were held out: pass the truth, plot_calibration(clean), or sample with "
                "holdout=0.02."
            )
        return measured, mean, std, "pixels held out"
    truth = np.asarray(clean, np.float64)
    if truth.shape != posterior.mean.shape:
        raise ValueError(
            f"clean has shape {truth.shape} but the mean {posterior.mean.shape}: pass the true image "
            "in the same axes."
        )
    axis = posterior.settings["channel_axis"]
    channels = 1 if axis is None else truth.shape[axis]
    truth, mean, std = (
        last(each, axis).reshape(-1, channels) for each in (truth, posterior.mean, posterior.std)
    )
    there = np.isfinite(truth).all(axis=1)
    return truth[there], mean[there], std[there], "against the truth"
