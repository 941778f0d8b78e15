"""Methods side by side on one image: how each fares with the steps, and where it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.api import sample
from bdip.chain import Progress
from bdip.diagnostics import psnr
from bdip.posterior import Posterior
from bdip.samplers import DEFAULT, Sampler
from bdip.settings import Settings, SettingsError

Curve = dict[str, Any]
Score = Callable[[NDArray[Any], NDArray[Any]], float]  # of the truth and an image, both (H, W, C)

# What users of the Deep Image Prior add to a descent, as "adam+jitter+average": Ulyanov et al. (CVPR 2018) have
# jitter and average, and a weight decay of λ = 1 is the prior of the samplers, so that it ends at the mode.
EXTRAS: dict[str, dict[str, float]] = {
    "average": {"output_average": 0.99},
    "decay": {"weight_precision": 1.0},
    "jitter": {"input_jitter": 1 / 30},
}


@dataclass(frozen=True)
class Comparison:
    """One posterior and one curve a method, by the name it was asked for.

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
            line = f"{name:{self._width}} χ² {curve['chi2'][-1]:.3f} at the end"
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

    @property
    def _width(self) -> int:
        return max(8, *map(len, self.curves))


def compare(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    clean: ArrayLike | None = None,
    samplers: tuple[str, ...] = ("adam", DEFAULT),
    block: int = 25,
    **options: Any,
) -> Comparison:
    """Restore `image` with each of `samplers`, looking every `block` steps.

    A name may add "+average" (an exponential average of the outputs, β = 0.99), "+jitter" (of the latent, 1/30) and
    "+decay" (a prior of λ = 1 on the weights): "adam+jitter+average" is the recipe of the Deep Image Prior.

    `clean` is the true image, in the same units, for the PSNR; without it only χ² is followed. The
    other `options` are those of `bdip.sample`, whose errors are raised, but for `chains`, which are 1 by default. An
    interrupted method is the last. Raises SettingsError where what is added has no such name.
    """
    for name in samplers:
        _parts(name)  # refused before hours of the others
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
    sampler: str | Sampler = DEFAULT,
    block: int = 25,
    scores: Mapping[str, Score] | None = None,
    **options: Any,
) -> tuple[Posterior, Curve]:
    """`bdip.sample`, of one chain by default, and its curve, as in `Comparison`.

    Each of the other `scores` of an image against the truth is in the curve as "NAME of draw" and "NAME of mean".
    """
    sampler, extras = _parts(sampler) if isinstance(sampler, str) else (sampler, {})
    seen: list[tuple[Any, ...]] = []

    def look(progress: Progress) -> None:
        if progress.chain > 0:  # a curve is of one chain, and the chains may take turns
            return
        images = (np.array(progress.image), np.array(progress.mean)) if clean is not None else ()
        seen.append((progress.step, progress.chi2, *images))

    if options.get("chains") is None:
        options["chains"] = 1  # of which the curve is
    posterior = sample(
        image, mask, sampler=sampler, settings=replace(Settings(block=block), **extras),  # type: ignore[arg-type]
        callback=look, **options,
    )  # fmt: skip
    curve: Curve = {
        "step": np.array([row[0] for row in seen]),
        "chi2": np.array([row[1] for row in seen]),
        "averages": posterior.settings["output_average"] > 0,
    }
    if clean is not None:
        truth = _unit(clean, posterior)
        for name, score in {"": psnr, **(scores or {})}.items():
            of = f"{name} of " if name else ""
            curve[f"{of}draw"] = np.array([score(truth, row[2]) for row in seen])
            curve[f"{of}mean"] = np.array(
                [score(truth, row[3]) if row[3].any() else np.nan for row in seen]
            )
    return posterior, curve


def _parts(name: str) -> tuple[str, dict[str, float]]:
    """The sampler, and the settings of what is added to it."""
    sampler, *added = name.split("+")
    for extra in added:
        if extra not in EXTRAS:
            raise SettingsError(
                f"{name!r} adds {extra!r}, which is not known: choose from {', '.join(EXTRAS)}."
            )
    return sampler, {k: v for extra in added for k, v in EXTRAS[extra].items()}


def _unit(clean: ArrayLike, posterior: Posterior) -> NDArray[np.float64]:
    """The truth (H, W, C) in the unit range, where the chain's images are."""
    low, high = posterior.settings["data_range"]
    axis = posterior.settings["channel_axis"]
    image = np.asarray(clean, np.float64)
    image = image[..., None] if axis is None else np.moveaxis(image, axis, -1)
    return (image - low) / (high - low)
