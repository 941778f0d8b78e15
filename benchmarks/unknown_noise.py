"""Noise that nobody gave: σ sampled with the weights against σ known and σ estimated.

    python -m benchmarks.unknown_noise                          # three crops, σ = 10, 25, 50 of 255
    python -m benchmarks.unknown_noise --noise sample --stds 10 --steps 6000 --name longer
    python -m benchmarks.unknown_noise --noise sample --stds 10 --cold 0.0003 --name colder

The pictures are grey crops of 96 × 96 pixels (set11 averaged to 128 × 128, rows and columns 16 to
112); the noise is not clipped; the generator is the default.
"""

import argparse
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip.diagnostics import coverage, psnr
from bdip.noise import estimate_noise_std
from bdip.samplers import Cooling, Psgld
from benchmarks import images, record
from benchmarks.sampling import GENERATOR

PICTURES = ("set11/peppers256", "set11/house", "set11/barbara")
LEVELS = 255  # grey levels in the data range
HEADER = (
    "| picture | σ true | noise | σ found | error | mean, dB | draw, dB | χ² | 90 % coverage | s |\n"
    "|" + "---|" * 10
)


def measure(name: str, std: float, noise: str, **options: Any) -> dict[str, Any]:
    """One run, as a row of figures; `std` of the noise, and σ found, in grey levels of 255."""
    clean = images.crop(name, 96)
    noisy = images.add_noise(clean, std / LEVELS)
    estimated = estimate_noise_std(noisy[..., None])
    given = {"known": std / LEVELS, "estimated": None}.get(noise, noise)
    started = perf_counter()
    posterior = bdip.sample(
        noisy, noise_std=given, data_range=(0, 1), generator=GENERATOR, progress=False, **options
    )
    draws = posterior.draws.reshape(-1, *clean.shape)
    row = {
        "picture": name, "std": std, "noise": noise, "wavelet": LEVELS * estimated,
        "input": psnr(clean, noisy),
        "mean": psnr(clean, posterior.mean),
        "draw": float(np.mean([psnr(clean, draw) for draw in draws])),
        **posterior.diagnostics,
        "coverage": coverage(clean, posterior.mean, posterior.std),
        "seconds": perf_counter() - started,
        "settings": posterior.settings,
    }  # fmt: skip
    return row | found(posterior)


def found(posterior: bdip.Posterior) -> dict[str, float]:
    """Posterior mean and standard deviation of σ, and its mean in the halves of the kept steps, in grey levels."""
    if "noise_std" not in posterior.trace:
        return {"found": LEVELS * posterior.settings["noise_std"], "found_std": 0.0}
    kept = posterior.kept_trace["noise_std"]
    half = kept.shape[1] // 2
    parts = {"found": kept, "found_first": kept[:, :half], "found_second": kept[:, half:]}
    return {k: LEVELS * float(v.mean()) for k, v in parts.items()} | {
        "found_std": LEVELS * float(kept.std())
    }


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    error = f"{100 * (row['found'] / row['std'] - 1):+.1f} %"
    cells = [
        row["picture"], f"{row['std']:g}", row["noise"], f"{row['found']:.2f} ± {row['found_std']:.2f}",
        error, f"{row['mean']:.2f}", f"{row['draw']:.2f}", f"{row['chi2']:.3f}",
        f"{row['coverage']:.3f}", f"{row['seconds']:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run all, print a table, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", nargs="+", default=PICTURES)
    parser.add_argument("--stds", nargs="+", type=float, default=[10, 25, 50])
    parser.add_argument("--noise", nargs="+", default=["known", "sample"])
    parser.add_argument("--steps", type=int, default=3000, help="0: until it ends by itself")
    parser.add_argument("--cold", type=float, help="step size after the warm-up [the default's]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="unknown-noise", help="of the file in results/")
    options = parser.parse_args()
    default = Psgld.default(1.0, 1, 0).step_size
    schedule = None
    if options.cold and isinstance(default, Cooling):
        schedule = replace(default, cold=options.cold)
    print(HEADER, flush=True)
    rows = []
    for std in options.stds:
        for name in options.pictures:
            for noise in options.noise:
                row = measure(
                    name, std, noise, steps=options.steps or None, seed=options.seed, step_size=schedule,
                )  # fmt: skip
                rows.append(row)
                print(line(row), flush=True)
                path = record.save(options.name, rows)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
