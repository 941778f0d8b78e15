"""Does the rule stop at the right time? Each picture until it ends by itself, and the same chain for twice as long.

python -m benchmarks.stopping                                    # six crops of 64 × 64 pixels
python -m benchmarks.stopping --crop 48 --channels 32 --scales 3 --pictures house boat
"""

import argparse
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip.diagnostics import psnr
from bdip.networks import Generator
from benchmarks import images, record
from benchmarks.calibration import PICTURES, crop
from benchmarks.generators import sized

NOISE_STD = 25 / 255
HEADER = (
    "| picture | steps (warm-up) | reached | MCSE/std | R-hat | mean, dB | draw, dB "
    "| twice the steps, dB | change | s |\n|" + "---|" * 10
)


def measure(
    picture: str, size: int, generator: Generator, seed: int, target: float | None
) -> dict[str, Any]:
    """Both runs of one picture, as a row of figures."""
    clean = crop(picture, size)
    noisy = images.add_noise(clean, NOISE_STD, seed)

    def run(**length: Any) -> bdip.Posterior:
        return bdip.sample(
            noisy, noise_std=NOISE_STD, data_range=(0, 1), generator=generator, seed=seed,
            progress=False, **length,
        )  # fmt: skip

    started = perf_counter()
    ended = run(target_mcse=target)
    seconds = perf_counter() - started
    steps = ended.settings["steps"]
    longer = run(steps=2 * steps, warmup=ended.warmup)
    return {
        "picture": picture, "seed": seed, "steps": steps, "warmup": ended.warmup,
        "stopped": ended.settings["stopped"], "seconds": seconds,
        "mean": psnr(clean, ended.mean), "longer": psnr(clean, longer.mean),
        "draw": float(np.mean([psnr(clean, draw) for draw in ended.draws[0]])),
        "chi2": ended.diagnostics["chi2"], "longer_chi2": longer.diagnostics["chi2"],
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    stopped = row["stopped"]
    return (
        f"| {row['picture']} | {row['steps']} ({row['warmup']}) | {'yes' if stopped['reached'] else 'no'} "
        f"| {stopped['mcse']:.3f} | {stopped['rhat']:.2f} | {row['mean']:.2f} | {row['draw']:.2f} "
        f"| {row['longer']:.2f} | {row['longer'] - row['mean']:+.2f} | {row['seconds']:.0f} |"
    )


def main() -> None:
    """Measure the pictures asked for, print a table, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crop", type=int, default=64, help="pixels a side")
    parser.add_argument("--channels", type=int, help="[the generator's own]")
    parser.add_argument("--scales", type=int, default=4)
    parser.add_argument("--skips", type=int, help="channels, of an hourglass [the pyramid]")
    parser.add_argument("--target", type=float, help="Monte Carlo error over std; the default one")
    parser.add_argument("--name", default="stopping", help="of the file in results/")
    options = parser.parse_args()
    generator = sized(options.scales, options.channels, options.skips)
    rows = []
    print(HEADER)
    for picture in options.pictures:
        rows.append(measure(picture, options.crop, generator, options.seed, options.target))
        record.save(
            options.name, rows, crop=options.crop, generator=str(generator), target=options.target
        )
        print(line(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
