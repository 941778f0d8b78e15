"""`jit`: JAX's, with the compiler's options that a step on a CPU gains by, where this compiler knows them."""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import jax

# Of XLA's libraries for a CPU, YNNPACK sums, and Eigen multiplies and convolves: YNNPACK leaves products as small as
# those of Winograd's tiles to one core (docs/decisions/0015).
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}


class jit:  # noqa: N801 (used as the function whose name it has)
    """`jax.jit(function, **arguments)`, compiled with CPU_OPTIONS on a CPU.

    JAX is not asked for its devices before the first call, so that users can still choose them.

    >>> jit(lambda x: 2 * x)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """

    def __init__(self, function: Callable[..., Any], **arguments: Any) -> None:
        self.__wrapped__ = function
        self._arguments = arguments

    @cached_property
    def jitted(self) -> Any:
        """What `jax.jit` returns."""
        return jax.jit(self.__wrapped__, **self._arguments, compiler_options=_known() or None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.jitted(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> jax.stages.Lowered:
        """The program for arguments of these shapes, not yet compiled."""
        lowered: jax.stages.Lowered = self.jitted.lower(*args, **kwargs)
        return lowered


@cache
def _known() -> dict[str, Any]:
    """Those of CPU_OPTIONS that take effect here: they are XLA's own business, and may change with it."""
    on_cpu = jax.default_backend() == "cpu"
    return {n: v for n, v in CPU_OPTIONS.items() if on_cpu and _is_known({n: v})}


def _is_known(options: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:  # no such option, or no such value
        return False
    return True
