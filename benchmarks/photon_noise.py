"""Few photons: the variance that goes with the light, against one σ for all pixels.

    python -m benchmarks.photon_noise

The crop of `benchmarks.sampling`, as a camera sees it with 30 photons in white and a read noise of
2: Poisson counts plus normal noise, not clipped. One σ for all is the true root mean square. The
thirds are the darkest and the brightest third of the true picture.
"""

import argparse
from time import perf_counter
from typing import Any

import numpy as np

import bdip
from bdip.diagnostics import coverage, psnr
from benchmarks import images, record
from benchmarks.sampling import GENERATOR

WHITE, READ_NOISE = 30.0, 2.0  # photons
LAWS = ("photons", "one sigma")
HEADER = (
    "| law | mean, dB | draw, dB | dark third, dB | bright third, dB | χ² | 90 % coverage "
    "| dark third | bright third | s |\n|" + "---|" * 10
)


def measure(law: str, white: float, **options: Any) -> dict[str, Any]:
    """One run, as a row of figures; decibels against the clean crop, from 0 to `white` photons."""
    clean = images.crop96() * white
    rng = np.random.default_rng(0)
    noisy = rng.poisson(clean) + rng.normal(0, READ_NOISE, clean.shape)
    noise: dict[str, Any] = {"noise_std": float(np.sqrt(clean.mean() + READ_NOISE**2))}
    if law == "photons":
        noise = {"noise": bdip.PoissonGaussian(gain=1.0, read_noise=READ_NOISE)}
    started = perf_counter()
    posterior = bdip.sample(
        noisy, data_range=(0, white), generator=GENERATOR, progress=False, **noise, **options
    )
    draws = posterior.draws.reshape(-1, *clean.shape)
    row = {
        "law": law, "white": white, "read_noise": READ_NOISE,
        "input": psnr(clean, noisy, white),
        "draw": float(np.mean([psnr(clean, draw, white) for draw in draws])),
        **posterior.diagnostics,
        "seconds": perf_counter() - started,
        "settings": posterior.settings,
    }  # fmt: skip
    low, high = np.quantile(clean, (1 / 3, 2 / 3))
    parts = {"": clean == clean, "_dark": clean <= low, "_bright": clean >= high}
    for name, part in parts.items():
        row[f"mean{name}"] = psnr(clean[part], posterior.mean[part], white)
        row[f"coverage{name}"] = coverage(clean[part], posterior.mean[part], posterior.std[part])
    return row


def line(row: dict[str, Any]) -> str:
    """The row as a line of a Markdown table."""
    decibels = [f"{row[name]:.2f}" for name in ("mean", "draw", "mean_dark", "mean_bright")]
    shares = [
        f"{row[name]:.3f}" for name in ("chi2", "coverage", "coverage_dark", "coverage_bright")
    ]
    return "| " + " | ".join([row["law"], *decibels, *shares, f"{row['seconds']:.0f}"]) + " |"


def main() -> None:
    """Run all, print a table, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="+", default=LAWS, choices=LAWS)
    parser.add_argument("--white", type=float, default=WHITE, help="photons in white")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="photon-noise", help="of the file in results/")
    options = parser.parse_args()
    print(HEADER, flush=True)
    rows = []
    for law in options.laws:
        rows.append(measure(law, options.white, steps=options.steps, seed=options.seed))
        print(line(rows[-1]), flush=True)
        path = record.save(options.name, rows)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
