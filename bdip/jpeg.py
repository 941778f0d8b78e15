"""A JPEG file as a measurement: what it holds, and the operator that makes it of an image."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from bdip.io import load_planes
from bdip.operators import JPEG


def load_jpeg(
    path: str | Path, max_pixels: int | None = None
) -> tuple[Float[np.ndarray, "n frequencies"], JPEG]:
    """What a JPEG file holds: its coefficients (n, 64) in steps of their rounding, and the operator that makes them.

        data, operator = bdip.load_jpeg("photo.jpg")
        posterior = bdip.sample(data, operator=operator, data_range=(0, 255))

    samples the pictures that this file may be of, (H, W) or (H, W, 3), upright as `bdip.io.load_image` has it. The file has a
    limit of pixels, as there. Colours must be stored as Y, Cb and Cr, as all but a few are.

    Raises `bdip.io.ImageError` for another kind of file.

    Example:
        >>> import tempfile, numpy as np, bdip
        >>> path = f"{tempfile.mkdtemp()}/grey.jpg"
        >>> bdip.io.save_image(path, np.full((10, 20), 100), np.uint8)
        >>> data, operator = bdip.load_jpeg(path)
        >>> data.shape, operator.image_shape((*data.shape, 1))  # 2 × 3 blocks
        ((6, 64), (10, 20, 1))
    """
    file = load_planes(path, max_pixels)
    operator = JPEG(file.tables, file.shape, file.subsampling, file.turn)
    return np.asarray(operator.coefficients(file.planes))[..., 0], operator
