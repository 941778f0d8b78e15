"""What the chains left, as one answer; and the record of a run, in JSON types."""

from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip import moments
from bdip.chain import Outcome, Run
from bdip.posterior import Posterior
from bdip.problem import Problem, Units


def assemble(
    runs: list[Run],
    problem: Problem,
    units: Units,
    record: dict[str, Any],
    complete: bool,
    measured: NDArray[np.float32] | None,
) -> Posterior:
    """One answer from the chains that kept something, or else from those that took a step.

    `measured` is what `holdout.hide` returned beside `problem`, or None; `record` becomes the
    answer's `settings`.
    """
    outcomes = [outcome for run in runs if run.done for outcome in run.outcomes()]
    outcomes = [each for each in outcomes if float(each.kept.moments.weight) > 0] or outcomes
    merged = reduce(moments.merge, (each.kept.moments for each in outcomes))
    mean, std = merged.mean, np.full(merged.mean.shape, np.nan)
    if float(merged.weight) == 0:  # stopped in the warm-up: the last images are the best there is
        mean = np.mean([each.kept.image for each in outcomes], axis=0)
    elif runs[0].sampler.uncertain:  # a descent has no spread to speak of
        std = np.sqrt(moments.variance(merged))
    stored = min(each.draws_kept for each in outcomes)
    draws = np.stack([np.asarray(each.kept.draws[:stored]) for each in outcomes])
    probed = min(each.probes_kept for each in outcomes)
    probe = np.stack([np.asarray(each.kept.probe[:probed]) for each in outcomes])
    return Posterior(
        mean=units.image(mean),
        std=units.spread(std),
        draws=units.image(draws),
        probe=units.image(probe),
        trace=_traces(outcomes, units),
        settings=record,
        complete=complete,
        reported=units.reported,
        holdout=None if measured is None else units.image(measured),
        input=given(problem, units, measured),
    )


def given(
    problem: Problem, units: Units, measured: NDArray[np.float32] | None
) -> NDArray[np.float32] | NDArray[np.complex64]:
    """The data as they were given, in the user's units and axes; NaN where there are none."""
    hidden = np.float32(np.nan) if measured is None else measured
    return units.data(np.where(np.asarray(problem.mask) > 0, np.asarray(problem.data), hidden))


def _traces(outcomes: list[Outcome], units: Units) -> dict[str, NDArray[np.float32]]:
    """Name to (chains, steps), σ in the image's units; a chain that was stopped early ends in NaN.

    A column that the sampler does not have is left out.
    """
    longest = max(each.done for each in outcomes)
    traces = [each.trace for each in outcomes]

    def padded(column: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.pad(column, (0, longest - len(column)), constant_values=np.nan)

    found = {
        name: np.stack([padded(getattr(trace, name)) for trace in traces])
        for name, column in traces[0]._asdict().items()
        if column is not None
    }
    if "noise_std" in found:
        found["noise_std"] = found["noise_std"] * np.float32(units.span)
    return {name: column for name, column in found.items() if not np.isnan(column).all()}


def described(thing: Any) -> Any:
    """In JSON types: numbers, strings and lists as they are, the rest its class's name and fields."""
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, list | tuple):
        return [described(item) for item in thing]
    if hasattr(thing, "dtype"):
        return np.asarray(thing).tolist()
    names = [field.name for field in fields(thing)] if is_dataclass(thing) else []
    return {"name": type(thing).__name__} | {n: described(getattr(thing, n)) for n in names}
