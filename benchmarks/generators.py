"""The generators of a size: the pyramid, which is the default, and the hourglass of the Deep Image Prior."""

from dataclasses import replace

import bdip


def sized(
    scales: int, channels: int | None = None, skips: int | None = None
) -> bdip.Pyramid | bdip.Hourglass:
    """The pyramid, or with `skips` the hourglass with skip connections as wide as that (0: none); without `channels` as wide as it is by default."""
    if skips is None:
        pyramid = bdip.Pyramid(scales=scales)
        return pyramid if channels is None else replace(pyramid, channels=channels)
    hourglass = bdip.Hourglass(scales=scales, channels_skip=skips)
    if channels is None:
        return hourglass
    return replace(hourglass, channels_down=channels, channels_up=channels)
