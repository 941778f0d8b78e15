"""The generators of a size: the pyramid, which is the default, and the hourglass of the Deep Image Prior."""

import bdip


def sized(
    scales: int, channels: int | None = None, skips: int | None = None
) -> bdip.Pyramid | bdip.Hourglass:
    """The pyramid, or with `skips` the hourglass with skip connections as wide as that (0: none); without `channels` as wide as it is by default."""
    if skips is None:
        return bdip.Pyramid(scales=scales, **({} if channels is None else {"channels": channels}))
    wide = {} if channels is None else {"channels_down": channels, "channels_up": channels}
    return bdip.Hourglass(scales=scales, channels_skip=skips, **wide)
