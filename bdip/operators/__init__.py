"""Forward operators A, from the unknown image to the measured data."""

from bdip.operators.base import Operator
from bdip.operators.blur import Blur
from bdip.operators.custom import FromFunction, FromMatrix
from bdip.operators.downsample import Downsample
from bdip.operators.fourier import Fourier, cartesian_lines, radial_lines
from bdip.operators.jpeg import JPEG
from bdip.operators.mosaic import Mosaic
from bdip.operators.pointwise import Identity, Mask
from bdip.operators.radon import Radon

REGISTRY: dict[str, type[Operator]] = {
    "identity": Identity,
    "mask": Mask,
    "downsample": Downsample,
    "blur": Blur,
    "mosaic": Mosaic,
    "function": FromFunction,
    "matrix": FromMatrix,
    "fourier": Fourier,
    "radon": Radon,
    "jpeg": JPEG,
}

__all__ = [
    "JPEG", "REGISTRY", "Blur", "Downsample", "Fourier", "FromFunction", "FromMatrix", "Identity", "Mask",
    "Mosaic", "Operator", "Radon", "cartesian_lines", "radial_lines",
]  # fmt: skip
