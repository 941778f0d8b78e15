"""Figures made of pictures: an answer at a glance, maps of its mixing, sheets of pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from bdip.plot.encoding import std_top, unit_picture
from bdip.plot.grids import (
    SIGNAL,
    VOLUME,
    middle,
    picture_of,
    plot_signal,
    some_draws,
    spatial_axes,
)
from bdip.plot.style import PANEL_INCHES, UNCERTAINTY, Picture, last, panels, single
from bdip.posterior import Posterior

UNKNOWN = "#bbbbbb"  # pixels that have no number
MOST_TICKS = 4  # of a colour bar
LEAST_RHAT_TOP = 1.1  # of the scale of R-hat, so that a good map looks good


def plot_posterior(
    posterior: Posterior,
    image: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    clean: ArrayLike | None = None,
    draws: int = 1,
    title: str | None = None,
) -> Figure:
    """Input, posterior mean, standard deviation with a colour bar, and a few single draws.

    `image`, `mask` (True = observed) and `clean`, the truth where it is known, are as for
    `bdip.sample`; missing pixels are painted white. Without `image` it is the posterior's own input,
    if it has one that is a picture. Of a volume the slice in the middle; a signal is drawn as a curve.
    """
    if spatial_axes(posterior) == SIGNAL:
        return plot_signal(posterior, image, clean, draws)
    if spatial_axes(posterior) == VOLUME:
        axis = posterior.settings["channel_axis"]
        posterior = picture_of(posterior)
        image, clean = (None if each is None else middle(each, axis) for each in (image, clean))
        mask = None if mask is None else middle(mask, None)
    low, high = posterior.settings["data_range"]
    axis = posterior.settings["channel_axis"]
    given = (
        given_picture(posterior) if image is None else _with_channels(image, posterior.mean, axis)
    )
    pictures: list[tuple[str, ArrayLike]] = []
    if given is not None:
        pictures.append(("input", _painted(given, mask, high)))
    pictures.append(("posterior mean", last(posterior.mean, axis)))
    chosen = some_draws(posterior, draws)
    pictures += [
        (f"draw {n + 1}" if draws > 1 else "one draw", last(d, axis)) for n, d in enumerate(chosen)
    ]
    if clean is not None:
        pictures.append(("truth", last(np.asarray(clean), axis)))
    with_std = bool(np.isfinite(posterior.std).any())

    figure, axes = panels(last(posterior.mean, axis).shape, len(pictures) + with_std)
    for place, (name, picture) in zip(axes, pictures, strict=False):
        _show(place, picture, low, high, name)
    if with_std:
        _show_std(figure, axes[len(pictures)], posterior.std, axis)
    if title:
        figure.suptitle(title)
    return figure


def given_picture(posterior: Posterior) -> NDArray[np.float32] | None:
    """The posterior's own input (H, W[, C]) where it is a picture: neither complex numbers nor those of a JPEG file."""
    given = posterior.input
    if given is None or np.iscomplexobj(given) or posterior.settings.get("coded"):
        return None
    return last(np.asarray(given, np.float32), posterior.data_axis)


def plot_mixing(posterior: Posterior) -> Figure:
    """Maps of R-hat, effective draws and Monte Carlo error, each with its scale.

    Of several channels: the greatest R-hat, the fewest effective draws, the root mean square error.
    Grey where the draws cannot tell. Of a volume the slice in the middle.

    Raises ProblemError where it is a signal.
    """
    posterior = picture_of(posterior)
    axis = posterior.settings["channel_axis"]
    rhat, ess, mcse = (last(each, axis) for each in (posterior.rhat, posterior.ess, posterior.mcse))
    if axis is not None:
        rhat, ess, mcse = np.fmax.reduce(rhat, -1), np.fmin.reduce(ess, -1), single(mcse, 2)
    figure, axes = panels(rhat.shape, 3)
    finite = rhat[np.isfinite(rhat)]
    worst = max(LEAST_RHAT_TOP, float(np.percentile(finite, 99)) if finite.size else 0.0)
    map_of(figure, axes[0], rhat, "R-hat", "1 is right", (1, worst))
    map_of(figure, axes[1], ess, "effective draws", "draws", (0, None))
    map_of(figure, axes[2], mcse, "Monte Carlo error", "image units", (0, None))
    return figure


def plot_rows(rows: Sequence[Sequence[tuple[str, ArrayLike]]], high: float = 255) -> Figure:
    """A sheet of captioned pictures (H, W) or (H, W, 3) from 0 to `high`, a list a row."""
    columns = max(len(row) for row in rows)
    tall = max(np.shape(picture)[0] / np.shape(picture)[1] for row in rows for _, picture in row)
    size = (PANEL_INCHES * columns, (PANEL_INCHES * tall + 0.3) * len(rows))
    figure = Picture(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for places, row in zip(axes, rows, strict=True):
        for place in places:
            place.set_axis_off()
        for place, (name, picture) in zip(places, row, strict=False):
            _show(place, picture, 0, high, name)
    return figure


def map_of(
    figure: Figure,
    axes: Axes,
    values: NDArray[Any],
    name: str,
    unit: str,
    limits: tuple[float, float | None],
) -> None:
    """Draw a map (H, W) with its colour bar; `limits` of None end at the greatest value."""
    values = np.ma.masked_invalid(values)
    colours = colormaps[UNCERTAINTY].with_extremes(bad=UNKNOWN)
    low, asked = limits
    greatest = float(values.max()) if values.count() else low + 1
    high = max(greatest if asked is None else asked, low + float(np.finfo(np.float32).tiny))
    picture = axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(name, fontsize=9)
    axes.set_axis_off()
    above = "max" if greatest > high else "neither"
    bar = figure.colorbar(picture, ax=axes, shrink=0.9, extend=above, **_beside(values.shape))
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.locator = MaxNLocator(MOST_TICKS)
    bar.update_ticks()


def _beside(shape: tuple[int, ...]) -> dict[str, Any]:
    """Where the colour bar of a map goes: along its longer side."""
    wide = shape[1] > 2 * shape[0]
    return {"location": "bottom" if wide else "right", "aspect": 15, "pad": 0.02}


def _show(axes: Axes, picture: ArrayLike, low: float, high: float, name: str) -> None:
    pixels = unit_picture(picture, None, low, high)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(name, fontsize=9)
    axes.set_axis_off()


def _show_std(figure: Figure, axes: Axes, std: NDArray[Any], channel_axis: int | None) -> None:
    top = std_top(std, channel_axis)
    map_of(figure, axes, single(std, channel_axis), "standard deviation", "image units", (0, top))


def _with_channels(
    image: ArrayLike, mean: NDArray[np.float32], channel_axis: int | None
) -> NDArray[Any]:
    """A user's picture (H, W[, C]), whose channels are where the mean has them, if it has as many axes."""
    pixels = np.asarray(image)
    return last(pixels, channel_axis) if pixels.ndim == mean.ndim else pixels


def _painted(picture: NDArray[Any], mask: ArrayLike | None, high: float) -> NDArray[np.float64]:
    """The input (H, W[, C]) with its missing pixels white."""
    pixels = np.array(picture, np.float64)
    missing = np.isnan(pixels)
    if mask is not None:
        absent = ~np.asarray(mask, bool)
        missing |= absent if absent.ndim == pixels.ndim else absent[..., None]
    return np.where(missing, high, pixels)
