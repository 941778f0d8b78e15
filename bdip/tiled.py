"""`sample_tiled`: a large image in overlapping tiles, each sampled by itself, as one answer."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip import api, tiles
from bdip.chain import DivergedError, Progress
from bdip.holdout import hide
from bdip.likelihood import PoissonGaussian
from bdip.memory import Estimate
from bdip.operators import Identity, Operator
from bdip.posterior import Posterior
from bdip.problem import Problem, ProblemError, Units, pose
from bdip.progress import ProgressBar, deferred_interrupt
from bdip.settings import Settings, require
from bdip.tile_record import probe_of, record_of, trace_of

TILE = 256  # pixels a side
OVERLAP_SHARE = 1 / 8  # of a tile's side, which neighbours have in common, at least


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
    noise: PoissonGaussian | None = None,
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
    draw = mean + Σ √w (d − m), for the reasons given in `bdip.tiles`. `trace` has the tiles' weighted means
    (of the energy, the sum), their warm-ups' ends at the same step; `settings["tiles"]` says how each
    tile fared, and has the χ² of the blended draws themselves.

    Args:
        tile: pixels a side of each tile. An image that is no larger is sampled as a whole.
        overlap: pixels that neighbouring tiles have in common, at least; an eighth of a tile by
            default, and at most half of one.
        missing, noise_std, noise, data_range, channel_axis, holdout, settings, seed, progress: as for
            `bdip.sample`, and of the whole image. With "sample", σ is drawn in each tile.
        operator: none but the identity: tiles of data and of the image must be the same.
        callback: called as by `bdip.sample`, with a `bdip.tiled.TileProgress`.
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
        >>> tiny = bdip.Hourglass(scales=2, channels_down=4, channels_up=4)
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
    grid = _grid(image, channel_axis, tile, overlap)
    own: dict[str, Any] = {"settings": settings, "holdout": holdout, "seed": seed}
    if grid is None:
        return api.sample(image, mask, **described, **own, **watching, **options)
    whole = _Whole.of(image, mask, described, holdout, seed, grid)
    return _sampled(whole, options | {"settings": whole.frugal(settings)}, seed, **watching)


def estimate_tiled(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    tile: int = TILE,
    overlap: int | None = None,
    **options: Any,
) -> Estimate:
    """What `sample_tiled` would take: the memory of one tile, the time of all (see `bdip.estimate`)."""
    grid = _grid(image, options.get("channel_axis"), tile, overlap)
    if grid is None:
        return api.estimate(image, mask, **options)
    names = ("missing", "operator", "noise_std", "noise", "data_range", "channel_axis")
    described = {name: options.pop(name, None) for name in names}
    holdout, seed = options.pop("holdout", None), options.pop("seed", 0)
    whole = _Whole.of(image, mask, described, holdout, seed, grid)
    options["settings"] = whole.frugal(options.get("settings"))
    found = api.estimate(**whole.tile(grid.places()[0]), **options)
    count = len(grid.places())
    return replace(found, steps=count * found.steps, seconds=count * found.seconds)


@dataclass(frozen=True)
class _Whole:
    """The whole image on the host: its pixels in the user's axes, and what was found out about it."""

    image: NDArray[Any]
    observed: NDArray[np.bool_]  # (H, W), without what is held out
    problem: Problem
    units: Units
    noise: dict[str, Any]  # the arguments of `sample` for it; a map of σ is still to be cut
    measured: NDArray[np.float32] | None
    grid: tiles.Grid

    @staticmethod
    def of(
        image: ArrayLike,
        mask: ArrayLike | None,
        described: dict[str, Any],
        holdout: float | None,
        seed: int,
        grid: tiles.Grid,
    ) -> "_Whole":
        """The problem posed for the whole, and what is held out chosen there: tiles share pixels."""
        operator = described["operator"]
        if not (operator is None or isinstance(operator, Identity)):
            raise ProblemError(
                f"operator is {type(operator).__name__}, but tiles are cut out of image and data "
                "alike: leave it out, or use bdip.sample; a bdip.Mask can be given as mask."
            )
        problem, units = pose(image, mask, **described)
        measured = None
        if holdout is not None:
            problem, measured = hide(problem, holdout, jax.random.key(seed))
        problem = jax.device_get(problem)  # the device is for the tiles
        observed = problem.mask[..., 0] > 0
        _require_observed(observed, grid)
        noise_std = described["noise_std"]
        if noise_std is None and described["noise"] is None:
            noise_std = units.noise_std
        noise = {"noise_std": noise_std, "noise": described["noise"]}
        return _Whole(np.asarray(image), observed, problem, units, noise, measured, grid)

    def tile(self, place: tiles.Place) -> dict[str, Any]:
        """The arguments of `sample` for what lies at a place."""
        cut = tiles.Axes(self.units.channel_axis).cut(place)
        noise = dict(self.noise)
        if np.ndim(noise["noise_std"]) > 0:
            stds = np.asarray(noise["noise_std"])
            noise["noise_std"] = stds[place if stds.shape == self.observed.shape else cut]
        return {
            "image": self.image[cut],
            "mask": self.observed[place],
            "data_range": (self.units.low, self.units.high),
            "channel_axis": self.units.channel_axis,
            **noise,
        }

    def frugal(self, settings: Settings | None) -> Settings:
        """The settings, their memory for draws shared out: the draws of the whole are to fit in there."""
        settings = settings or Settings()
        share = np.prod(self.grid.tile_shape) / np.prod(self.grid.shape)
        return replace(settings, draws_memory=int(share * settings.draws_memory))


