"""What makes a better prior, and a better recipe? One change at a time to an hourglass of 48 channels and 4 scales, at equal steps.

    python -m benchmarks.architectures --quick                       # 48 × 48 pixels, one picture: minutes
    python -m benchmarks.architectures                               # all: a night on 2 cores
    python -m benchmarks.architectures --variants "no skips" "6 scales" --tasks hole --methods mclmc adam
    python -m benchmarks.architectures --variants                    # the table of what is there
    python -m benchmarks.architectures --variants --figure build/architectures.png

Pictures of set11 averaged to 128 × 128 pixels and cut to the middle; noise and mask are new for each seed:

- `denoise`: σ = 25/255;
- `inpaint`: half of the pixels missing, σ = 10/255;
- `hole`: a quarter of the width, square, missing in the middle, σ = 10/255; the figures are those of the hole;
- `text`: lines of text over the picture, σ = 10/255; the figures are those of what is under it;
- `gp`: the picture of the GP-DIP repository (Cheng et al., CVPR 2019), 64 × 64 pixels of which half are missing and none is noisy, σ told
  5/255; "put back" is the mean with the observed pixels as they were.

`mclmc` is the posterior mean of the default sampler after so many steps; `adam` is the Deep Image Prior's descent with its jitter,
stopped at its best by an oracle, and at its end. A difference to the base is paired: of the same picture, seed and task.
Rows are kept in `results/NAME.json`; a run adds those that are not there.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.compare import follow
from bdip.diagnostics import coverage, psnr
from bdip.networks.base import Generator
from bdip.samplers import Adam, Constant, Mclmc, Sampler
from bdip.settings import WARMUP_SHARE
from benchmarks import degrading, images, record

BASE = "hourglass"


class Change(NamedTuple):
    """What differs from the base: fields of the hourglass or another generator, of the sampler, options of `sample`."""

    generator: Mapping[str, Any] | Generator = MappingProxyType({})
    sampler: Mapping[str, Any] = MappingProxyType({})
    options: Mapping[str, Any] = MappingProxyType({})
    rate: float = 1.0  # times the step size of the warm-up's first half, or Adam's learning rate
    error: float = 1.0  # times the energy error that the step size is tuned to


VARIANTS: dict[str, Change] = {
    BASE: Change(),
    "pyramid": Change(bdip.Pyramid()),
    "pyramid, no gates": Change(bdip.Pyramid(gated=False)),
    "pyramid, tanh at the last": Change(bdip.Pyramid(last_activation="tanh")),
    "pyramid, softsign at the last": Change(bdip.Pyramid(last_activation="softsign")),
    "pyramid, tanh throughout": Change(bdip.Pyramid(activation="tanh")),
    "pyramid, latents of 0.3": Change(bdip.Pyramid(latent_scale=0.3)),
    "pyramid, latents of 1": Change(bdip.Pyramid(latent_scale=1.0)),
    "pyramid, 3 scales": Change(bdip.Pyramid(scales=3)),
    "pyramid, 5 scales": Change(bdip.Pyramid(scales=5)),
    "pyramid, no latents but the coarsest": Change(bdip.Pyramid(latent_channels=0)),
    "pyramid, 2 latents": Change(bdip.Pyramid(latent_channels=2)),
    "pyramid, 4 latents": Change(bdip.Pyramid(latent_channels=4)),
    "pyramid, 16 latents": Change(bdip.Pyramid(latent_channels=16)),
    "pyramid, 8 channels": Change(bdip.Pyramid(channels=8)),
    "pyramid, 24 channels": Change(bdip.Pyramid(channels=24)),
    "pyramid, 32 channels": Change(bdip.Pyramid(channels=32)),
    "pyramid, 48 channels": Change(bdip.Pyramid(channels=48)),
    "pyramid, 48 channels, latents of 0.3": Change(bdip.Pyramid(channels=48, latent_scale=0.3)),
    "pyramid, 48 channels, latents of 0.5": Change(bdip.Pyramid(channels=48, latent_scale=0.5)),
    "pyramid, 48 channels, latents of 1": Change(bdip.Pyramid(channels=48, latent_scale=1.0)),
    "pyramid, 48 channels, 2 latents of 1": Change(
        bdip.Pyramid(channels=48, latent_channels=2, latent_scale=1.0)
    ),
    "pyramid, 64 channels": Change(bdip.Pyramid(channels=64)),
    "pyramid, 96 channels": Change(bdip.Pyramid(channels=96)),
    "pyramid, nearest": Change(bdip.Pyramid(upsample="nearest")),
    "pyramid, 5 × 5": Change(bdip.Pyramid(kernel=5)),
    "2 scales": Change({"scales": 2}),
    "3 scales": Change({"scales": 3}),
    "5 scales": Change({"scales": 5}),
    "6 scales": Change({"scales": 6}),
    "no skips": Change({"channels_skip": 0}),
    "no skips, 2 scales": Change({"channels_skip": 0, "scales": 2}),
    "no skips, 3 scales": Change({"channels_skip": 0, "scales": 3}),
    "no skips, 5 scales": Change({"channels_skip": 0, "scales": 5}),
    "no skips, 96 channels": Change({"channels_skip": 0, "channels_down": 96, "channels_up": 96}),
    "skips of 1": Change({"channels_skip": 1}),
    "skips of 16": Change({"channels_skip": 16}),
    "skips of 128": Change({"channels_skip": 128}),
    "nearest": Change({"upsample": "nearest"}),
    "5 × 5 down": Change({"kernel_down": 5}),
    "5 × 5 up": Change({"kernel_up": 5}),
    "relu": Change({"activation": "relu"}),
    "swish": Change({"activation": "swish"}),
    "elu": Change({"activation": "elu"}),
    "padding by zeros": Change({"padding": "zero"}),
    "coordinates": Change({"latent": "coordinates"}),
    "latent of 1": Change({"latent_scale": 1.0}),
    "latent of 0.01": Change({"latent_scale": 0.01}),
    "8 latent channels": Change({"latent_channels": 8}),
    "linear output": Change({"output": "linear"}),
    "16 channels": Change({"channels_down": 16, "channels_up": 16}),
    "32 channels": Change({"channels_down": 32, "channels_up": 32}),
    "96 channels": Change({"channels_down": 96, "channels_up": 96}),
    "resnet": Change(bdip.ResNet()),
    "unet": Change(bdip.UNet(scales=3, channels=16)),
    "deep decoder": Change(bdip.DeepDecoder()),
    "λ = 0.1": Change(options={"weight_precision": 0.1}),
    "λ = 0.3": Change(options={"weight_precision": 0.3}),
    "λ = 3": Change(options={"weight_precision": 3.0}),
    "λ = 10": Change(options={"weight_precision": 10.0}),
    "L = 0.5": Change(sampler={"decoherence": 0.5}),
    "L = 1": Change(sampler={"decoherence": 1.0}),
    "L = 4": Change(sampler={"decoherence": 4.0}),
    "L = 8": Change(sampler={"decoherence": 8.0}),
    "α = 0.99": Change(sampler={"decay": 0.99}),
    "α = 0.999": Change(sampler={"decay": 0.999}),
    "δ = 3": Change(sampler={"damping": 3.0}),
    "one gain a tensor": Change(sampler={"granularity": "tensor"}),
    "rate / 10": Change(rate=0.1),
    "rate / 3": Change(rate=1 / 3),
    "rate · 3": Change(rate=3.0),
    "rate · 10": Change(rate=10.0),
    "error / 2": Change(error=0.5),
    "error · 2": Change(error=2.0),
    "no skips, error / 2": Change({"channels_skip": 0}, error=0.5),
    "2 chains, half as long": Change(options={"chains": 2}),
    "4 chains, a quarter as long": Change(options={"chains": 4}),
    "pyramid, 4 chains, a quarter as long": Change(bdip.Pyramid(), options={"chains": 4}),
}
PICTURES = ("peppers256", "house", "barbara")
STD = {"denoise": 25, "inpaint": 10, "hole": 10, "text": 10, "gp": 5}  # told, of 255
TASKS = tuple(STD)
GP = "gp/inpaint64"
METHODS = ("mclmc", "adam")
HEADER = (
    "| change | task | mean, dB | gain, dB (pairs) | χ² | 90 % coverage | descent at its best, dB | gain, dB (pairs) "
    "| at its end, dB |\n|" + "---|" * 9
)
KEY = ("variant", "task", "method", "picture", "seed", "pixels", "steps")
SHOWN = (  # in the figure: method, score, colour (Okabe & Ito), marker, label
    ("mclmc", "psnr", "#0072B2", "o", "posterior mean"),
    ("adam", "psnr", "#D55E00", "D", "descent, stopped by an oracle"),
    ("adam", "last", "#666666", "x", "descent, at its end"),
)


def measure(
    variant: str, task: str, method: str, picture: str, seed: int, pixels: int, steps: int
) -> dict[str, Any]:
    """One run, as a row of figures; decibels against the clean picture, from 0 to 1."""
    std = STD[task] / 255
    if task == "gp":
        clean, mask = images.gp_inpainting()
        data = np.where(mask, clean, 0)
    else:
        clean = images.crop(picture, pixels)
        mask = seen(task, clean.shape, seed)
        data = images.add_noise(clean, std, seed)
    counted = ~mask if task in ("hole", "text") else np.ones(clean.shape, bool)
    change = VARIANTS[variant]
    each = steps // change.options.get("chains", 1)
    kept = each - int(WARMUP_SHARE * each)
    started = perf_counter()
    posterior, curve = follow(
        data, mask, clean=clean, sampler=sampler(method, change, std, int(mask.sum()), kept),
        scores={"counted": lambda truth, image: psnr(truth[counted], image[counted])}, block=50,
        seed=seed, noise_std=std, data_range=(0, 1), generator=generator(change), progress=False,
        steps=each, **change.options,
    )  # fmt: skip
    row = {
        "variant": variant, "task": task, "method": method, "picture": picture, "seed": seed,
        "pixels": pixels, "steps": steps, "seconds": perf_counter() - started,
        "commit": record.surroundings()["commit"], "chi2": float(curve["chi2"][-1]),
        "psnr": psnr(clean[counted], posterior.mean[counted]), "settings": posterior.settings,
    }  # fmt: skip
    if method == "adam":
        return row | {"psnr": float(np.max(curve["counted of draw"])), "last": row["psnr"]}
    if task == "gp":
        row["put_back"] = psnr(clean, degrading.put_back(mask, clean, posterior.mean))
    held = coverage(clean[counted], posterior.mean[counted], posterior.std[counted])
    return row | {"coverage": held, **posterior.diagnostics}


def generator(change: Change) -> Generator:
    """The hourglass with the change, or what stands in its place."""
    given = change.generator
    return bdip.Hourglass(**given) if isinstance(given, Mapping) else given


def sampler(method: str, change: Change, std: float, values: int, kept: int) -> str | Sampler:
    """The sampler with the change, for σ, so many observed values and kept steps."""
    if method == "adam":
        if change.rate == 1:
            return "adam+jitter"
        return Adam(Constant(0.01 * change.rate))  # without jitter, which a name adds
    found = Mclmc.default(values / std**2, values, kept)
    assert isinstance(found.step_size, Constant)
    assert found.energy_tolerance is not None
    return replace(
        found, step_size=Constant(change.rate * found.step_size.value),
        energy_tolerance=change.error * found.energy_tolerance, **change.sampler,
    )  # fmt: skip


def seen(task: str, shape: tuple[int, ...], seed: int) -> NDArray[np.bool_]:
    """Which pixels are observed."""
    if task == "inpaint":
        return images.random_mask(shape, 0.5, seed)
    if task == "text":
        return ~degrading.text(*shape)
    mask = np.ones(shape, bool)
    if task == "hole":
        middle = tuple(slice(3 * n // 8, 5 * n // 8) for n in shape)
        mask[middle] = False
    return mask


def pair(row: dict[str, Any]) -> tuple[Any, ...]:
    """What two rows that are compared have in common."""
    return tuple(row[part] for part in ("task", "picture", "seed", "pixels", "steps"))


class Paired(NamedTuple):
    """A mean difference to the base, its standard error (NaN of one pair), and how many pairs there are."""

    mean: float
    error: float
    pairs: int


def paired(
    rows: list[dict[str, Any]], variant: str, task: str, method: str, base: str = BASE
) -> Paired:
    """How much better (dB) the variant is than the base on the same pictures and seeds."""
    found = {
        (row["variant"], pair(row)): row["psnr"]
        for row in rows
        if (row["task"], row["method"]) == (task, method)
    }
    differences = [
        value - found[base, alike]
        for (name, alike), value in found.items()
        if name == variant and (base, alike) in found
    ]
    count = len(differences)
    if not count:
        return Paired(np.nan, np.nan, 0)
    error = np.std(differences, ddof=1) / count**0.5 if count > 1 else np.nan
    return Paired(float(np.mean(differences)), float(error), count)


def table(rows: list[dict[str, Any]], base: str = BASE) -> str:
    """A line a variant and task: what the sampler and the descent gain by the change."""
    lines = [HEADER]
    for variant in VARIANTS:
        for task in TASKS:
            some = [row for row in rows if (row["variant"], row["task"]) == (variant, task)]
            if some:
                lines.append(line(variant, task, some, rows, base))
    return "\n".join(lines)


def line(
    variant: str, task: str, some: list[dict[str, Any]], rows: list[dict[str, Any]], base: str
) -> str:
    """A line of the table, of the rows of this variant and task."""
    cells = [variant, task]
    for method in METHODS:
        own = [row for row in some if row["method"] == method]
        for name in ("psnr", "last") if method == "adam" else ("psnr", "chi2", "coverage"):
            values = [row[name] for row in own]
            digits = 2 if name in ("psnr", "last") else 3
            cells.append(f"{np.mean(values):.{digits}f}" if values else "–")
        gain = paired(rows, variant, task, method, base)
        error = "" if np.isnan(gain.error) else f" ± {gain.error:.2f}"
        told = f"{gain.mean:+.2f}{error} ({gain.pairs})" if gain.pairs and variant != base else "–"
        cells.insert(len(cells) - (1 if method == "adam" else 2), told)
    return "| " + " | ".join(cells) + " |"


def figure(rows: list[dict[str, Any]], path: Path, base: str = BASE) -> None:
    """A panel a task, a line a variant: decibels from the base's mean of the same picture; small dots are runs, large ones their means."""
    from matplotlib import pyplot

    bases = {
        pair(row): row["psnr"] for row in rows if (row["variant"], row["method"]) == (base, "mclmc")
    }
    rows = [row for row in rows if pair(row) in bases]
    tasks = [task for task in TASKS if any(row["task"] == task for row in rows)]
    variants = [name for name in VARIANTS if any(row["variant"] == name for row in rows)]
    drawn, axes = pyplot.subplots(
        1, len(tasks), figsize=(1.8 + 3.4 * len(tasks), 1.3 + 0.26 * len(variants)), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axis, task in zip(axes[0], tasks, strict=True):
        for place, (method, score, colour, marker, label) in product(range(len(variants)), SHOWN):
            gains = [
                row[score] - bases[pair(row)] for row in rows
                if (row["variant"], row["task"], row["method"]) == (variants[place], task, method)
            ]  # fmt: skip
            if gains:
                axis.plot(
                    gains, [place] * len(gains), marker, color=colour, markersize=3, alpha=0.4
                )
                axis.plot(np.mean(gains), place, marker, color=colour, markersize=7, label=label)
        axis.axvline(0, color="#666666", linewidth=0.8, zorder=0)
        axis.set(
            title=task,
            xlabel=f"dB from the mean of the {base}",
            yticks=range(len(variants)),
            yticklabels=variants,
        )
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.25)
    axes[0, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    drawn.legend(found.values(), found, loc="outside upper center", ncols=len(found), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=110)


def main() -> None:
    """Run what is asked for and not there yet, write each row, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--base", default=BASE, choices=list(VARIANTS), help=f"[{BASE}]")
    parser.add_argument("--tasks", nargs="+", default=["denoise"], choices=TASKS)
    parser.add_argument("--methods", nargs="+", default=["mclmc"], choices=METHODS)
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--quick", action="store_true", help="48 pixels, 600 steps, one picture")
    parser.add_argument("--name", default="architectures", help="of the file in results/")
    parser.add_argument("--merge", nargs="+", metavar="NAME", help="add the rows of these files")
    parser.add_argument("--figure", type=Path, help="a PNG file for it")
    options = parser.parse_args()
    record.merge(options.name, options.merge or (), KEY)
    pictures, pixels, steps = options.pictures, options.pixels, options.steps
    if options.quick:
        pictures, pixels, steps = pictures[:1], 48, 600
    asked = product(
        options.seeds, [options.base, *options.variants], options.tasks, options.methods, pictures
    )
    for seed, variant, task, method, picture in asked if options.variants else ():
        name = GP if task == "gp" else f"set11/{picture}"
        key = (variant, task, method, name, seed, pixels, steps)
        if key not in record.keys(record.kept(options.name), KEY):
            row = measure(*key)
            record.save(options.name, [*record.kept(options.name), row])
            print(f"{' · '.join(map(str, key))}: {row['psnr']:.2f} dB", flush=True)
    rows = record.kept(options.name)
    print(table(rows, options.base))
    if options.figure:
        figure(rows, options.figure, options.base)


if __name__ == "__main__":
    main()
