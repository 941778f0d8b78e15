"""What `benchmarks.speed` races, each in a process of its own: `python -m benchmarks.contestants NAME CASE`.

A contestant builds itself, does a first step, and then, for each number of steps that it reads on its
standard input, does that many and writes the seconds they took.
"""

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

Steps = Callable[[int], None]  # does so many steps, and returns when they are done


@dataclass(frozen=True)
class Case:
    """One size of the standard network on one image; `precision` of the convolutions."""

    size: int
    channels: int
    scales: int = 5
    colours: int = 1
    chains: int = 1
    device: str = "cpu"
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    remat: bool = False

    @property
    def operations(self) -> float:
        """Floating-point operations of a step's convolutions by the direct algorithm, forwards and twice backwards."""
        pixels, channels, total = self.size**2, self.channels, 0.0
        for scale in range(self.scales):
            inputs = 32 if scale == 0 else channels
            skip, mixed = inputs * 4, (channels + 4) * channels * 9 + channels**2
            deeper = (inputs * channels * 9 + channels**2 * 9) / 4
            total += 2 * pixels / 4**scale * (skip + mixed + deeper)
        return 3 * (total + 2 * pixels * channels * self.colours) * self.chains


def bdip_steps(case: Case) -> Steps:
    """Bdip's own chains, as `bdip.sample` runs them."""
    import jax
    import numpy as np

    import bdip
    from bdip import chain
    from bdip.problem import pose

    shape = (case.size, case.size) if case.colours == 1 else (case.size, case.size, case.colours)
    noisy = np.random.default_rng(0).random(shape)
    problem, _ = pose(noisy, noise_std=25 / 255, data_range=(0, 1))
    generator = bdip.Hourglass(
        scales=case.scales, channels_down=case.channels, channels_up=case.channels,
        precision=case.precision, remat=case.remat,
    )  # fmt: skip
    sampler = bdip.samplers.REGISTRY["psgld"].default(float(problem.observed_count), noisy.size, 0)
    plan = chain.Plan(warmup=0, thin=1)
    key = jax.random.key(0)
    runs = [
        chain.start(problem, generator, sampler, plan, 10**9, 0, key, number)
        for number in range(case.chains)
    ]

    def steps(count: int) -> None:
        for run in runs:
            left = count
            while left:
                left -= len(run.advance(left).energy)

    return steps


def torch_steps(case: Case, compiled: bool = False) -> Steps:
    """The same in PyTorch."""
    from benchmarks import torch_dip

    device = "cuda" if case.device == "gpu" else case.device
    return torch_dip.contestant(
        case.size, case.channels, case.scales, case.colours, device, compiled, case.precision
    )


CONTESTANTS: dict[str, Callable[[Case], Steps]] = {
    "bdip": bdip_steps,
    "torch": torch_steps,
    "torch.compile": lambda case: torch_steps(case, compiled=True),
}


def peak_bytes(name: str, device: str) -> int:
    """The most memory that this process has held: on the GPU, or else in all."""
    if device != "gpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if name == "bdip":
        import jax

        return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"])
    import torch

    return int(torch.cuda.max_memory_allocated())


def matmul_rate(case: Case) -> float:
    """Operations a second of a large product of matrices in JAX, in the case's precision."""
    import jax
    import jax.numpy as jnp

    side = 8192 if case.device == "gpu" else 1536
    kind = jnp.bfloat16 if case.precision == "bfloat16" else jnp.float32
    matrix = jnp.ones((side, side), kind)
    precision = "highest" if case.precision == "float32" else "default"
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))
    product(matrix).block_until_ready()
    seconds = []
    for _ in range(7):
        start = perf_counter()
        product(matrix).block_until_ready()
        seconds.append(perf_counter() - start)
    return 2 * side**3 / sorted(seconds)[3]


def answer(**fields: Any) -> None:
    """A line for the process that asked."""
    print(json.dumps(fields), flush=True)


def main() -> None:
    """Build the contestant named, and do steps as asked on standard input."""
    name, case = sys.argv[1], Case(**json.loads(sys.argv[2]))
    if name == "matmul":
        return answer(rate=matmul_rate(case))
    start = perf_counter()
    steps = CONTESTANTS[name](case)
    steps(1)
    answer(first_step=perf_counter() - start)
    for line in sys.stdin:
        start = perf_counter()
        steps(int(line))
        answer(seconds=perf_counter() - start, peak_bytes=peak_bytes(name, case.device))
    return None


if __name__ == "__main__":
    main()
