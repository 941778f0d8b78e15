"""The whole image that is cut into tiles: posed once, on the host, and what of it each tile gets."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.holdout import hide
from bdip.likelihood import Clipped, Gaussian, is_map
from bdip.operators import Identity
from bdip.problem import Problem, ProblemError, Units, pose
from bdip.settings import Settings, require
from bdip.tiling.blend import Axes, Grid, Place

OVERLAP_SHARE = 1 / 8  # of a tile's side, which neighbours have in common, at least


@dataclass(frozen=True)
class Whole:
    """The whole image on the host: its pixels in the user's axes, and what was found out about it."""

    image: NDArray[Any]
    observed: NDArray[np.bool_]  # (H, W), without what is held out
    problem: Problem
    units: Units
    noise: dict[str, Any]  # the arguments of `sample` for it; a map of σ is still to be cut
    holdout: float | None
    measured: NDArray[np.float32] | None  # at what is held out
    grid: Grid

    @staticmethod
    def of(
        image: ArrayLike,
        mask: ArrayLike | None,
        described: dict[str, Any],
        exact: bool,
        holdout: float | None,
        seed: int,
        grid: Grid,
    ) -> "Whole":
        """The problem posed for the whole, for an `exact` sampler or not, and what is held out chosen there: tiles share pixels."""
        operator = described["operator"]
        if not (operator is None or isinstance(operator, Identity)):
            raise ProblemError(
                f"operator is {type(operator).__name__}, but tiles are cut out of image and data "
                "alike: leave it out, or use bdip.sample; a bdip.Mask can be given as mask."
            )
        noise = described["noise"]
        problem, units = pose(image, mask, recognise=exact, **described)
        if noise is not None and is_map(problem.noise):
            raise ProblemError(
                "of rounding and of clipped noise tiles take one σ, and one step: give numbers."
            )
        measured = None
        if holdout is not None:
            problem, measured = hide(problem, holdout, jax.random.key(seed))
        problem = jax.device_get(problem)  # the device is for the tiles
        observed = problem.mask[..., 0] > 0
        _require_observed(observed, grid)
        noise_std = described["noise_std"]
        if noise_std is None and noise is None:
            noise_std = units.noise_std
        law = problem.noise
        if isinstance(law, Clipped) and isinstance(law.noise, Gaussian) and not np.ndim(noise_std):
            noise_std, noise = None, Clipped(units.noise_std, *units.noise["clipped"])
        told = {"noise_std": noise_std, "noise": noise}
        return Whole(np.asarray(image), observed, problem, units, told, holdout, measured, grid)

    def tile(self, place: Place) -> dict[str, Any]:
        """The arguments of `sample` for what lies at a place."""
        cut = Axes(self.units.channel_axis).cut(place)
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

    def chi2(self, draws: NDArray[np.float32]) -> float | None:
        """χ² of draws (k, n, [C] H W [C]) against all data; None where there is none to tell."""
        problem, units = self.problem, self.units
        if problem.noise.sampled or draws.shape[1] == 0 or not np.isfinite(draws[0, 0]).all():
            return None
        each = []
        for draw in draws.reshape(-1, *draws.shape[2:]):
            prediction: Any = units.unit(draw)
            each.append(float(problem.noise.misfit(prediction, problem.data, problem.mask).chi2))
        return float(np.mean(each))


def grid_of(
    image: ArrayLike, channel_axis: int | None, tile: int, overlap: int | None
) -> Grid | None:
    """The tiles of an image; None where one is enough, or where `sample` will refuse the image."""
    require(
        isinstance(tile, int | np.integer) and tile >= 1, "tile", tile, "a whole number of pixels"
    )
    overlap = int(OVERLAP_SHARE * tile) if overlap is None else overlap
    expected = f"a whole number from 0 to {tile // 2}, half a tile"
    require(
        isinstance(overlap, int | np.integer) and 0 <= overlap <= tile // 2,
        "overlap",
        overlap,
        expected,
    )
    shape = list(np.shape(image))
    if len(shape) == 3:
        del shape[-1 if channel_axis is None else channel_axis % 3]
    if len(shape) != 2 or max(shape) <= tile:
        return None
    return Grid((shape[0], shape[1]), tile, overlap)


def _require_observed(observed: NDArray[np.bool_], grid: Grid) -> None:
    for place in grid.places():
        if not observed[place].any():
            rows, columns = (f"{part.start} to {part.stop - 1}" for part in place)
            raise ProblemError(
                f"no pixel is observed in rows {rows}, columns {columns}, which is a whole tile: "
                "use tiles larger than the hole."
            )
