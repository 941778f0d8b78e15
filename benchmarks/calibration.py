"""Whose error bars are right? Methods side by side on several images, tasks and seeds, with the truth at hand.

    python -m benchmarks.calibration                       # everything: hours on 2 cores
    python -m benchmarks.calibration --methods mclmc --pictures house boat --seeds 0 --name part
    python -m benchmarks.calibration --merge part other    # results/calibration.json (or NAME), its table, its plot
    python -m benchmarks.calibration --crop 256 --channels 128 --scales 5 --name calibration-256      # for a GPU

The pictures are grey crops of set11 averaged to 128 × 128 pixels (or as large as the crop asks for), of which the
middle is taken; noise is not clipped and new for each seed; σ is given. No setting looks at the truth.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.diagnostics import ause, coverage, crps, negative_log_likelihood, psnr
from benchmarks import baselines, images, record
from benchmarks.generators import sized

PICTURES = ("peppers256", "house", "barbara", "boat", "montage", "Cameraman256")
TASKS = {"denoise": (25 / 255, 1.0), "inpaint": (10 / 255, 0.5)}  # σ, share of pixels observed
LEVELS = (0.5, 0.9, 0.95)
CURVE = tuple(np.round(np.linspace(0.05, 0.95, 19), 2))  # levels of the reliability plot
HELD_OUT = 0.2  # share of the pixels, so that the error of their coverage is a hundredth
FIXED_STEPS = 3000  # of methods that cannot tell when to stop, as gp-dip
PUBLISHED = ("gp-dip", "dropout", "ensemble")  # with the hourglass, the network of their papers
SKIPS = 4  # its channels
COLUMNS = {
    "PSNR, dB": "psnr", "mean − draw": "gap", "χ²": "chi2", "50 %": "coverage_0.5",
    "90 %": "coverage_0.9", "95 %": "coverage_0.95", "90 %, quantiles": "interval_coverage_0.9",
    "90 %, held out": "holdout_coverage_90",
    "CRPS · 10³": "crps", "NLL": "nll",
    "AUSE": "ause", "steps": "steps", "s": "seconds",
}  # fmt: skip


def posterior_draws(
    sampler: str, noisy: Any, mask: Any, std: float, generator: Any, seed: int, **options: Any
) -> bdip.Posterior:
    """A posterior by one of the package's samplers."""
    return bdip.sample(
        noisy, mask, noise_std=std, data_range=(0, 1), generator=generator, sampler=sampler,
        seed=seed, progress=False, **options,
    )  # fmt: skip


METHODS: dict[str, Callable[..., Any]] = {
    "mclmc": partial(posterior_draws, "mclmc", chains=1),
    f"mclmc, {HELD_OUT:.0%} held out": partial(
        posterior_draws, "mclmc", holdout=HELD_OUT, chains=1
    ),
    "psgld": partial(posterior_draws, "psgld", chains=1),
    "sgld": partial(posterior_draws, "sgld", steps=FIXED_STEPS),
    "gp-dip": partial(posterior_draws, "gp-dip", steps=FIXED_STEPS),
    "dropout": baselines.dropout,
    "ensemble": baselines.ensemble,
    "mclmc, 4 chains": partial(posterior_draws, "mclmc"),  # what `bdip.sample` does by itself
}


def crop(picture: str, size: int) -> images.Image:
    """The middle of the picture, averaged to twice the size or to 128 pixels, whichever it has."""
    return images.crop(f"set11/{picture}", size, of=max(128, size))


def measure(
    method: str, picture: str, task: str, seed: int, size: int, scales: int, channels: int | None
) -> dict[str, Any]:
    """One run, as a row of figures, in the unit range."""
    clean, (std, share) = crop(picture, size), TASKS[task]
    noisy = images.add_noise(clean, std, seed)
    mask = None if share == 1 else images.random_mask(clean.shape, share, seed)
    started = perf_counter()
    generator = sized(scales, channels, SKIPS if method in PUBLISHED else None)
    found = METHODS[method](noisy, mask, std, generator, seed)
    seconds = perf_counter() - started
    row = {"method": method, "picture": picture, "task": task, "seed": seed, "seconds": seconds}
    if isinstance(found, bdip.Posterior):
        draws = found.draws.reshape(-1, *clean.shape)
        told: dict[str, Any] = {"steps": found.trace["chi2"].size, **found.diagnostics}
        told["stopped"], told["warmup"] = found.settings.get("stopped"), found.warmup
        told["interval_coverage_0.9"] = within(clean, found.interval(0.9))
        mean, spread = found.mean, found.std
    else:
        draws, mean, spread = found, found.mean(axis=0), found.std(axis=0, ddof=1)
        seen = np.ones(clean.shape, bool) if mask is None else mask
        told = {"chi2": float(np.mean((found - noisy)[:, seen] ** 2) / std**2)}
    return row | told | _judged(clean, mean, spread, draws)


def _judged(
    clean: NDArray[Any], mean: NDArray[Any], std: NDArray[Any], draws: NDArray[Any]
) -> dict[str, Any]:
    single = float(np.mean([psnr(clean, draw) for draw in draws]))
    std = np.maximum(std, 1e-6)  # of an ensemble whose members agree to the last digit
    return {
        "psnr": psnr(clean, mean), "gap": psnr(clean, mean) - single,
        "crps": 1000 * float(crps(clean, mean, std).mean()),
        "nll": float(negative_log_likelihood(clean, mean, std).mean()),
        "ause": ause(clean, mean, std),
        **{f"coverage_{level}": coverage(clean, mean, std, level) for level in LEVELS},
        "reliability": [coverage(clean, mean, std, level) for level in CURVE],
    }  # fmt: skip


