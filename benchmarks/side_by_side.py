"""Four chains in turns, and in a thread a core: what does it save? Whole runs of `bdip.sample` by turns, of the same bits.

    python -m benchmarks.side_by_side                          # five sizes, minutes; let nothing else run
    python -m benchmarks.side_by_side --pixels 64 --rounds 9

The runs end where their steps do (a target that is never reached), and have compiled before.
"""

import argparse
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip import abreast
from bdip.cache import cores
from benchmarks import images, record

STEPS = {32: 2400, 64: 2400, 96: 1200, 128: 800, 256: 240}  # of all four chains, by pixels a side
NOISE_STD = 25 / 255
HEADER = "| pixels | threads | in turns, s | in threads, s | in turns over in threads (least to most) |\n|---|---|---|---|---|"


def run(noisy: images.Image, steps: int, threads: int) -> tuple[float, bdip.Posterior]:
    """The seconds of a run of four chains, so many at once, and its answer."""
    abreast.cores = lambda: threads
    started = perf_counter()
    posterior = bdip.sample(
        noisy, noise_std=NOISE_STD, data_range=(0, 1), max_steps=steps, target_mcse=1e-9, progress=False,
    )  # fmt: skip
    return perf_counter() - started, posterior


def measure(pixels: int, rounds: int, threads: int) -> dict[str, Any]:
    """One size, as a row of figures."""
    clean = images.reduced("set11/peppers256", pixels)
    noisy = images.add_noise(clean, NOISE_STD, 0)
    run(noisy, STEPS[pixels], 1)  # compiles
    turns: list[float] = []
    at_once: list[float] = []
    for _ in range(rounds):
        for seconds, count in ((turns, 1), (at_once, threads)):
            taken, answer = run(noisy, STEPS[pixels], count)
            seconds.append(taken)
            if count == 1:
                first = answer
        if not np.array_equal(first.mean, answer.mean):
            raise RuntimeError("threads have changed the answer")
    ratios = [a / b for a, b in zip(turns, at_once, strict=True)]
    return {
        "pixels": pixels, "threads": threads, "steps": STEPS[pixels], "rounds": rounds,
        "in turns": median(turns), "in threads": median(at_once), "ratios": ratios,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """A line of the table."""
    ratios = row["ratios"]
    cells = [
        f"{row['pixels']}²", str(row["threads"]), f"{row['in turns']:.1f}", f"{row['in threads']:.1f}",
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run all, print a table, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pixels", nargs="+", type=int, default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(4, cores()))
    parser.add_argument("--name", default="side-by-side", help="of the file in results/")
    options = parser.parse_args()
    print(HEADER, flush=True)
    rows = []
    for pixels in options.pixels:
        rows.append(measure(pixels, options.rounds, options.threads))
        print(line(rows[-1]), flush=True)
        record.save(options.name, rows)


if __name__ == "__main__":
    main()
