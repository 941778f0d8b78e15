"""`sample_tiled`: a large image in overlapping tiles, each sampled by itself, as one answer."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields, replace
from time import monotonic
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bdip import api
from bdip.answer import given
from bdip.chain import DivergedError, Progress
from bdip.checkpoint import as_checkpoint
from bdip.likelihood import Law
from bdip.memory import Estimate
from bdip.networks import standard
from bdip.operators import Operator
from bdip.posterior import Posterior
from bdip.progress import Interrupt, ProgressBar, deferred_interrupt
from bdip.samplers import DEFAULT, is_exact
from bdip.settings import Settings, require
from bdip.tiling.blend import Answer, Axes, Blend, Grid
from bdip.tiling.record import joined_probe, probe_of, record_of, trace_of
from bdip.tiling.whole import Whole, grid_of

TILE = 256  # pixels a side
GLANCE = 1e-3  # seconds that a tile has at least


@dataclass(frozen=True)
class TileProgress(Progress):
    """The `bdip.Progress` of a chain of tile `tile`, of which there are `tiles`, row by row."""

    tile: int = 0
    tiles: int = 1


def sample_tiled(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    tile: int = TILE,
    overlap: int | None = None,
    missing: ArrayLike | None = None,
    operator: Operator | None = None,
    noise_std: ArrayLike | Literal["sample"] | None = None,
    noise: Law | None = None,
    data_range: tuple[float, float] | None = None,
    channel_axis: int | None = None,
    settings: Settings | None = None,
    holdout: float | None = None,
    seed: int = 0,
    progress: bool = True,
    callback: Callable[[Progress], Any] | None = None,
    time_limit: float | None = None,
    **options: Any,
) -> Posterior:
    """Restore a large image in overlapping tiles, in the memory of one; the posterior over all of it.

    Each tile is a problem of its own, with its own weights, sampled by `bdip.sample` and ended by its own
    stopping rule, one after another and all by one compiled program. σ and the data range are those of
    the whole image. `mean`, `std` and `draws` are blended by smooth windows: mean = Σ w m, std² = Σ w s²,
    draw = mean + Σ √w (d − m), for the reasons given in `bdip.tiling.blend`. `trace` has the tiles' weighted means
    (of the energy, the sum), their warm-ups' ends at the same step; `settings["tiles"]` says how each
    tile fared, and has the χ² of the blended draws themselves.

    Args:
        tile: pixels a side of each tile. An image that is no larger is sampled as a whole.
        overlap: pixels that neighbouring tiles have in common, at least; an eighth of a tile by
            default, and at most half of one.
        missing, noise_std, noise, data_range, channel_axis, holdout, settings, seed, progress: as for
            `bdip.sample`, and of the whole image. With "sample", σ is drawn in each tile.
        operator: none but the identity: tiles of data and of the image must be the same.
        callback: called as by `bdip.sample`, with a `bdip.tiling.TileProgress`.
        time_limit: seconds for all tiles together; each takes its share of what is left.
        options: what else `bdip.sample` takes. A `checkpoint` is one file a tile, the tile's number at its end.

    Returns:
        A `bdip.Posterior`. After Ctrl-C it is incomplete, and NaN where no tile was begun.

    Raises:
        ProblemError: also where no pixel of a tile is observed: a hole must be smaller than a tile.
        SettingsError, TooLargeError (of one tile), DivergedError: as `bdip.sample`.

    Example:
        >>> import numpy as np, bdip
        >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (24, 40))
        >>> tiny = bdip.Hourglass(scales=1, channels_down=4, channels_up=4)
        >>> posterior = bdip.sample_tiled(
        ...     noisy, tile=24, overlap=8, generator=tiny, steps=10, progress=False)
        >>> posterior.mean.shape, posterior.settings["tiles"]["counts"]
        ((24, 40), [1, 2])
    """
    require(time_limit is None or time_limit > 0, "time_limit", time_limit, "above 0 seconds")
    described: dict[str, Any] = {
        "missing": missing, "operator": operator, "noise_std": noise_std, "noise": noise,
        "data_range": data_range, "channel_axis": channel_axis,
    }  # fmt: skip
    watching: dict[str, Any] = {
        "progress": progress,
        "callback": callback,
        "time_limit": time_limit,
    }
    grid = grid_of(image, channel_axis, tile, overlap)
    own: dict[str, Any] = {"settings": settings, "holdout": holdout, "seed": seed}
    if grid is None:
        return api.sample(image, mask, **described, **own, **watching, **options)
    whole, options = _prepared(image, mask, described, grid, **own, **options)
    return _sampled(whole, options, seed, **watching)


def _prepared(
    image: ArrayLike, mask: ArrayLike | None, described: dict[str, Any], grid: Grid, *,
    settings: Settings | None, holdout: float | None, seed: int, **options: Any,
) -> tuple[Whole, dict[str, Any]]:  # fmt: skip
    """The whole, and what each tile is sampled with: all with one program, whatever holes there are in which."""
    exact = is_exact(options.get("sampler", DEFAULT))
    whole = Whole.of(image, mask, described, exact, holdout, seed, grid)
    options["settings"] = whole.frugal(settings)
    if options.get("generator") is None:
        options["generator"] = standard(exact, whole.problem.wide_holes)
    return whole, options


def estimate_tiled(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    tile: int = TILE,
    overlap: int | None = None,
    **options: Any,
) -> Estimate:
    """What `sample_tiled` would take: the memory of one tile, the time of all (see `bdip.estimate`)."""
    grid = grid_of(image, options.get("channel_axis"), tile, overlap)
    if grid is None:
        return api.estimate(image, mask, **options)
    names = ("missing", "operator", "noise_std", "noise", "data_range", "channel_axis")
    described = {name: options.pop(name, None) for name in names}
    own = {"settings": None, "holdout": None, "seed": 0}
    whole, options = _prepared(image, mask, described, grid, **{**own, **options})
    found = api.estimate(**whole.tile(grid.places()[0]), **options)
    count = len(grid.places())
    return replace(found, steps=count * found.steps, seconds=count * found.seconds)


def _sampled(
    whole: Whole,
    options: dict[str, Any],
    seed: int,
    progress: bool,
    callback: Callable[[Progress], Any] | None,
    time_limit: float | None,
) -> Posterior:
    """All tiles one after another, and their blend."""
    places, started = whole.grid.places(), monotonic()
    blend = Blend(whole.image.shape, Axes(whole.units.channel_axis))
    found: list[Posterior] = []
    bar = ProgressBar(1, progress, whole.units.reported)
    with closing(bar), deferred_interrupt() as interrupt:
        watch = _Watch(bar, callback, len(places), interrupt)
        for number, window in enumerate(whole.grid.windows()):
            share = _share(time_limit, monotonic() - started, len(places) - number)
            answer = _tile(whole, number, options, seed, watch, share)
            blend.add(places[number], window, Answer(answer.mean, answer.std, answer.draws))
            # What was blended is not kept: the memory is that of one tile.
            found.append(replace(answer, draws=answer.draws[:, :0], probe=probe_of(answer, places)))
            if interrupt.pressed:
                break
    return _assembled(whole, blend.answer(), found, seed)


def _tile(
    whole: Whole,
    number: int,
    options: dict[str, Any],
    seed: int,
    watch: "_Watch",
    time_limit: float | None,
) -> Posterior:
    watch.begin(number)
    if options.get("checkpoint") is not None:
        checkpoint = as_checkpoint(options["checkpoint"])
        path = checkpoint.path.with_name(f"{checkpoint.path.name}-{number:04d}")
        options = options | {"checkpoint": replace(checkpoint, path=path)}
    try:
        return api.sample(
            **whole.tile(whole.grid.places()[number]), seed=tile_seed(seed, number),
            progress=False, callback=watch, time_limit=time_limit, **options,
        )  # fmt: skip
    except DivergedError as error:
        raise DivergedError(f"tile {number + 1} of {watch.tiles}: {error}") from error


def _share(time_limit: float | None, passed: float, tiles_left: int) -> float | None:
    """A tile's part of the seconds that are left; a moment where there are none, for a glance at it."""
    if time_limit is None:
        return None
    return max((time_limit - passed) / tiles_left, GLANCE)


