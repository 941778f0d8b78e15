"""The generators of a size: the pyramid, which is the default, and the hourglass of the Deep Image Prior."""

from dataclasses import replace

import bdip
from bdip.networks.network import Activation


def sized(
    scales: int,
    channels: int | None = None,
    skips: int | None = None,
    last: Activation | None = None,
) -> bdip.Pyramid | bdip.Hourglass:
    """The pyramid, or with `skips` the hourglass with skip connections as wide as that (0: none); without `channels` as wide as it is by default.

    `last` is the pyramid's last nonlinearity, where it has one of its own.
    """
    if skips is None:
        pyramid = bdip.Pyramid(scales=scales, last_activation=last)
        return pyramid if channels is None else replace(pyramid, channels=channels)
    hourglass = bdip.Hourglass(scales=scales, channels_skip=skips)
    if channels is None:
        return hourglass
    return replace(hourglass, channels_down=channels, channels_up=channels)
