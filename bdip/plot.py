"""Pictures of an answer: the only module that imports matplotlib. Every function returns a Figure.

Figures are made without pyplot, so that nothing is global and no display is needed; save them with
`figure.savefig(path)`, or leave one as the last line of a notebook cell.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from bdip.posterior import Posterior

# Okabe & Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
PANEL_INCHES = 2.6  # of a picture's longer side

SCREEN_DPI = 90  # dots an inch in a notebook


class Picture(Figure):
    """A matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=SCREEN_DPI)
        return content.getvalue()


def plot_posterior(
    posterior: Posterior,
    image: ArrayLike,
    mask: ArrayLike | None = None,
    clean: ArrayLike | None = None,
    draws: int = 1,
    title: str | None = None,
) -> Figure:
    """Input, posterior mean, standard deviation with a colour bar, and a few single draws, in a row.

    `image`, `mask` (True = observed) and `clean`, the truth where it is known, are as for
    `bdip.sample`; missing pixels are painted white.
    """
    low, high = posterior.settings["data_range"]
    axis = posterior.settings["channel_axis"]
    pictures: list[tuple[str, ArrayLike]] = [("input", _painted(image, mask, axis, high))]
    pictures.append(("posterior mean", posterior.mean))
    stored = posterior.draws.reshape(-1, *posterior.mean.shape)[::-1]
    chosen = stored[:: max(1, len(stored) // max(draws, 1))][:draws]
    pictures += [(f"draw {n + 1}" if draws > 1 else "one draw", d) for n, d in enumerate(chosen)]
    if clean is not None:
        pictures.append(("truth", clean))
    with_std = bool(np.isfinite(posterior.std).any())

    figure, axes = _row(posterior.mean, axis, len(pictures) + with_std)
    for place, (name, picture) in zip(axes, pictures, strict=False):
        _show(place, picture, axis, low, high, name)
    if with_std:
        _show_std(figure, axes[-1], posterior.std, axis)
    if title:
        figure.suptitle(title)
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
            axis = 2 if np.ndim(picture) == 3 else None
            _show(place, picture, axis, 0, high, name)
    return figure


def std_picture(std: NDArray[np.float32], channel_axis: int | None) -> NDArray[np.uint8]:
    """The uncertainty as a coloured picture (H, W, 3), dark where it is least: viridis.

    The scale runs from zero to the 99th percentile, so that a few edges do not darken the rest.
    """
    from matplotlib import colormaps

    single = _single(std, channel_axis)
    top = max(float(np.percentile(single, 99)), np.finfo(np.float32).tiny)
    return np.rint(255 * colormaps["viridis"](np.clip(single / top, 0, 1))[..., :3]).astype(
        np.uint8
    )


def plot_curves(curves: dict[str, dict[str, Any]], with_truth: bool) -> Figure:
    """PSNR, where the truth is known, and χ² against the step, for each method of a comparison.

    `curves` maps a method to "step", "chi2" and, with the truth, "draw" and "mean" (dB, (t,)).
    """
    figure = Picture(figsize=(7, 6.4 if with_truth else 3.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1 + with_truth, 1, sharex=True))
    for (name, curve), colour in zip(curves.items(), (ORANGE, BLUE, GREEN, GREY), strict=False):
        if with_truth:
            single = {"linewidth": 1, "alpha": 0.55 if curve["averages"] else 1}
            label = f"{name}: single draw" if curve["averages"] else f"{name}: output"
            panels[0].plot(curve["step"], curve["draw"], color=colour, label=label, **single)
            if curve["averages"]:
                average = f"{name}: running mean"
                panels[0].plot(curve["step"], curve["mean"], color=colour, lw=2.2, label=average)
        panels[-1].plot(curve["step"], curve["chi2"], color=colour, label=name)
    if with_truth:
        panels[0].set_ylabel("PSNR against the truth (dB)")
        panels[0].legend(frameon=False)
    panels[-1].axhline(1, color=GREY, linestyle=":", linewidth=1)
    panels[-1].set_yscale("log")
    panels[-1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[-1].yaxis.set_major_formatter("{x:g}")
    panels[-1].yaxis.set_minor_formatter(NullFormatter())
    panels[-1].set_ylabel("χ² (below 1: fits the noise)")
    panels[-1].set_xlabel("step")
    if not with_truth:
        panels[-1].legend(frameon=False)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0)
    return figure


def _row(image: NDArray[Any], channel_axis: int | None, count: int) -> tuple[Figure, list[Axes]]:
    height, width = _last(image, channel_axis).shape[:2]
    scale = PANEL_INCHES / max(height, width)
    panel = (max(scale * width, 1.2), max(scale * height, 1.2) + 0.4)  # readable at 4:1 too
    figure = Picture(figsize=(panel[0] * count + 0.6, panel[1] + 0.3), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _show(
    axes: Axes, picture: ArrayLike, channel_axis: int | None, low: float, high: float, name: str
) -> None:
    pixels = np.clip((_last(np.asarray(picture), channel_axis) - low) / (high - low), 0, 1)
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        pixels = pixels.mean(axis=-1)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(name, fontsize=9)
    axes.set_axis_off()


def _show_std(figure: Figure, axes: Axes, std: NDArray[Any], channel_axis: int | None) -> None:
    single = _single(std, channel_axis)
    top = float(np.percentile(single, 99))
    picture = axes.imshow(single, cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
    axes.set_title("standard deviation", fontsize=9)
    axes.set_axis_off()
    figure.colorbar(picture, ax=axes, shrink=0.75, extend="max", label="image units")


def _painted(
    image: ArrayLike, mask: ArrayLike | None, channel_axis: int | None, high: float
) -> NDArray[Any]:
    """The input with its missing pixels white."""
    pixels = np.array(image, np.float64)
    missing = np.isnan(_last(pixels, channel_axis))
    if mask is not None:
        absent = ~np.asarray(mask, bool)
        missing |= absent if channel_axis is None else absent[..., None]
    if channel_axis is not None:
        missing = np.moveaxis(missing, -1, channel_axis)
    return np.where(missing, high, pixels)


def _last(image: NDArray[Any], channel_axis: int | None) -> NDArray[Any]:
    """(H, W) or (H, W, C)."""
    return image if channel_axis is None else np.moveaxis(image, channel_axis, -1)


def _single(std: NDArray[Any], channel_axis: int | None) -> NDArray[Any]:
    """Root mean square over the channels (H, W)."""
    return std if channel_axis is None else np.sqrt((std**2).mean(axis=channel_axis))
