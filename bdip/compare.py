"""Methods side by side on one image: how each fares with the steps, and where it ends."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.api import sample
from bdip.chain import Progress
from bdip.diagnostics import psnr
from bdip.posterior import Posterior
from bdip.samplers import REGISTRY
from bdip.settings import Settings

Curve = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One posterior and one curve a method, by the name of its sampler.

    A curve has "step", "chi2", and where the truth was given "draw" and "mean", the PSNR in dB of
    the single output and of the running mean, each (t,) and of the first chain; "averages" says
    whether there is one.
    """

    posteriors: dict[str, Posterior]
    curves: dict[str, Curve]

    def table(self) -> str:
        """What each method reached, in lines of text."""
        lines = []
        for name, curve in self.curves.items():
            line = f"{name:8} χ² {curve['chi2'][-1]:.3f} at the end"
            if "draw" in curve:
                best = int(np.argmax(curve["draw"]))
                line += (
                    f"; single output {curve['draw'][-1]:.2f} dB at the end, "
                    f"{curve['draw'][best]:.2f} at best (step {curve['step'][best]})"
                )
                if curve["averages"]:
                    line += f"; mean {curve['mean'][-1]:.2f} dB"
            lines.append(line)
        return "\n".join(lines)


def compare(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    clean: ArrayLike | None = None,
    samplers: tuple[str, ...] = ("adam", "mclmc"),
    block: int = 25,
    **options: Any,
) -> Comparison:
    """Restore `image` with each of `samplers`, looking every `block` steps.

    `clean` is the true image, in the same units, for the PSNR; without it only χ² is followed. The
    other `options` are those of `bdip.sample`, whose errors are raised. An interrupted method is
    the last.
    """
    posteriors, curves = {}, {}
    for name in samplers:
        posteriors[name], curves[name] = follow(
            image, mask, clean=clean, sampler=name, block=block, **options
        )
        if not posteriors[name].complete:  # Ctrl-C, or out of time: what there is, is the answer
            break
    return Comparison(posteriors, curves)


def follow(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    clean: ArrayLike | None = None,
    sampler: str = "mclmc",
    block: int = 25,
    **options: Any,
) -> tuple[Posterior, Curve]:
    """`bdip.sample`, and its curve, as in `Comparison`."""
    seen: list[tuple[Any, ...]] = []

    def look(progress: Progress) -> None:
        if progress.chain > 0:  # a curve is of one chain, and the chains may take turns
            return
        images = (np.array(progress.image), np.array(progress.mean)) if clean is not None else ()
        seen.append((progress.step, progress.chi2, *images))

    posterior = sample(
        image, mask, sampler=sampler, settings=Settings(block=block), callback=look, **options
    )
    curve: Curve = {
        "step": np.array([row[0] for row in seen]),
        "chi2": np.array([row[1] for row in seen]),
        "averages": REGISTRY[sampler].uncertain,
    }
    if clean is not None:
        truth = _unit(clean, posterior)
        curve["draw"] = np.array([psnr(truth, row[2]) for row in seen])
        curve["mean"] = np.array([psnr(truth, row[3]) if row[3].any() else np.nan for row in seen])
    return posterior, curve


def _unit(clean: ArrayLike, posterior: Posterior) -> NDArray[np.float64]:
    """The truth (H, W, C) in the unit range, where the chain's images are."""
    low, high = posterior.settings["data_range"]
    axis = posterior.settings["channel_axis"]
    image = np.asarray(clean, np.float64)
    image = image[..., None] if axis is None else np.moveaxis(image, axis, -1)
    return (image - low) / (high - low)
