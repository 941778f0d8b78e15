"""A large image in tiles against the whole of it: PSNR, seams, error bars in the overlaps, memory, time.

    python -m benchmarks.tiling                 # the table of benchmarks/README.md, and results/tiling.png

The picture is 768 × 768 pixels out of scikit-image's photograph of a retina (1411 × 1411), its three
colours averaged. Each run is a process of its own, whose peak memory is what the system says, the
interpreter and JAX included; `idle` is a process that has imported bdip and looked for devices. Each is run
twice: for a few steps, which compiles, and then to the end with the compiled program at hand, as a user's next run would.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.diagnostics import psnr
from bdip.plot import Picture
from bdip.settings import WARMUP_SHARE
from bdip.tiling.blend import Grid
from benchmarks import images, record

SIZE = 768  # pixels a side
NOISE_STD = 25 / 255
Z_90 = 1.6448536269514722  # standard deviations to either side hold 90 % of a normal law
MIDDLE = 0.6  # where no window is larger, two tiles count about alike
RUNS = ("idle", "whole", "tiled")

Picture2D = NDArray[np.float32]


def picture() -> Picture2D:
    """Middle (768, 768) of the retina, grey, in [0, 1]."""
    whole = images.load("skimage/retina").mean(axis=-1)
    first = (whole.shape[0] - SIZE) // 2
    return whole[first : first + SIZE, first : first + SIZE]


def run(kind: str, steps: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One run in this process: seconds and peak memory; its answer goes to the folder."""
    start = perf_counter()
    jax.devices()
    if kind != "idle":
        noisy = images.add_noise(picture(), NOISE_STD, options.seed)
        chosen: dict[str, Any] = {
            "noise_std": NOISE_STD,
            "data_range": (0, 1),
            "generator": bdip.Hourglass(
                scales=4, channels_down=options.channels, channels_up=options.channels
            ),
            "steps": steps,
            "draws": options.draws,
            "seed": options.seed,
            "progress": False,
        }
        if kind == "whole":
            answer = bdip.sample(noisy, **chosen)
        else:
            answer = bdip.sample_tiled(noisy, tile=options.tile, overlap=options.overlap, **chosen)
        answer.save(folder / f"{kind}.npz")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": perf_counter() - start,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
    }


def measured(
    kind: str, steps: int, options: argparse.Namespace, folder: Path
) -> dict[str, Any] | None:
    """The same in a process of its own, unless the folder says that it was done."""
    before = folder / f"{kind}-{steps}.json"
    if before.exists():
        return json.loads(before.read_text())  # type: ignore[no-any-return]
    words = [
        f"--{name}={value}"
        for name, value in vars(options).items()
        if name not in ("only", "folder", "only_steps")
    ]
    command = [sys.executable, "-m", "benchmarks.tiling", *words, f"--only={kind}"]
    command += [f"--only-steps={steps}", f"--folder={folder}"]
    environment = {**os.environ, "BDIP_CACHE": str(folder / "programs")}
    found = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    before.write_text(found.splitlines()[-1])
    return dict(json.loads(found.splitlines()[-1]))


def fit(clean: Picture2D, answer: bdip.Posterior, where: NDArray[np.bool_]) -> dict[str, float]:
    """How the errors in some pixels compare with their standard deviations."""
    z = ((answer.mean - clean) / answer.std)[where]
    return {
        "pixels": float(where.mean()),
        "z_rms": float(np.sqrt((z**2).mean())),
        "coverage_90": float((np.abs(z) < Z_90).mean()),
        "rmse": float(np.sqrt(((answer.mean - clean)[where] ** 2).mean())),
        "std_rms": float(np.sqrt((answer.std[where] ** 2).mean())),
    }


def seam(difference: Picture2D, grid: Grid) -> float:
    """Steps of the difference across the tiles' edges, over its steps everywhere else (RMS); 1 is none."""
    edges = {side for rows, _ in grid.places() for side in (rows.start, rows.stop)} - {0, SIZE}
    lines = np.isin(np.arange(1, SIZE), sorted(edges))
    ratios = []
    for picture in (difference, difference.T):
        steps = np.diff(picture, axis=0) ** 2
        ratios.append(np.sqrt(steps[lines].mean() / steps[~lines].mean()))
    return float(np.mean(ratios))


