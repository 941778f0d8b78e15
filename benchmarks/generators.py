"""The generators of a size: the pyramid, which is the default, and the hourglass of the Deep Image Prior."""

import bdip


def sized(scales: int, channels: int, skips: int | None = None) -> bdip.Pyramid | bdip.Hourglass:
    """The pyramid, or with `skips` the hourglass with skip connections as wide as that (0: none)."""
    if skips is None:
        return bdip.Pyramid(scales=scales, channels=channels)
    return bdip.Hourglass(
        scales=scales, channels_down=channels, channels_up=channels, channels_skip=skips
    )
