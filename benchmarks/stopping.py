"""Does the rule stop at the right time? A chain of each picture until it ends by itself, and the same one for twice as long.

python -m benchmarks.stopping                                    # six crops of 64 × 64 pixels
python -m benchmarks.stopping --lengths 10000 50000 --seeds 0 1 2 3 --name stopping-lengths      # instead, chains as long as that: is a longer one worse?
python -m benchmarks.stopping --crop 48 --channels 32 --scales 3 --pictures house boat
"""

import argparse
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip.diagnostics import coverage, psnr
from bdip.networks import Generator
from benchmarks import images, record
from benchmarks.calibration import PICTURES, crop, posterior_draws
from benchmarks.generators import sized
from benchmarks.restoration import averaged

NOISE_STD = 25 / 255
LENGTHS_HEADER = (
    "| picture | steps | mean, dB | mean − draw | χ² | 90 % | MCSE/std | s |\n|" + "---|" * 8
)
HEADER = (
    "| picture | steps (warm-up) | reached | MCSE/std | R-hat | mean, dB | draw, dB "
    "| twice the steps, dB | change | s |\n|" + "---|" * 10
)


def sampled(
    picture: str, size: int, generator: Generator, seed: int, **length: Any
) -> tuple[dict[str, Any], bdip.Posterior]:
    """A chain of such a length, and what a row of it has."""
    clean = crop(picture, size)
    noisy = images.add_noise(clean, NOISE_STD, seed)
    started = perf_counter()
    found = posterior_draws("mclmc", noisy, None, NOISE_STD, generator, seed, chains=1, **length)
    row = {
        "picture": picture, "seed": seed, "steps": found.settings["steps"], "warmup": found.warmup,
        "seconds": perf_counter() - started, "mean": psnr(clean, found.mean),
        "draw": float(np.mean([psnr(clean, draw) for draw in found.draws[0]])),
        "coverage": coverage(clean, found.mean, found.std),
        "chi2": found.diagnostics["chi2"], "mcse_ratio": found.diagnostics["mcse_ratio"],
    }  # fmt: skip
    return row, found


def measure(
    picture: str, size: int, generator: Generator, seed: int, target: float | None
) -> dict[str, Any]:
    """A chain until it ends by itself and twice as long, as a row of figures."""
    row, ended = sampled(picture, size, generator, seed, target_mcse=target)
    longer, _ = sampled(picture, size, generator, seed, steps=2 * row["steps"], warmup=ended.warmup)
    stopped = {"stopped": ended.settings["stopped"]}
    return row | stopped | {"longer": longer["mean"], "longer_chi2": longer["chi2"]}


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    stopped = row["stopped"]
    return (
        f"| {row['picture']} | {row['steps']} ({row['warmup']}) | {'yes' if stopped['reached'] else 'no'} "
        f"| {stopped['mcse']:.3f} | {stopped['rhat']:.2f} | {row['mean']:.2f} | {row['draw']:.2f} "
        f"| {row['longer']:.2f} | {row['longer'] - row['mean']:+.2f} | {row['seconds']:.0f} |"
    )


def length_line(row: dict[str, Any]) -> str:
    """The row of a chain of a given length as a line of a Markdown table."""
    return (
        f"| {row['picture']} | {row['steps']} | {row['mean']:.2f} | {row['mean'] - row['draw']:.2f} "
        f"| {row['chi2']:.3f} | {row['coverage']:.3f} | {row['mcse_ratio']:.3f} | {row['seconds']:.0f} |"
    )


def gains(rows: list[dict[str, Any]]) -> str:
    """How much better the longest chain's mean is than the shortest's, of each picture, means over the seeds with standard errors."""
    lines = []
    for picture in sorted({row["picture"] for row in rows}):
        lengths = sorted({row["steps"] for row in rows if row["picture"] == picture})
        means = {
            (row["seed"], row["steps"]): row["mean"] for row in rows if row["picture"] == picture
        }
        found = [
            mean - means[seed, lengths[0]]
            for (seed, steps), mean in means.items()
            if steps == lengths[-1] != lengths[0] and (seed, lengths[0]) in means
        ]
        if len(found) > 1:
            lines.append(
                f"{picture}, {len(found)} seeds: {lengths[-1]} steps less {lengths[0]}: {averaged(found, '+')} dB"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure the pictures asked for, print a table, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--crop", type=int, default=64, help="pixels a side")
    parser.add_argument("--channels", type=int, help="[the generator's own]")
    parser.add_argument("--scales", type=int, default=4)
    parser.add_argument("--skips", type=int, help="channels, of an hourglass [the pyramid]")
    parser.add_argument("--target", type=float, help="Monte Carlo error over std; the default one")
    parser.add_argument(
        "--lengths", nargs="+", type=int, help="steps of chains that do not end by themselves"
    )
    parser.add_argument("--name", default="stopping", help="of the file in results/")
    options = parser.parse_args()
    generator = sized(options.scales, options.channels, options.skips)
    asked = set(product(options.pictures, options.seeds))
    rows = [row for row in record.kept(options.name) if (row["picture"], row["seed"]) not in asked]
    header, told = (LENGTHS_HEADER, length_line) if options.lengths else (HEADER, line)
    print(header)
    for seed, picture, steps in product(options.seeds, options.pictures, options.lengths or [None]):
        of = (picture, options.crop, generator, seed)
        rows.append(sampled(*of, steps=steps)[0] if steps else measure(*of, options.target))
        record.save(
            options.name, rows, crop=options.crop, generator=str(generator), target=options.target
        )
        print(told(rows[-1]), flush=True)
    if options.lengths:
        print(gains(rows))


if __name__ == "__main__":
    main()
