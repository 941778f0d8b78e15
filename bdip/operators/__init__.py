"""Forward operators A, from the unknown image to the measured data."""

from bdip.operators.base import Operator
from bdip.operators.downsample import Downsample
from bdip.operators.pointwise import Identity, Mask

REGISTRY: dict[str, type[Operator]] = {
    "identity": Identity,
    "mask": Mask,
    "downsample": Downsample,
}

__all__ = ["REGISTRY", "Downsample", "Identity", "Mask", "Operator"]
