"""χ² against the step as inline SVG, in the page's own colours, light or dark."""

from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdip.plot.curves import limits, thinned

WIDTH, HEIGHT = 460, 230  # of the drawing, in its own units: readable at 330 pixels
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 36  # margins
MOST_POINTS = 500  # of a curve
TICKS = 5  # or fewer, of an axis
STEPS = (1, 2, 5, 10)  # of ticks, times a power of ten
COLOURS = 5  # of chains, in the style sheet
EARLY = 2  # the first half of the warm-up does not set the scale
HINT_WIDTH = 64  # of the word in the warm-up's shade


class Scale(NamedTuple):
    """A line from values to places on the page."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: Any) -> Any:
        share = (value - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)


def chi2_svg(chi2: NDArray[np.float32], warmup: int) -> str:
    """The figure of χ² (chains, steps), with the warm-up shaded and the right value, 1, marked."""
    steps = chi2.shape[1]
    across = Scale(0, max(steps, 2), LEFT, WIDTH - RIGHT)
    settled = chi2[:, min(warmup // EARLY, steps // 2) :]
    down = Scale(*limits(settled, 1.0), HEIGHT - BOTTOM, TOP)
    words = f"χ² of {len(chi2)} chain{'s' * (len(chi2) > 1)} over {steps} steps; 1 is right."
    parts = [
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">',
        f'<clipPath id="inside"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
        *_warmup(across, min(warmup, steps)), *_axes(across, down), *_level(down),
        *(_line(values, number, across, down) for number, values in enumerate(chi2)),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, TICKS of them or fewer."""
    raw = (high - low) / TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * each for each in STEPS if power * each >= raw * (1 - 1e-9))
    first = np.ceil(low / step)
    return [float(step * n) + 0.0 for n in np.arange(first, np.floor(high / step + 1e-9) + 1)]


def _warmup(across: Scale, warmup: int) -> list[str]:
    if not warmup:
        return []
    end = across(warmup)
    inside = end - LEFT > HINT_WIDTH
    place = f'x="{end - 6:.1f}" text-anchor="end"' if inside else f'x="{end + 6:.1f}"'
    return [
        f'<rect class="warmup" x="{LEFT}" y="{TOP}" width="{end - LEFT:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>',
        f'<text {place} y="{TOP + 14}">warm-up</text>',
    ]


def _level(down: Scale) -> list[str]:
    return [
        f'<line class="right" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(1):.1f}" y2="{down(1):.1f}"/>'
    ]


def _axes(across: Scale, down: Scale) -> list[str]:
    floor = HEIGHT - BOTTOM
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>']
    for value in ticks(across.low, across.high):
        place = across(value)
        anchor = "end" if place > WIDTH - RIGHT - 20 else "middle"
        parts.append(
            f'<text x="{place:.1f}" y="{floor + 15}" text-anchor="{anchor}">{value:,.0f}</text>'
        )
    for value in ticks(down.low, down.high):
        place = down(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>'
        )
        parts.append(
            f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">step</text>')
    return parts


def _line(values: NDArray[np.float32], number: int, across: Scale, down: Scale) -> str:
    steps, means = thinned(values[np.isfinite(values)], MOST_POINTS)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across(steps), down(means), strict=True))
    colour = number % COLOURS + 1
    return f'<polyline class="chain chain-{colour}" clip-path="url(#inside)" points="{points}"/>'
