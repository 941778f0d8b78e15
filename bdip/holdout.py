"""Observed pixels hidden from the sampler, to check its predictions on what was measured there."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bdip.likelihood import is_map
from bdip.problem import Problem, ProblemError
from bdip.settings import require
from bdip.types import PRNGKey

STREAM = 2**32 - 1  # folded into the seed's key for the choice of pixels; chains have 0, 1, …


def hide(problem: Problem, share: float, key: PRNGKey) -> tuple[Problem, NDArray[np.float32]]:
    """`problem` without a random `share` of its observed pixels, and what was measured there.

    The second is (H, W, C) in the unit range, NaN at every other pixel. All channels of a pixel are
    hidden together, and the data of the new problem are zero there. `key` is that of the run's seed.

    Only where A leaves a pixel as it is can its datum be predicted by mean and std alone: A must be
    diagonal, such as `bdip.Mask`, and only pixels of weight 1 are hidden. Nor may σ differ by given numbers from
    pixel to pixel, for those are not kept with the answer.

    Raises SettingsError where `share` is not between 0 and 1 or hides no pixel or all of them, and
    ProblemError where A mixes pixels or σ is an array.
    """
    require(0 < share < 1, "holdout", share, "a share of the observed pixels, such as 0.02")
    if is_map(problem.noise):
        raise ProblemError(
            "holdout needs one σ, but noise_std is an array: leave holdout out, or give one number."
        )
    candidates = np.flatnonzero(_predictable(problem))
    count = round(share * len(candidates))
    expected = f"a share that hides some, but not all, of {len(candidates)} observed pixels"
    require(0 < count < len(candidates), "holdout", share, expected)
    order = jax.random.permutation(jax.random.fold_in(key, STREAM), len(candidates))
    hidden = np.zeros(problem.mask.shape, bool)
    hidden.flat[candidates[np.asarray(order[:count])]] = True
    measured = np.where(hidden, np.asarray(problem.data), np.float32(np.nan))
    seen = jnp.asarray(~hidden, jnp.float32)
    return replace(problem, mask=problem.mask * seen, data=problem.data * seen), measured


def _predictable(problem: Problem) -> NDArray[np.bool_]:
    """Which pixels (H, W, 1) are observed just as they are, in all channels."""
    operator = problem.operator
    if not operator.diagonal:
        raise ProblemError(
            f"holdout needs data that are pixels of the image, but {type(operator).__name__} mixes "
            "pixels: leave holdout out, or the operator."
        )
    weights = np.asarray(operator(jnp.ones(problem.image_shape)))
    return (np.asarray(problem.mask) > 0) & (weights == 1).all(axis=-1, keepdims=True)