def tile_seed(seed: int, number: int) -> int:
    """The seed of a tile: unrelated to that of any other tile of any other seed."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class _Watch:
    """The callback of every tile: one bar over all of them, and the user's own callback."""

    def __init__(
        self, bar: ProgressBar, callback: Callable[[Progress], Any] | None, count: int,
        interrupt: Interrupt,
    ) -> None:  # fmt: skip
        self.bar, self.callback, self.tiles, self.interrupt = bar, callback, count, interrupt
        self.tile, self.before, self.done = 0, 0, {0: 0}

    def begin(self, tile: int) -> None:
        """From here on it is this tile."""
        self.before += sum(self.done.values())
        self.tile, self.done = tile, {}

    def __call__(self, progress: Progress) -> None:
        chains = max(len(self.done), progress.chain + 1)
        self.done[progress.chain] = progress.step
        self.bar.expect(self.before + (self.tiles - self.tile) * chains * progress.steps)
        phase = "warm-up" if progress.warming_up else "sampling"
        phase = f"tile {self.tile + 1} of {self.tiles}, {phase}"
        done = self.before + sum(self.done.values())
        self.bar.update(done, phase, progress.chi2, progress.steps_per_second)
        if self.callback is not None:
            values = {each.name: getattr(progress, each.name) for each in fields(Progress)}
            self.callback(TileProgress(**values, tile=self.tile, tiles=self.tiles))
        if self.interrupt.pressed:  # while the tile was compiled, it may be, when nobody looked
            raise KeyboardInterrupt


def _assembled(whole: Whole, blended: Answer, found: list[Posterior], seed: int) -> Posterior:
    """The blend as one answer, with the record of all tiles."""
    places, units = whole.grid.places(), whole.units
    record = record_of(found, whole.grid, seed, whole.chi2(blended.draws))
    record |= {
        "holdout": whole.holdout,
        "interrupted": found[-1].settings["interrupted"],
        "noise_std": units.noise_std,
        "noise": units.noise,
        "observed": units.observed,
        "observed_values": int(whole.observed.sum()) * whole.problem.data.shape[-1],
    }
    return Posterior(
        mean=blended.mean,
        std=blended.std,
        draws=blended.draws,
        trace=trace_of(found),
        settings=record,
        complete=len(found) == len(places) and all(each.complete for each in found),
        reported=units.reported,
        holdout=None if whole.measured is None else units.image(whole.measured),
        probe=joined_probe(found, units.channel_axis),
        input=given(whole.problem, units, whole.measured),
    )
