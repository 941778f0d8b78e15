"""Which kernel samples best? The same pictures, generator and number of gradients for each.

    python -m benchmarks.kernels                          # three kernels and seeds, four tasks
    python -m benchmarks.kernels --quick                  # 64 × 64 pixels, 32 channels, one seed
    python -m benchmarks.kernels --tasks peppers house --kernels psgld mclmc --seeds 0 1 2

Each step of each kernel takes one gradient, so that equal steps are equal cost. Pictures of set11 are
averaged to 128 × 128 pixels and cut to the middle; noise is not clipped. The effective sample size (ESS)
is that of the mean of the kept steps, in image space: of each pixel over the thinned draws of one
chain (Geyer 1992, initial monotone sequence), averaged over the pixels.
"""

import argparse
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.diagnostics import coverage, psnr
from bdip.samplers import Constant, Psgld, Sampler
from benchmarks import images, record

DRAWS = 600  # stored of a chain: a draw each few steps, much less than it takes to forget
KERNELS: dict[str, str | Sampler] = {
    "euler": Psgld(Constant(0.006), momentum=None),  # the step as published
    "psgld": "psgld",
    "mclmc": "mclmc",
}
HEADER = (
    "| kernel | task | seed | mean, dB | draw, dB | mean − draw | χ² kept | 90 % coverage "
    "| ESS | ESS a thousand steps | ESS/s |\n|" + "---|" * 11
)


@dataclass(frozen=True)
class Task:
    """A picture of set11 and its bundled stand-in, noise (unit range), and the share of pixels observed."""

    standard: str
    stand_in: str
    noise_std: float
    observed: float = 1.0

    @property
    def picture(self) -> str:
        """Its name: the standard one where that is at hand."""
        return self.standard if self.standard in images.names("set11") else self.stand_in


TASKS = {
    "peppers": Task("set11/peppers256", "skimage/camera", 25 / 255),
    "house": Task("set11/house", "skimage/brick", 25 / 255),
    "barbara": Task("set11/barbara", "skimage/coins", 25 / 255),
    "camera, half missing": Task("set11/Cameraman256", "skimage/moon", 10 / 255, 0.5),
}


@dataclass(frozen=True)
class Size:
    """Width of the cut in pixels, the generator's scales and channels, and steps."""

    pixels: int
    scales: int
    channels: int
    steps: int


FULL, QUICK = Size(96, 4, 48, 3000), Size(64, 3, 32, 3000)


def effective_sample_size(draws: NDArray[Any]) -> NDArray[np.float64]:
    """Effective number of independent draws (pixels,) of each column of `draws` (n, pixels).

    n/τ with τ = −1 + 2 Σ_k P_k, P_k = ρ_2k + ρ_2k+1, summed while the P_k are positive and made
    monotone (Geyer 1992, Statistical Science 7, section 3.3), from the autocorrelations ρ by FFT.
    """
    count = len(draws)
    centred = np.asarray(draws, np.float64) - draws.mean(axis=0)
    power = np.abs(np.fft.rfft(centred, 2 * count, axis=0)) ** 2  # padded: no wrapping round
    covariance = np.fft.irfft(power, axis=0)[:count] / count
    correlation = covariance / covariance[0]
    pairs = correlation[: count // 2 * 2].reshape(count // 2, 2, -1).sum(axis=1)
    monotone = np.maximum(np.minimum.accumulate(pairs, axis=0), 0)
    return np.asarray(count / np.maximum(2 * monotone.sum(axis=0) - 1, 1 / count))


def measure(kernel: str, name: str, size: Size, seed: int) -> dict[str, Any]:
    """One run, as a row of figures; decibels against the clean picture, from 0 to 1."""
    task = TASKS[name]
    clean = images.crop(task.picture, size.pixels)
    mask = images.random_mask(clean.shape, keep=task.observed) if task.observed < 1 else None
    generator = bdip.Hourglass(
        scales=size.scales, channels_down=size.channels, channels_up=size.channels,
        precision="float32",
    )  # fmt: skip
    ended: list[tuple[int, float]] = []  # steps done and the time, after each block
    posterior = bdip.sample(
        images.add_noise(clean, task.noise_std), mask, sampler=KERNELS[kernel], seed=seed,
        noise_std=task.noise_std, data_range=(0, 1), generator=generator, steps=size.steps,
        draws=DRAWS, progress=False, callback=lambda p: ended.append((p.step, perf_counter())),
    )  # fmt: skip
    (first, start), (last, end) = ended[0], ended[-1]  # without compiling
    draws = posterior.draws.reshape(-1, *clean.shape)
    effective = float(effective_sample_size(draws.reshape(len(draws), -1)).mean())
    errors = posterior.trace.get("energy_error")
    return {
        "kernel": kernel,
        "task": name,
        "picture": task.picture,
        "pixels": size.pixels,
        "channels": size.channels,
        "steps": size.steps,
        "seed": seed,
        "mean": psnr(clean, posterior.mean),
        "draw": float(np.mean([psnr(clean, draw) for draw in draws])),
        **posterior.diagnostics,
        "coverage": coverage(clean, posterior.mean, posterior.std),
        "ess": effective,
        "ess_thousand": 1000 * effective / size.steps,
        "ess_second": effective / size.steps * (last - first) / (end - start),
        "energy_error": None if errors is None else typical(errors[0, posterior.warmup :]),
        "settings": posterior.settings,
    }


def typical(errors: NDArray[Any]) -> float:
    """Median size of the energy errors: their mean is that of a few spikes."""
    return float(np.median(np.abs(errors)))


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    cells = [
        row["kernel"], row["task"], str(row["seed"]), f"{row['mean']:.2f}", f"{row['draw']:.2f}",
        f"{row['mean'] - row['draw']:.2f}", f"{row['chi2']:.3f}", f"{row['coverage']:.3f}",
        f"{row['ess']:.0f}", f"{row['ess_thousand']:.1f}", f"{row['ess_second']:.2f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run all, print a table, write results/NAME.json after each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", nargs="+", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="small pictures and generator, seed 0")
    parser.add_argument("--name", help="of the file in results/")
    options = parser.parse_args()
    size, seeds = (QUICK, [0]) if options.quick else (FULL, options.seeds)
    name = options.name or ("kernels-quick" if options.quick else "kernels")
    print(HEADER, flush=True)
    rows = []
    for task in options.tasks:
        for seed in seeds:
            for kernel in options.kernels:  # by turns, so that a stop leaves whole comparisons
                rows.append(measure(kernel, task, size, seed))
                print(line(rows[-1]), flush=True)
                path = record.save(name, rows)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
