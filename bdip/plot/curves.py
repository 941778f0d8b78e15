"""Figures made of curves: χ², PSNR and all else that is followed from step to step."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from bdip.plot.style import (
    BLUE,
    CHAINS,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    Picture,
    tidy,
)
from bdip.posterior import Posterior

# Columns of a trace, and what stands at their axis.
NAMES = {
    "chi2": "χ² (1 is right)",
    "noise_std": "σ (image units)",
    "energy": "energy U (nats)",
    "step_size": "step size ε",
    "energy_error": "energy not conserved (nats)",
}
ROW_INCHES = 1.7
METHODS = (
    ORANGE,
    BLUE,
    GREEN,
    PINK,
    SKY,
    GREY,
)  # colours of a comparison, which has the descent first
MOST_POINTS = 2000  # of a curve: more than a figure has dots across


def plot_curves(
    curves: dict[str, dict[str, Any]], with_truth: bool, levels: Mapping[str, float] | None = None
) -> Figure:
    """PSNR, where the truth is known, and χ² against the step, for each method of a comparison.

    `curves` maps a method to "step", "chi2" and, with the truth, "draw" and "mean" (dB, (t,)); `levels` maps what else
    there is to its PSNR, such as the noisy image. Steps are on a logarithmic axis: what a descent gains and loses
    again, it does in the first hundreds.
    """
    figure = Picture(figsize=(8.4, 6.4 if with_truth else 3.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1 + with_truth, 1, sharex=True))
    for (name, curve), colour in zip(curves.items(), cycle(METHODS)):
        if with_truth:
            _psnr(panels[0], name, curve, colour)
        panels[-1].plot(curve["step"], curve["chi2"], color=colour, label=name)
    if with_truth:
        for name, level in (levels or {}).items():
            panels[0].axhline(level, color=GREY, linestyle="--", linewidth=1, label=name)
        heights = [curve[k] for curve in curves.values() for k in ("draw", "mean")]
        panels[0].set_ylim(*limits(np.concatenate([*heights, [*(levels or {}).values()]])))
        panels[0].set_ylabel("PSNR against the truth (dB)")
    panels[-1].axhline(1, color=GREY, linestyle=":", linewidth=1)
    panels[-1].set_yscale("log")
    panels[-1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[-1].yaxis.set_major_formatter("{x:g}")
    panels[-1].yaxis.set_minor_formatter(NullFormatter())
    panels[-1].set_ylabel("χ² (below 1: fits the noise)")
    panels[-1].set_xlabel("step")
    panels[-1].set_xscale("log")
    panels[-1].xaxis.set_major_formatter("{x:g}")
    panels[0].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    for panel in panels:
        tidy(panel)
    return figure


def _psnr(axes: Axes, name: str, curve: dict[str, Any], colour: str) -> None:
    """The single outputs of a method, thin where there is an average as well."""
    kind = "single draw" if curve["averages"] else "output"
    alpha = 0.55 if curve["averages"] else 1
    axes.plot(
        curve["step"], curve["draw"], color=colour, lw=1, alpha=alpha, label=f"{name}: {kind}"
    )
    if curve["averages"]:
        axes.plot(curve["step"], curve["mean"], color=colour, lw=2.2, label=f"{name}: running mean")


def plot_trace(posterior: Posterior) -> Figure:
    """Every column of the trace against the step, a line a chain; the warm-up is shaded.

    The axes are those of the steps after the first tenth of the warm-up, where values fall from far
    above; a long curve is drawn as the means of equal stretches.
    """
    columns = [name for name in NAMES if name in posterior.trace]
    figure = Picture(figsize=(7, ROW_INCHES * len(columns) + 0.4), layout="constrained")
    rows = list(np.atleast_1d(figure.subplots(len(columns), 1, sharex=True)))
    for place, name in zip(rows, columns, strict=True):
        _trace(place, posterior.trace[name], posterior.warmup)
        place.set_ylabel(NAMES[name], fontsize=8)
    rows[0].axhline(1, color=GREY, linestyle=":", linewidth=1)
    rows[-1].set_xlabel("step")
    if len(posterior.trace["chi2"]) > 1:
        rows[0].legend(frameon=False, fontsize=8, ncols=len(CHAINS), loc="upper right")
    return figure


def plot_progress(image: ArrayLike, caption: str, chi2: Mapping[int, Any]) -> Figure:
    """A picture (H, W) or (H, W, 3) from 0 to 1, and χ² (step, value) of each chain beside it."""
    figure = Picture(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    left.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    left.set_title(caption, fontsize=9)
    left.set_axis_off()
    for chain, points in chi2.items():
        steps, values = np.asarray(points, np.float64).T
        right.plot(steps, values, color=CHAINS[chain % len(CHAINS)], label=f"chain {chain + 1}")
    recent = [np.asarray(points)[len(points) // 2 :, 1] for points in chi2.values()]
    right.set_ylim(*limits(np.concatenate(recent), 1.0))
    right.axhline(1, color=GREY, linestyle=":", linewidth=1)
    right.set(xlabel="step", ylabel=NAMES["chi2"])
    if len(chi2) > 1:
        right.legend(frameon=False, fontsize=8)
    tidy(right)
    return figure


def limits(values: NDArray[Any], level: float | None = None) -> tuple[float, float]:
    """Where an axis for these values starts and ends: far outliers are off it, `level` is on it."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    if level is not None:
        low, high = min(low, level), max(high, level)
    room = 0.15 * (high - low) or abs(high) / 10 or 1.0
    return float(low - room), float(high + room)


def thinned(values: NDArray[Any], most: int = MOST_POINTS) -> tuple[NDArray[Any], NDArray[Any]]:
    """Steps and values of a long curve (t,): the means of equal stretches, at most `most` of them."""
    stretch = max(1, -(-len(values) // most))
    whole = len(values) // stretch * stretch
    means = values[:whole].reshape(-1, stretch).mean(axis=1)
    return stretch * np.arange(len(means)) + (stretch - 1) / 2, means


def _trace(axes: Axes, chains: NDArray[Any], warmup: int) -> None:
    for number, values in enumerate(chains):
        steps, means = thinned(values)
        colour = CHAINS[number % len(CHAINS)]
        axes.plot(steps, means, color=colour, linewidth=0.8, label=f"chain {number + 1}")
    axes.set_ylim(*limits(chains[:, min(warmup // 10, chains.shape[1] // 2) :]))
    if warmup:
        axes.axvspan(0, min(warmup, chains.shape[1]), color=GREY, alpha=0.12, linewidth=0)
    axes.tick_params(labelsize=8)
    tidy(axes)
