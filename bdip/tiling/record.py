"""What the record of a tiled answer says of its tiles: settings, trace and probe."""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.posterior import Posterior
from bdip.tiling.blend import Axes, Grid, Place, thinned

Rows = NDArray[np.float32]


def record_of(found: list[Posterior], grid: Grid, seed: int, chi2: float | None) -> dict[str, Any]:
    """The settings of the whole: those of the tiles, which agree but for lengths, and each tile's own.

    `steps` and `warmup` are those of the joined trace; `chi2` that of the blended draws.
    """
    first = found[0].settings
    warmup = max(_warmup(each) for each in found)
    kept = max(each.settings["steps"] - _warmup(each) for each in found)
    each = [_tile(answer, place) for answer, place in zip(found, grid.places(), strict=False)]
    return first | {
        "seed": int(seed),
        "steps": warmup + kept,
        "warmup": warmup,
        "stopped": _stopped([answer.settings.get("stopped") for answer in found]),
        "tiles": {
            "shape": list(grid.tile_shape),
            "overlap": grid.overlap,
            "counts": list(grid.counts),
            "chi2": chi2,
            "each": each,
        },
    }


def trace_of(found: list[Posterior]) -> dict[str, Rows]:
    """The tiles' traces as one, name to (chains, steps), the ends of their warm-ups at the same step.

    At each step the mean over the tiles under way then, each weighted with its observed values, so that χ² is
    that of all of them; of the energy the sum.
    """
    weights = np.array([float(each.settings["observed_values"]) for each in found])
    joined = {}
    for name in found[0].trace:
        if not all(name in each.trace for each in found):
            continue
        rows = _aligned([each.trace[name] for each in found], [_warmup(each) for each in found])
        if name == "energy":
            joined[name] = np.where(np.isnan(rows).all(axis=0), np.nan, np.nansum(rows, axis=0))
        else:
            there = np.isfinite(rows) * weights[:, None, None]
            with warnings.catch_warnings(), np.errstate(invalid="ignore"):
                joined[name] = (np.nan_to_num(rows) * there).sum(axis=0) / there.sum(axis=0)
    return {name: column.astype(np.float32) for name, column in joined.items()}


def probe_of(answer: Posterior, places: list[Place]) -> Rows | None:
    """Of a tile's probe so many pixels that all tiles together have some thousand."""
    if answer.probe is None:
        return None
    stride = max(1, math.isqrt(len(places)))
    every = slice(None, None, stride)
    cut = Axes(answer.settings["channel_axis"]).cut((every, every))
    return answer.probe[cut].copy()


def joined_probe(found: list[Posterior], channel_axis: int | None) -> NDArray[np.float32] | None:
    """The tiles' probes beside each other (k, m, rows of all tiles, w[, C])."""
    probes = [each.probe for each in found if each.probe is not None]
    if len(probes) < len(found):
        return None
    rows = 2 if channel_axis is None or channel_axis % 3 else 3  # of (k, m, [C] h w [C])
    least = min(probe.shape[1] for probe in probes)
    return np.concatenate([thinned(probe, least) for probe in probes], axis=rows)


def _warmup(answer: Posterior) -> int:
    """Its length; where the tile was stopped within it, all that was done."""
    return min(answer.warmup, answer.trace["chi2"].shape[1])


def _aligned(traces: list[Rows], warmups: list[int]) -> Rows:
    """Traces (k, t) each as one array (tiles, k, t), NaN before and after, warm-ups ending together."""
    longest = max(warmups)
    after = max(row.shape[1] - warmup for row, warmup in zip(traces, warmups, strict=True))
    return np.stack(
        [
            np.pad(
                row,
                ((0, 0), (longest - warmup, after - (row.shape[1] - warmup))),
                constant_values=np.nan,
            )
            for row, warmup in zip(traces, warmups, strict=True)
        ]
    )


def _stopped(each: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Why they ended: the worst of all; None where one of them does not say."""
    told = [one for one in each if one]
    if len(told) < len(each):
        return None
    mcse, rhat = (max(one[name] for one in told) for name in ("mcse", "rhat"))
    return {"mcse": mcse, "rhat": rhat, "reached": all(one["reached"] for one in told)}


def _tile(answer: Posterior, place: Place) -> dict[str, Any]:
    """What is told of one tile."""
    rows, columns = place
    names = ("seed", "steps", "warmup", "stopped", "observed", "observed_values")
    return {
        "rows": [rows.start, rows.stop],
        "columns": [columns.start, columns.stop],
        "chi2": answer.diagnostics["chi2"],
        "complete": answer.complete,
        **{name: answer.settings.get(name) for name in names},
    }
