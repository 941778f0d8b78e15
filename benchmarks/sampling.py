"""Does the sampler sample? PSNR, χ² and coverage on one grey crop, against descent that overfits.

    python -m benchmarks.sampling                 # psgld and adam, 3,000 and 6,000 steps
    python -m benchmarks.sampling --name sampling-short --samplers adam gp-dip --steps 750 1500
    python -m benchmarks.sampling --name sampling-bfloat16 --samplers psgld --precision bfloat16

The picture is Peppers of set11 averaged 2 × 2, rows and columns 16 to 112; the noise has σ = 25/255
and is not clipped; the generator is the sampler's own, a pyramid or an hourglass, with 48 channels and 4 scales.
"""

import argparse
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip.compare import follow
from bdip.diagnostics import coverage, psnr
from bdip.networks import Generator
from bdip.samplers import REGISTRY
from benchmarks import images, record

NOISE_STD = 25 / 255
GENERATOR = bdip.Pyramid(precision="float32")
PUBLISHED = bdip.Hourglass(precision="float32")  # of the descents and gp-dip, which are of papers
HEADER = (
    "| sampler | steps | seed | mean, dB | draw, dB | mean − draw | last, dB | best, dB (step) "
    "| χ² kept | first, second half | 90 % coverage | s |\n|" + "---|" * 12
)


def measure(sampler: str, steps: int, seed: int, generator: Generator) -> dict[str, Any]:
    """One run, as a row of figures; decibels against the clean crop, from 0 to 1."""
    clean = images.crop96()
    noisy = images.add_noise(clean, NOISE_STD)
    started = perf_counter()
    posterior, curve = follow(
        noisy, clean=clean, sampler=sampler, steps=steps, seed=seed, noise_std=NOISE_STD,
        data_range=(0, 1), generator=generator, progress=False,
    )  # fmt: skip
    draws = posterior.draws.reshape(-1, *clean.shape)
    best = int(np.argmax(curve["draw"]))
    return {
        "picture": images.crop96_name(),
        "sampler": sampler,
        "steps": steps,
        "seed": seed,
        "mean": psnr(clean, posterior.mean),
        "draw": float(np.mean([psnr(clean, d) for d in draws])) if len(draws) else None,
        "last": float(curve["draw"][-1]),
        "best": float(curve["draw"][best]),
        "best_step": int(curve["step"][best]),
        **(posterior.diagnostics if len(draws) else {"chi2": float(curve["chi2"][-1])}),
        "coverage": coverage(clean, posterior.mean, posterior.std) if len(draws) else None,
        "seconds": perf_counter() - started,
        "settings": posterior.settings,
    }


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""

    def number(value: float | None, form: str = ".2f") -> str:
        return "–" if value is None else format(value, form)

    gap = None if row["draw"] is None else row["mean"] - row["draw"]
    halves = "–"
    if "chi2_first" in row:
        halves = f"{row['chi2_first']:.3f}, {row['chi2_second']:.3f}"
    cells = [
        row["sampler"], str(row["steps"]), str(row["seed"]), number(row["mean"]),
        number(row["draw"]), number(gap), number(row["last"]),
        f"{row['best']:.2f} ({row['best_step']})", number(row["chi2"], ".3f"), halves,
        number(row["coverage"], ".3f"), number(row["seconds"], ".0f"),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run all, print a table, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", nargs="+", default=["psgld", "adam"])
    parser.add_argument("--steps", nargs="+", type=int, default=[3000, 6000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--name", default="sampling", help="of the file in results/")
    parser.add_argument("--precision", default="float32", choices=["float32", "tf32", "bfloat16"])
    options = parser.parse_args()
    clean = images.crop96()
    noisy = images.add_noise(clean, NOISE_STD)
    print(f"{images.crop96_name()}, noisy input {psnr(clean, noisy):.2f} dB\n{HEADER}", flush=True)
    rows = []
    for sampler in options.samplers:
        for steps in options.steps:
            for seed in options.seeds:
                own = GENERATOR if REGISTRY[sampler.split("+")[0]].exact else PUBLISHED
                generator = replace(own, precision=options.precision)
                rows.append(measure(sampler, steps, seed, generator))
                print(line(rows[-1]), flush=True)
    print(f"written to {record.save(options.name, rows)}")


if __name__ == "__main__":
    main()
