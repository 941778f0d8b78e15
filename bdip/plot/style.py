"""What all figures share: colours, sizes, and a figure that notebooks show."""

import math
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe & Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, PINK, SKY, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#666666",
)  # fmt: skip
CHAINS = (BLUE, ORANGE, GREEN, PINK, SKY)
UNCERTAINTY = "viridis"  # perceptually uniform, readable without colours

PANEL_INCHES = 2.6  # of a picture's longer side
LEAST_INCHES = 1.3  # of a picture's width: its title must fit above it
TITLE_INCHES, BAR_INCHES = 0.65, 1.05  # above a picture, and above and below a map
LONGEST_ROW, WIDE_ROW = 8, 2  # panels beside each other; more go below
SCREEN_DPI = 90  # dots an inch in a notebook


class Picture(Figure):
    """A matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=SCREEN_DPI)
        return content.getvalue()


def panels(shape: tuple[int, ...], count: int) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels for pictures of this shape (H, W, …): in a row, or one below another
    where they are wide, or in rows where they are many.
    """
    height, width = shape[:2]
    scale, wide = PANEL_INCHES / max(height, width), width > 2 * height
    columns = min(count, WIDE_ROW if wide else LONGEST_ROW)
    rows = math.ceil(count / columns)
    room = BAR_INCHES if wide else TITLE_INCHES  # a wide map has its colour bar below
    size = (
        (max(scale * width, LEAST_INCHES) + 0.35) * columns + 0.4,
        (scale * height + room) * rows,
    )
    figure = Picture(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for place in axes:
        place.set_axis_off()
    return figure, axes


def tidy(axes: Axes) -> None:
    """No frame on the right and above, and curves from edge to edge."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0)


def last(image: NDArray[Any], channel_axis: int | None) -> NDArray[Any]:
    """(H, W) or (H, W, C)."""
    return image if channel_axis is None else np.moveaxis(image, channel_axis, -1)


def single(std: NDArray[Any], channel_axis: int | None) -> NDArray[Any]:
    """Root mean square over the channels (H, W)."""
    return std if channel_axis is None else np.sqrt((std**2).mean(axis=channel_axis))
