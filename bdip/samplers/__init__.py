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
DEFAULT = "mclmc"


def is_exact(sampler: str | Sampler) -> bool:
    """Whether a sampler, or the one of that name, samples the posterior; of an unknown name, which is refused elsewhere, that of the default.

    >>> is_exact("mclmc"), is_exact(Adam(Constant(0.01)))
    (True, False)
    """
    kind = REGISTRY.get(sampler, REGISTRY[DEFAULT]) if isinstance(sampler, str) else type(sampler)
    return kind.exact


__all__ = [
    "DEFAULT", "REGISTRY", "Adam", "Constant", "Cooling", "GpDip", "Mclmc", "Polynomial", "Psgld", "Sampler",
    "Schedule", "Sgd", "Sgld", "is_exact", "schedule",
]  # fmt: skip
