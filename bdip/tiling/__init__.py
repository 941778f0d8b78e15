"""Large images in overlapping tiles: `sample_tiled`, and what their answers are blended by."""

from bdip.tiling.sample import TileProgress, estimate_tiled, sample_tiled

__all__ = ["TileProgress", "estimate_tiled", "sample_tiled"]