def _grid(
    image: ArrayLike, channel_axis: int | None, tile: int, overlap: int | None
) -> tiles.Grid | None:
    """The tiles of an image; None where one is enough, or where `sample` will refuse the image."""
    require(isinstance(tile, int) and tile >= 1, "tile", tile, "a whole number of pixels")
    overlap = int(OVERLAP_SHARE * tile) if overlap is None else overlap
    expected = f"a whole number from 0 to {tile // 2}, half a tile"
    require(isinstance(overlap, int) and 0 <= overlap <= tile // 2, "overlap", overlap, expected)
    shape = list(np.shape(image))
    if len(shape) == 3:
        del shape[-1 if channel_axis is None else channel_axis % 3]
    if len(shape) != 2 or max(shape) <= tile:
        return None
    return tiles.Grid((shape[0], shape[1]), tile, overlap)


def _require_observed(observed: NDArray[np.bool_], grid: tiles.Grid) -> None:
    for place in grid.places():
        if not observed[place].any():
            rows, columns = (f"{part.start} to {part.stop - 1}" for part in place)
            raise ProblemError(
                f"no pixel is observed in rows {rows}, columns {columns}, which is a whole tile: "
                "use tiles larger than the hole."
            )


def _sampled(
    whole: _Whole,
    options: dict[str, Any],
    seed: int,
    progress: bool,
    callback: Callable[[Progress], Any] | None,
    time_limit: float | None,
) -> Posterior:
    """All tiles one after another, and their blend."""
    places, started = whole.grid.places(), monotonic()
    blend = tiles.Blend(whole.image.shape, tiles.Axes(whole.units.channel_axis))
    found: list[Posterior] = []
    bar = ProgressBar(1, progress, whole.units.reported)
    with closing(bar), deferred_interrupt() as interrupt:
        watch = _Watch(bar, callback, len(places))
        for number, window in enumerate(whole.grid.windows()):
            share = None
            if (
                time_limit is not None
            ):  # a tile that compiled for longer than all of it has a moment
                left = time_limit - (monotonic() - started)
                share = max(left / (len(places) - number), 1e-3)
            answer = _tile(whole, number, options, seed, watch, share)
            blend.add(places[number], window, tiles.Answer(answer.mean, answer.std, answer.draws))
            # What was blended is not kept: the memory is that of one tile.
            found.append(replace(answer, draws=answer.draws[:, :0], probe=probe_of(answer, places)))
            if interrupt.pressed:
                break
    return _assembled(whole, blend.answer(), found, seed)


def _tile(
    whole: _Whole,
    number: int,
    options: dict[str, Any],
    seed: int,
    watch: "_Watch",
    time_limit: float | None,
) -> Posterior:
    watch.begin(number)
    if options.get("checkpoint") is not None:
        path = Path(options["checkpoint"])
        options = options | {"checkpoint": path.with_name(f"{path.name}-{number:04d}")}
    try:
        return api.sample(
            **whole.tile(whole.grid.places()[number]), seed=tile_seed(seed, number),
            progress=False, callback=watch, time_limit=time_limit, **options,
        )  # fmt: skip
    except DivergedError as error:
        raise DivergedError(f"tile {number + 1} of {watch.tiles}: {error}") from error


def tile_seed(seed: int, number: int) -> int:
    """The seed of a tile: unrelated to that of any other tile of any other seed."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class _Watch:
    """The callback of every tile: one bar over all of them, and the user's own callback."""

    def __init__(
        self, bar: ProgressBar, callback: Callable[[Progress], Any] | None, count: int
    ) -> None:
        self.bar, self.callback, self.tiles = bar, callback, count
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


def _assembled(
    whole: _Whole, blended: tiles.Answer, found: list[Posterior], seed: int
) -> Posterior:
    """The blend as one answer, with the record of all tiles."""
    places, units = whole.grid.places(), whole.units
    record = record_of(found, whole.grid, seed, _chi2(whole, blended.draws))
    record |= {
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
        probe=_joined_probe(found, units.channel_axis),
    )


def _chi2(whole: _Whole, draws: NDArray[np.float32]) -> float | None:
    """χ² of the blended draws against the whole image's data; None where there is none to tell."""
    if whole.problem.noise.sampled or draws.shape[1] == 0 or not np.isfinite(draws[0, 0]).all():
        return None
    units, axis = whole.units, whole.units.channel_axis
    each = []
    for draw in draws.reshape(-1, *draws.shape[2:]):
        last = draw[..., None] if axis is None else np.moveaxis(draw, axis, -1)
        prediction = (last - np.float32(units.low)) / np.float32(units.span)
        problem = whole.problem
        each.append(float(problem.noise.misfit(prediction, problem.data, problem.mask).chi2))
    return float(np.mean(each))


def _joined_probe(found: list[Posterior], channel_axis: int | None) -> NDArray[np.float32] | None:
    """The tiles' probes beside each other (k, m, rows of all tiles, w[, C])."""
    probes = [each.probe for each in found if each.probe is not None]
    if len(probes) < len(found):
        return None
    rows = 2 if channel_axis is None or channel_axis % 3 else 3  # of (k, m, [C] h w [C])
    least = min(probe.shape[1] for probe in probes)
    return np.concatenate([tiles.thinned(probe, least) for probe in probes], axis=rows)
