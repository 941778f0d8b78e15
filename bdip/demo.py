"""`bdip demo`: a photograph denoised and inpainted, and descent beside sampling, in a few minutes."""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.compare import Curve, follow
from bdip.diagnostics import psnr
from bdip.io import save_image
from bdip.networks import Hourglass
from bdip.plot import Figure, plot_curves, plot_rows, std_picture
from bdip.posterior import Posterior

Pixels = NDArray[np.float64]  # (H, W, 3), from 0 to 255

NOISE_STD = 25.0  # grey levels of 255
OBSERVED = 0.5  # share of pixels kept for inpainting
LEAST_GAIN = 6.0  # dB over the degraded input, below which the demonstration has failed
PUBLISHED = Hourglass(channels_down=32, channels_up=32)  # of the descent
STEPS = 1000


def photograph() -> Pixels:
    """A face (128, 128, 3) from 0 to 255: Eileen Collins, NASA, public domain, from scikit-image."""
    from skimage.data import astronaut

    face = astronaut()[0:256, 96:352].astype(np.float64)
    return face.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))


def run(folder: Path, seed: int = 0, steps: int = STEPS) -> bool:
    """Write the pictures to `folder`, say what was gained, and return whether it was enough."""
    folder.mkdir(parents=True, exist_ok=True)
    started = perf_counter()
    clean = photograph()
    rng = np.random.default_rng(seed)
    noisy = clean + NOISE_STD * rng.standard_normal(clean.shape)
    known = rng.random(clean.shape[:2]) < OBSERVED
    options: dict[str, Any] = {
        "clean": clean, "noise_std": NOISE_STD, "data_range": (0, 255), "steps": steps, "seed": seed,
    }  # fmt: skip

    _say(f"1/3 denoising {clean.shape[1]} × {clean.shape[0]} pixels, noise std {NOISE_STD:g}")
    denoised, sampling = _finished(follow(noisy, **options))
    _say(f"2/3 inpainting {100 * (1 - known.mean()):.0f} % missing pixels under the same noise")
    inpainted, _ = _finished(follow(noisy, known, **options))
    _say("3/3 denoising by plain descent, Adam, as the original Deep Image Prior does")
    descended, descent = _finished(follow(noisy, sampler="adam", generator=PUBLISHED, **options))

    curves = {"descent (Adam)": descent, "Langevin": sampling}
    masked = np.where(known[..., None], noisy, 0)
    _write(folder / "denoise", "noisy", noisy, denoised)
    _write(folder / "inpaint", "masked", masked, inpainted)
    save_image(folder / "truth.png", clean, np.uint8)
    _sheet(clean, noisy, masked, denoised, inpainted, descended).savefig(
        folder / "side-by-side.png", dpi=130
    )
    plot_curves(curves, with_truth=True).savefig(folder / "sgd-vs-sgld.png", dpi=130)

    rows = [("denoised", noisy, denoised), ("inpainted", masked, inpainted)]
    gains = [_report(name, clean, degraded, answer) for name, degraded, answer in rows]
    best = int(np.argmax(descent["draw"]))
    _say(
        f"descent    {descent['draw'][best]:5.2f} dB at best (step {descent['step'][best]}), "
        f"{descent['draw'][-1]:5.2f} dB at step {steps}: it goes on to fit the noise"
    )
    _say(f"pictures in {folder}/, restored in {perf_counter() - started:.0f} s")
    enough = min(gains) >= LEAST_GAIN
    if not enough:
        _say(f"a gain is below {LEAST_GAIN:g} dB: something is wrong with this installation")
    return enough


def _finished(result: tuple[Posterior, Curve]) -> tuple[Posterior, Curve]:
    """The result, unless Ctrl-C cut it short: a demonstration by halves shows nothing."""
    if not result[0].complete:
        raise KeyboardInterrupt
    return result


def _report(name: str, clean: Pixels, degraded: Pixels, answer: Posterior) -> float:
    """Say what was gained, and return it in dB."""
    before, after = psnr(clean, degraded, 255), psnr(clean, answer.mean, 255)
    _say(
        f"{name:10} {before:5.2f} → {after:5.2f} dB, gain {after - before:5.2f} dB; "
        f"χ² {answer.diagnostics['chi2']:.3f}"
    )
    return after - before


def _write(stem: Path, name: str, degraded: Pixels, answer: Posterior) -> None:
    """Degraded input, restored image and uncertainty, beside each other as PNG."""
    save_image(f"{stem}-{name}.png", degraded, np.uint8)
    save_image(f"{stem}-restored.png", answer.mean, np.uint8)
    save_image(f"{stem}-uncertainty.png", std_picture(answer.std, 2), np.uint8)


def _sheet(
    clean: Pixels, noisy: Pixels, masked: Pixels, denoised: Posterior, inpainted: Posterior,
    descended: Posterior,
) -> Figure:  # fmt: skip
    """All pictures on one sheet, with their PSNR."""

    def entry(name: str, picture: ArrayLike) -> tuple[str, ArrayLike]:
        return f"{name}, {psnr(clean, picture, 255):.1f} dB", picture

    def std(answer: Posterior) -> tuple[str, ArrayLike]:
        return f"std, median {np.median(answer.std):.1f} levels", std_picture(answer.std, 2)

    return plot_rows(
        [
            [entry("noisy", noisy), entry("sampled mean", denoised.mean), std(denoised),
             entry("descent at its end", descended.mean)],
            [entry("50 % missing", masked), entry("sampled mean", inpainted.mean), std(inpainted),
             ("truth", clean)],
        ]
    )  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
