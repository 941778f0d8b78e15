"""Answers that are no pictures: a volume, of which the slice in the middle is shown, and a signal, which is a curve."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bdip.diagnostics.calibration import half_width
from bdip.errors import ProblemError
from bdip.plot.style import BLUE, GREY, ORANGE, SKY, Picture, last, tidy
from bdip.posterior import Posterior

LEVEL = 0.9  # of a signal's interval
ROW_INCHES = 2.2
SIGNAL, VOLUME = 1, 3  # axes of the grid


def spatial_axes(posterior: Posterior) -> int:
    """How many axes the grid of the answer has."""
    return posterior.mean.ndim - (posterior.settings["channel_axis"] is not None)


def picture_of(posterior: Posterior) -> Posterior:
    """The answer itself; of a volume the slice in the middle of the first axis of its grid.

    Raises ProblemError where it is a signal, which `plot_posterior` alone shows.
    """
    axes, settings = spatial_axes(posterior), posterior.settings
    if axes == SIGNAL:
        raise ProblemError("a signal is no picture: posterior.plot() draws its curve.")
    if axes != VOLUME:
        return posterior
    axis, data_axis = settings["channel_axis"], posterior.data_axis
    given, held = posterior.input, posterior.holdout
    return replace(
        posterior,
        mean=middle(posterior.mean, axis), std=middle(posterior.std, axis),
        draws=middle(posterior.draws, axis, before=2),
        input=None if given is None or given.ndim < VOLUME else middle(given, data_axis),
        holdout=None if held is None else middle(held, axis),
        settings=settings | {"channel_axis": _after(axis), "data_axis": _after(data_axis)},
    )  # fmt: skip


def middle(volumes: ArrayLike, channel_axis: int | None, before: int = 0) -> NDArray[Any]:
    """The slices in the middle of the first axis that is not that of the channels; so many others are before it."""
    values = np.asarray(volumes)
    axis = before + (channel_axis == 0)
    return np.take(values, values.shape[axis] // 2, axis)


def some_draws(posterior: Posterior, count: int) -> NDArray[np.float32]:
    """So many of the stored draws of all chains, evenly spaced, the last one first."""
    stored = posterior.draws.reshape(-1, *posterior.mean.shape)[::-1]
    return stored[:: max(1, len(stored) // max(count, 1))][:count]


def _after(channel_axis: int | None) -> int | None:
    """Where the channels are in a slice."""
    return channel_axis if not channel_axis else channel_axis - 1


def plot_signal(
    posterior: Posterior, image: ArrayLike | None, clean: ArrayLike | None, draws: int
) -> Figure:
    """Mean of a signal, its interval of 90 %, draws, the input as dots and the truth, a row a channel."""
    axis = posterior.settings["channel_axis"]
    place = np.arange(posterior.mean.size // (1 if axis is None else posterior.mean.shape[axis]))
    given = posterior.input if image is None else np.asarray(image)
    if given is not None and (np.iscomplexobj(given) or given.shape != posterior.mean.shape):
        given = None
    mean, std = (_rows(each, axis) for each in (posterior.mean, posterior.std))
    chosen = some_draws(posterior, draws)
    figure = Picture(figsize=(8.4, ROW_INCHES * len(mean) + 0.6), layout="constrained")
    for row, axes in enumerate(figure.subplots(len(mean), 1, squeeze=False)[:, 0]):
        band = half_width(LEVEL) * std[row]
        axes.fill_between(
            place, mean[row] - band, mean[row] + band, color=SKY, alpha=0.4, lw=0, label="90 %"
        )
        for number, draw in enumerate(chosen):
            label = "a draw" if number == 0 else None
            axes.plot(place, _rows(draw, axis)[row], color=GREY, lw=0.6, alpha=0.7, label=label)
        if given is not None:
            axes.plot(place, _rows(given, axis)[row], ".", color=GREY, ms=3, label="input")
        axes.plot(place, mean[row], color=BLUE, lw=1.2, label="posterior mean")
        if clean is not None:
            truth = _rows(np.asarray(clean), axis)[row]
            axes.plot(place, truth, "--", color=ORANGE, lw=1, label="truth")
        tidy(axes)
        axes.set_ylabel("image units")
    axes.set_xlabel("sample")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def _rows(signal: NDArray[Any], channel_axis: int | None) -> NDArray[Any]:
    """(C, L) of a signal."""
    return np.atleast_2d(last(signal, channel_axis).T)
