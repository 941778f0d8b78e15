"""What the generator leaves over of data without noise, put back into the picture.

    y = A (g + e) + n,    e ~ N(0, s² C),    n ~ N(0, ε²)

g being the generator's picture, e what it cannot say, and n the rounding of the data, which is all the noise there is. A being linear,
g is corrected by what y says of e,

    K r,    r = y − A g,    K = s² C Aᵀ (s² A C Aᵀ + ε²)⁻¹,

and what the data do not see of e stays as uncertain as it was. C has the power spectrum 1/f and a mean of 1 on its diagonal: between
white noise and photographs, 1/f² (Field 1987), whose slow parts the generator says already (docs/decisions/0038). s² is where the mean square of r
is what it should be, s² tr(A C Aᵀ)/n + ε².
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from bdip.errors import ProblemError
from bdip.operators import Operator
from bdip.problem import Problem, pose
from bdip.trees import normal_like
from bdip.types import Data, PRNGKey, Scalar

ROUNDING = 1 / 255 / math.sqrt(12)  # ε of 256 levels, of the range
TOLERANCE = 1e-3  # of the residual of the linear equations, of its size: far below the rounding
MOST_ROUNDS = 1000  # of conjugate gradients
PROBES = 8  # random images by which the trace is told (Hutchinson 1990)
ROUNDS = 10  # of changes
LEAST_POWER = 0.01  # of the mean diagonal of A Aᵀ: data that say nothing move nothing
LEAST_DRAWS, MOST_DRAWS = 2, 32  # that are corrected: each takes as long as the mean


class Answer(NamedTuple):
    """Data and what was sampled from them, in the user's axes and units; of a descent, which has no spread, no draws.

    Data (h, w[, c]) are NaN where they are missing; `mean` and `std` (H, W[, C]), `draws` (chains, n, H, W[, C]).
    """

    data: NDArray[np.float32] | NDArray[np.complex64]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    draws: NDArray[np.float32]
    data_axis: int | None
    channel_axis: int | None
    data_range: tuple[float, float]

    @property
    def spatial_axes(self) -> int:
        return self.mean.ndim - (self.channel_axis is not None)


class Filled(NamedTuple):
    """An image and its standard deviation, of one shape."""

    image: NDArray[np.float32]
    std: NDArray[np.float32]


def through(operator: Operator, answer: Answer) -> Filled:
    """The picture that gives the data again: `fill` with a rounding to 256 levels, or `within` that of the operator, with the draws' std.

    Raises ProblemError where operator and data do not belong together.
    """
    low, high = answer.data_range
    problem, units = pose(
        answer.data, operator=operator, data_range=(low, high), channel_axis=answer.data_axis,
        noise_std=None if operator.rounded else (high - low) * ROUNDING,
        spatial_axes=answer.spatial_axes,
    )  # fmt: skip
    mean = units.unit(answer.mean)
    if mean.shape != problem.image_shape:
        raise ProblemError(
            f"operator makes the data of an image of shape {problem.image_shape}, but the answer has "
            f"{mean.shape}: pass the one that was sampled with."
        )
    if operator.rounded:
        law: Any = problem.noise  # the operator's, in the unit range
        return Filled(units.image(within(problem, mean, jnp.asarray(law.allowed))), answer.std)
    draws = units.unit(answer.draws.reshape(-1, *answer.mean.shape))
    image, std = fill(problem, mean, draws, jax.random.key(0))
    return Filled(units.image(image), units.spread(std))


@jax.jit
def within(
    problem: Problem, image: Float[Array, "*grid C"], allowed: Data
) -> Float[Array, "*grid C"]:
    """The image, changed as little as makes its data differ from the measured ones by no more than is allowed.

    What goes beyond is taken away, by the least change of the image that does so, a few times, for one change makes others
    go beyond.
    """
    seen = partial(_seen, problem)
    pull = jax.linear_transpose(seen, jax.ShapeDtypeStruct(image.shape, jnp.float32))
    probe = problem.mask * normal_like(jax.random.key(0), problem.data)
    power = _square(pull(probe)[0]) / problem.observed_count

    def nearer(_: int, image: Float[Array, "*grid C"]) -> Float[Array, "*grid C"]:
        left = problem.data - seen(image)
        solved, _ = jax.scipy.sparse.linalg.cg(
            lambda v: seen(pull(v)[0]) + LEAST_POWER * power * v, left - jnp.clip(left, -allowed, allowed),
            tol=TOLERANCE, maxiter=MOST_ROUNDS,
        )  # fmt: skip
        return image + pull(solved)[0]

    return jax.lax.fori_loop(0, ROUNDS, nearer, jnp.asarray(image))


def fill(
    problem: Problem, mean: NDArray[np.float32], draws: NDArray[np.float32], key: PRNGKey
) -> Filled:
    """The posterior mean (H, W, C) with what the data say of the rest, and the standard deviation of draws (n, H, W, C) with a rest that is drawn so.

    In the unit range; ε is the problem's σ, one number. With fewer than two draws the standard deviation is NaN.
    """
    draws = draws[:: -(-len(draws) // MOST_DRAWS) or 1]
    rest_std = _rest_std(problem, draws if len(draws) else mean[None], key)
    image = np.asarray(_corrected(problem, mean, problem.data, rest_std))
    if len(draws) < LEAST_DRAWS:
        return Filled(image, np.full_like(mean, np.nan))
    keys = jax.random.split(key, len(draws))
    redrawn = [
        np.asarray(_redrawn(problem, draw, rest_std, key))
        for draw, key in zip(draws, keys, strict=True)
    ]
    return Filled(image, np.std(redrawn, axis=0, ddof=1))


@jax.jit
def _rest_std(problem: Problem, images: Float[Array, "n *grid C"], key: PRNGKey) -> Scalar:
    """s, of what the images leave of the data."""

    def power(key: PRNGKey) -> Scalar:
        return _square(_seen_of(problem, normal_like(key, images[0])))

    keys = jax.random.split(jax.random.fold_in(key, PROBES), PROBES)
    trace = jax.lax.map(power, keys).mean()
    left = jax.lax.map(lambda x: _square(problem.data - _seen(problem, x)), images).mean()
    rounding = problem.observed_count * problem.noise_std**2
    return jnp.sqrt(jnp.maximum(left - rounding, 0) / trace)


@jax.jit
def _corrected(
    problem: Problem, image: Float[Array, "*grid C"], data: Data, rest_std: Scalar
) -> Float[Array, "*grid C"]:
    """The image with K r added."""
    like = jax.ShapeDtypeStruct(image.shape, image.dtype)
    pull = jax.linear_transpose(partial(_seen_of, problem), like)
    solved, _ = jax.scipy.sparse.linalg.cg(
        lambda v: rest_std**2 * _seen_of(problem, pull(v)[0]) + problem.noise_std**2 * v,
        data - _seen(problem, image), tol=TOLERANCE, maxiter=MOST_ROUNDS,
    )  # fmt: skip
    return image + rest_std**2 * coloured(pull(solved)[0])


@jax.jit
def _redrawn(
    problem: Problem, draw: Float[Array, "*grid C"], rest_std: Scalar, key: PRNGKey
) -> Float[Array, "*grid C"]:
    """The draw with a rest e under the condition of the data: drawn freely, with data of its own, and then corrected."""
    rest, noise = normal_like(key, (draw, problem.data))
    data = problem.data + problem.noise_std * problem.mask * noise
    return _corrected(problem, draw + rest_std * coloured(rest), data, rest_std)


def _seen(problem: Problem, image: Float[Array, "*grid C"]) -> Data:
    """The observed part of A x."""
    return problem.mask * problem.operator(image)


def _seen_of(problem: Problem, white: Float[Array, "*grid C"]) -> Data:
    """The observed part of A C^½ w."""
    return _seen(problem, coloured(white))


def coloured(white: Float[Array, "*grid C"]) -> Float[Array, "*grid C"]:
    """C^½ of an image: its cosine transform with the amplitudes of the spectrum 1/f."""
    grid = white.shape[:-1]
    axes = tuple(range(len(grid)))
    spectrum = jax.scipy.fft.dctn(white, axes=axes, norm="ortho")
    return jax.scipy.fft.idctn(
        jnp.asarray(amplitudes(grid))[..., None] * spectrum, axes=axes, norm="ortho"
    )


def amplitudes(grid: tuple[int, ...]) -> Float[np.ndarray, "*grid"]:
    """f^−½ of each cosine of a grid, of mean square 1; the constant one has as much as the slowest."""
    steps = np.meshgrid(*(np.arange(n) / n for n in grid), indexing="ij")
    frequency = np.sqrt(sum(step**2 for step in steps))
    power = 1 / np.maximum(frequency, 1 / max(grid))
    return np.sqrt(power / power.mean()).astype(np.float32)


def _square(values: Float[Array, "..."]) -> Scalar:
    return jnp.sum(values**2)
