"""Pictures of an answer: the only module that imports matplotlib. Every function returns a Figure.

Figures are made without pyplot, so that nothing is global and no display is needed; save them with
`figure.savefig(path)`, or leave one as the last line of a notebook cell.
"""

from bdip.plot.calibration import plot_calibration
from bdip.plot.curves import plot_curves, plot_progress, plot_trace
from bdip.plot.encoding import colours_of, std_picture, std_top, unit_picture
from bdip.plot.grids import middle, picture_of
from bdip.plot.images import given_picture, plot_mixing, plot_posterior, plot_rows
from bdip.plot.style import Figure, Picture

__all__ = [
    "Figure", "Picture", "colours_of", "given_picture", "middle", "picture_of", "plot_calibration", "plot_curves", "plot_mixing", "plot_posterior",
    "plot_progress", "plot_rows", "plot_trace", "std_picture", "std_top", "unit_picture",
]  # fmt: skip