def within(clean: NDArray[Any], interval: tuple[NDArray[Any], NDArray[Any]]) -> float:
    """Share of the pixels between the two bounds: of quantiles of the draws, which need not be symmetric."""
    low, high = interval
    return float(np.mean((low <= clean) & (clean <= high)))


def table(rows: list[dict[str, Any]]) -> str:
    """Averages of each method and task, with the least and the most 90 % coverage of a picture, its seeds averaged.

    "off by" is how far from 0.9 the 90 % coverage of a run is, by root mean square: an average can be right of runs that are not.
    """
    lines = ["| method | task | runs | " + " | ".join(COLUMNS) + " | 90 %, by picture | off by |"]
    lines.append("|" + "---|" * (len(COLUMNS) + 5))
    for method in METHODS:
        for task in TASKS:
            some = [r for r in rows if (r["method"], r["task"]) == (method, task)]
            if some:
                lines.append(_line(method, task, some))
    return "\n".join(lines)


def _line(method: str, task: str, rows: list[dict[str, Any]]) -> str:
    cells = [method, task, str(len(rows))]
    for name in COLUMNS.values():
        values = [row[name] for row in rows if name in row]
        digits = 0 if name in ("steps", "seconds") else 3 if "coverage" in name or name in ("chi2", "ause") else 2  # fmt: skip
        cells.append(f"{np.mean(values):.{digits}f}" if values else "–")
    each = by_picture(rows)
    off = np.sqrt(np.mean([(row["coverage_0.9"] - 0.9) ** 2 for row in rows]))
    return "| " + " | ".join([*cells, f"{min(each):.3f} to {max(each):.3f}", f"{off:.3f}"]) + " |"


def by_picture(rows: list[dict[str, Any]]) -> list[float]:
    """90 % coverage of each picture, averaged over its seeds."""
    names = sorted({row["picture"] for row in rows})
    return [
        float(np.mean([r["coverage_0.9"] for r in rows if r["picture"] == name])) for name in names
    ]


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Reliability: coverage of the truth against the level claimed, a line a method, a panel a task."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(TASKS), figsize=(9, 4.4), layout="constrained", sharey=True
    )
    colours = (
        "#0072B2",
        "#000000",
        "#56B4E9",
        "#009E73",
        "#D55E00",
        "#CC79A7",
        "#E69F00",
        "#7F3C8D",
    )  # Okabe & Ito
    for axis, (task, (std, share)) in zip(axes, TASKS.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="#666666", linestyle=":", linewidth=1)
        for (method, marker), colour in zip(
            zip(METHODS, "o*s^DvxP", strict=True), colours, strict=True
        ):
            some = [r["reliability"] for r in rows if (r["method"], r["task"]) == (method, task)]
            if some:
                axis.plot(
                    CURVE, np.mean(some, axis=0), marker=marker, markersize=4, color=colour,
                    label=method,
                )  # fmt: skip
        missing = "" if share == 1 else f", {100 * (1 - share):.0f} % of pixels missing"
        axis.set(title=f"{task}, σ = {255 * std:.0f}/255{missing}", xlabel="level of the interval")
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes[0].set_ylabel("share of true values inside")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=130)


def merged(names: list[str], into: str) -> None:
    """The rows of several files as one, with table and plot; the surroundings of each are kept."""
    parts = [json.loads((record.RESULTS / f"{name}.json").read_text()) for name in names]
    rows = [row for part in parts for row in part["rows"]]
    of = [{k: v for k, v in part.items() if k != "rows"} for part in parts]
    path = record.save(into, rows, parts=of)
    plot(rows, str(path.with_suffix(".png")))
    print(table(rows))


def main() -> None:
    """Measure what is asked for, saving after each run and skipping those there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--crop", type=int, default=64, help="pixels a side")
    parser.add_argument("--channels", type=int, help="[the generator's own]")
    parser.add_argument("--scales", type=int, default=4)
    parser.add_argument("--name", default="calibration", help="of the file in results/")
    parser.add_argument("--merge", nargs="+", metavar="NAME", help="only join such files")
    options = parser.parse_args()
    if options.merge:
        return merged(options.merge, options.name)
    size = (options.crop, options.scales, options.channels)
    path = record.RESULTS / f"{options.name}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    there = {(r["method"], r["picture"], r["task"], r["seed"]) for r in rows}
    for seed in options.seeds:
        for method in options.methods:
            for picture in options.pictures:
                for task in options.tasks:
                    if (method, picture, task, seed) in there:
                        continue
                    rows.append(measure(method, picture, task, seed, *size))
                    record.save(
                        options.name,
                        rows,
                        crop=options.crop,
                        scales=options.scales,
                        channels=options.channels,
                    )
                    shown = {k: rows[-1][k] for k in ("psnr", "gap", "chi2", "coverage_0.9")}
                    print(method, picture, task, seed, shown, flush=True)
    plot(rows, str(path.with_suffix(".png")))
    print(table(rows))
    return None


if __name__ == "__main__":
    main()
