"""How the weights move: Langevin samplers, and the descents they are compared with."""

from bdip.samplers.base import Sampler, schedule
from bdip.samplers.descent import Adam, Sgd
from bdip.samplers.gp_dip import GpDip
from bdip.samplers.mclmc import Mclmc
from bdip.samplers.psgld import Psgld
from bdip.samplers.schedules import Constant, Cooling, Polynomial, Schedule
from bdip.samplers.sgld import Sgld

REGISTRY: dict[str, type[Sampler]] = {
    "sgld": Sgld,
    "psgld": Psgld,
    "mclmc": Mclmc,
    "sgd": Sgd,
    "adam": Adam,
    "gp-dip": GpDip,
}

__all__ = [
    "REGISTRY", "Adam", "Constant", "Cooling", "GpDip", "Mclmc", "Polynomial", "Psgld", "Sampler",
    "Schedule", "Sgd", "Sgld", "schedule",
]  # fmt: skip