def compared(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What there is to say of the two answers beside each other, and the picture of both."""
    clean = picture()
    whole, tiled = (bdip.Posterior.load(folder / f"{kind}.npz") for kind in ("whole", "tiled"))
    grid = Grid((SIZE, SIZE), options.tile, options.overlap)
    largest = np.zeros((SIZE, SIZE))
    for place, window in zip(grid.places(), grid.windows(), strict=True):
        largest[place] = np.maximum(largest[place], window)
    difference = tiled.mean - whole.mean
    noisy = images.add_noise(clean, NOISE_STD, options.seed)
    save_picture(noisy, clean, whole, tiled)
    return {
        "psnr_noisy": psnr(clean, noisy, 1),
        "psnr_whole": psnr(clean, whole.mean, 1),
        "psnr_tiled": psnr(clean, tiled.mean, 1),
        "psnr_draw_whole": psnr(clean, whole.draws[0, -1], 1),
        "psnr_draw_tiled": psnr(clean, tiled.draws[0, -1], 1),
        "chi2_whole": whole.diagnostics["chi2"],
        "chi2_tiled": tiled.diagnostics["chi2"],
        "chi2_tiled_draws": tiled.settings["tiles"]["chi2"],
        "seam_mean": seam(difference, grid),
        "seam_std": seam(tiled.std - whole.std, grid),
        "whole": fit(clean, whole, largest > 0),
        "one_tile": fit(clean, tiled, largest > 1 - 1e-9),
        "overlap": fit(clean, tiled, largest <= 1 - 1e-9),
        "middle_of_overlap": fit(clean, tiled, largest < MIDDLE),
        "tiles": tiled.settings["tiles"],
    }


def save_picture(
    noisy: Picture2D, clean: Picture2D, whole: bdip.Posterior, tiled: bdip.Posterior
) -> Path:
    """Means, deviations and difference, as `results/tiling.png`."""
    top = float(np.percentile(whole.std, 99))
    spread = 3 * float((tiled.mean - whole.mean).std())
    panels: list[tuple[str, Picture2D, str, float, float]] = [
        ("noisy", noisy, "gray", 0, 1),
        ("whole: mean", whole.mean, "gray", 0, 1),
        ("tiled: mean", tiled.mean, "gray", 0, 1),
        (f"tiled − whole, ± {spread:.3f}", tiled.mean - whole.mean, "gray", -spread, spread),
        ("truth", clean, "gray", 0, 1),
        (f"whole: std, to {top:.3f}", whole.std, "viridis", 0, top),
        (f"tiled: std, to {top:.3f}", tiled.std, "viridis", 0, top),
        (f"tiled − truth, ± {2 * spread:.3f}", tiled.mean - clean, "gray", -2 * spread, 2 * spread),
    ]
    figure = Picture(figsize=(20, 10.4), layout="constrained")
    for axes, (name, values, colours, low, high) in zip(
        figure.subplots(2, 4).flat, panels, strict=True
    ):
        axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    path = record.RESULTS / "tiling.png"
    figure.savefig(path, dpi=45)
    return path


def main() -> None:
    """All runs, one after another, and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    numbers: dict[str, int] = {
        "channels": 32, "steps": 100, "draws": 6, "tile": 288, "overlap": 48, "seed": 0,
    }  # fmt: skip
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"[{value}]")
    parser.add_argument(
        "--folder", type=Path, help="keep answers and programs here, and go on from them"
    )
    parser.add_argument("--only", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--only-steps", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(run(options.only, options.only_steps, options, options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for kind in RUNS:
            # As many as have the same room for draws, and so the same program.
            short = math.ceil(options.draws / (1 - WARMUP_SHARE))
            first = measured(kind, short, options, folder)
            last = measured(kind, options.steps, options, folder) if kind != "idle" else first
            rows.append({"run": kind, "first": first, "last": last})
            print(json.dumps(rows[-1]), flush=True)
        found = compared(options, folder)
    written = {name: getattr(options, name) for name in numbers}
    print(json.dumps({k: v for k, v in found.items() if k != "tiles"}, indent=1))
    print(record.save("tiling", rows, settings=written, noise_std=NOISE_STD, compared=found))


if __name__ == "__main__":
    main()
