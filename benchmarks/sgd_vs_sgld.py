"""Why sample? PSNR and SSIM against the step: descents, what is added to them, and samplers, on one noisy picture.

    python -m benchmarks.sgd_vs_sgld                      # 10,000 steps: minutes a method
    python -m benchmarks.sgd_vs_sgld --quick              # 48 × 48 pixels, 16 channels, 2,000 steps
    python -m benchmarks.sgd_vs_sgld --methods adam mclmc --seeds 0 1 2
    python -m benchmarks.sgd_vs_sgld --methods            # the figure and the table of what is there

The picture is the crop of `benchmarks.images.crop96`; the noise has σ = 25/255 and is not clipped; the generator is the default
hourglass. "Best" is what an oracle would have stopped at. Rows are kept in `results/NAME.json`, with their curves; a run adds its own.
"""

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip.compare import follow
from bdip.diagnostics import coverage, psnr
from bdip.plot import plot_curves
from benchmarks import images, record
from benchmarks.scoring import ssim

NOISE_STD = 25 / 255
METHODS = (
    "adam", "adam+average", "adam+decay", "adam+jitter", "adam+jitter+average", "gp-dip", "mclmc",
)  # fmt: skip
DRAWN = ("adam", "adam+jitter+average", "gp-dip", "mclmc")  # in the figure, which more would crowd
FULL = {"pixels": 96, "channels": 48, "scales": 4, "steps": 10_000}
QUICK = {"pixels": 48, "channels": 16, "scales": 3, "steps": 2_000}
POINTS = 200  # of a curve
HEADER = (
    "| method | seed | best single, dB (step) | last single, dB | last average, dB | SSIM of it | χ² at the end "
    "| 90 % coverage | s |\n|" + "---|" * 9
)
Size = dict[str, int]


def measure(method: str, seed: int, size: Size) -> dict[str, Any]:
    """One run, as a row of figures with its curve; decibels against the clean crop, from 0 to 1."""
    clean = crop(size["pixels"])
    generator = bdip.Hourglass(
        scales=size["scales"], channels_down=size["channels"], channels_up=size["channels"]
    )
    started = perf_counter()
    posterior, curve = follow(
        images.add_noise(clean, NOISE_STD, seed), clean=clean, sampler=method, steps=size["steps"],
        block=max(1, size["steps"] // POINTS), scores={"SSIM": ssim}, seed=seed, noise_std=NOISE_STD,
        data_range=(0, 1), generator=generator, progress=False,
    )  # fmt: skip
    spread = np.isfinite(posterior.std).all()
    return {
        "method": method, "seed": seed, **size, "picture": images.crop96_name(),
        "commit": record.surroundings()["commit"],
        "coverage": coverage(clean, posterior.mean, posterior.std) if spread else None,
        "seconds": perf_counter() - started,
        "curve": {name: rounded(values) for name, values in curve.items()},
        "settings": posterior.settings,
    }  # fmt: skip


def crop(pixels: int) -> images.Image:
    """The middle of the crop of 96 × 96 pixels."""
    return images.middle(images.crop96(), pixels)


def rounded(values: Any) -> Any:
    """Numbers of a curve with five digits, None for those that are none: enough for a figure, and small as JSON."""
    if isinstance(values, bool | np.bool_):
        return bool(values)
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in np.asarray(values, np.float64)]


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    curve = row["curve"]
    best = int(np.argmax(curve["draw"]))
    average, alike, covered = "–", curve["SSIM of draw"][-1], "–"
    if curve["averages"]:
        average, alike = f"{curve['mean'][-1]:.2f}", curve["SSIM of mean"][-1]
    if row["coverage"] is not None:
        covered = f"{row['coverage']:.3f}"
    cells = [
        row["method"], str(row["seed"]), f"{curve['draw'][best]:.2f} ({curve['step'][best]:.0f})",
        f"{curve['draw'][-1]:.2f}", average, f"{alike:.3f}", f"{curve['chi2'][-1]:.3f}", covered,
        f"{row['seconds']:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def drawn(rows: list[dict[str, Any]], size: Size) -> Any:
    """The figure of the first seed: PSNR and χ² against the step."""
    first = min(row["seed"] for row in rows)
    found = {row["method"]: row["curve"] for row in rows if row["seed"] == first}
    arrays = {
        name: {k: v if isinstance(v, bool) else np.array(v, float) for k, v in found[name].items()}
        for name in DRAWN
        if name in found
    }
    noisy = psnr(crop(size["pixels"]), images.add_noise(crop(size["pixels"]), NOISE_STD, first))
    return plot_curves(arrays, with_truth=True, levels={"noisy picture": noisy})


def kept(name: str, size: Size) -> list[dict[str, Any]]:
    """The rows of `results/name.json` of this size."""
    return [row for row in record.kept(name) if all(row[part] == size[part] for part in size)]


def main() -> None:
    """Run what is asked for, print the table, write results/NAME.json and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), help="[all]")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, help=f"[{FULL['steps']}]")
    parser.add_argument("--quick", action="store_true", help="a small picture and generator")
    parser.add_argument("--name", help="of the file in results/ [sgd-vs-sgld]")
    parser.add_argument("--figure", type=Path, help="a PNG file for the curves")
    options = parser.parse_args()
    size = dict(QUICK if options.quick else FULL)
    size["steps"] = options.steps or size["steps"]
    name = options.name or ("sgd-vs-sgld-quick" if options.quick else "sgd-vs-sgld")
    for seed in options.seeds:
        for method in options.methods:
            row = measure(method, seed, size)
            others = [r for r in kept(name, size) if (r["method"], r["seed"]) != (method, seed)]
            record.save(name, [*others, row])
            print(line(row), flush=True)
    rows = kept(name, size)
    print("\n".join([HEADER, *map(line, sorted(rows, key=lambda row: (row["seed"], order(row))))]))
    if options.figure:
        drawn(rows, size).savefig(options.figure, dpi=130)


def order(row: dict[str, Any]) -> int:
    """Where the row's method stands in the table."""
    return METHODS.index(row["method"]) if row["method"] in METHODS else len(METHODS)


if __name__ == "__main__":
    main()
