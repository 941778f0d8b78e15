"""The inverse problem: data, mask, operator, noise and λ; and every check of a user's arrays.

Users speak in their image's own axes and units. Inside, data are (h, w, C) float32, mapped
affinely so that the data range becomes [0, 1]. `Units` goes there and back. With the range
[low, high] of the *image* and A linear, y = A x + n is, for images u = (x − low)/(high − low),

    y' = (y − A(low))/(high − low) = A u + n/(high − low),        σ' = σ/(high − low)

whatever the unit of the data: A(low) are the data of the image that is low everywhere. Where A is
not linear, its place is taken by u ↦ (A(low + (high − low) u) − A(low))/(high − low).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from bdip.errors import ProblemError
from bdip.given_noise import Scale, given_noise
from bdip.likelihood import Law, Noise, Std, count
from bdip.operators import Identity, Operator
from bdip.operators.base import InUnits, Shape
from bdip.trees import frozen_pytree
from bdip.types import Data, Scalar

# Integers of at most this many bytes are taken to use their type's whole range. Wider ones are what
# NumPy makes of plain Python numbers, and say nothing of a range.
PIXEL_BYTES = 2
# A trailing axis of at most this length is taken for channels without being told.
MOST_COLOURS = 4
MOST_AXES = 3  # of a grid: signals, images, volumes
REACH = 3  # pixels
# Of missing pixels, the share that may be out of reach: in a square of 8 × 8 it is 4/64, in holes scattered over nine pixels of ten 0.01.
OUT_OF_REACH = 0.03
# Of the greatest, by which sums of weights miss a whole number through rounding.
ROUNDING = 1e-5
# What users may ask for where the posterior is wider than the noise of what was observed.
KEEPING = "--keep-known, or posterior.filled(), leaves observed pixels as they are"
KEEPING_DATA = "--keep-known, or posterior.filled(operator), is the picture of just these data"
TINY = float(np.finfo(np.float32).tiny)


@frozen_pytree("image_shape")
class Problem:
    """y = A x + noise at the observed places, in the unit range."""

    data: Data
    mask: Float[Array, "h w 1"]
    noise: Noise
    weight_precision: Scalar
    operator: Operator
    image_shape: Shape

    @property
    def observed_count(self) -> Scalar:
        """Number n of observed values, all channels counted."""
        return count(self.data, self.mask)

    @property
    def noise_std(self) -> Std:
        """σ, one number or one a value (h, w, 1 or C): given, estimated, or that at the data."""
        return self.noise.std_at(self.data)

    @property
    def information(self) -> Scalar:
        """What the data know, Σ_i m_i/σ_i²; n/σ² where σ is one number."""
        std = self.noise_std
        if jnp.ndim(std) == 0:
            return self.observed_count / std**2
        return jnp.sum(self.mask * jnp.ones_like(self.data) / std**2)

    @property
    def wide_holes(self) -> bool:
        """Whether many of the missing pixels have no observed one within REACH of them, along every axis."""
        near = known = np.asarray(self.mask[..., 0]) > 0
        if known.all() or not self.operator.diagonal:
            return False
        for axis in range(near.ndim):
            beyond = [(0, 0)] * near.ndim
            beyond[axis] = (REACH, REACH)
            windows = sliding_window_view(np.pad(near, beyond), 2 * REACH + 1, axis)
            near = np.asarray(windows.any(axis=-1))
        return bool((~near).sum() > OUT_OF_REACH * (~known).sum())


@dataclass(frozen=True)
class Units:
    """The way from the unit range and channels-last axes back to the user's image.

    `low` and `high` are the data range in the user's units; `channel_axis` is None for grey, and
    `spatial_axes` the number of axes of the grid, 2 for pictures;
    `noise_std` is σ, its median where pixels differ, the start where it is sampled; `reported` lists
    in words what was inferred rather than given; `noise` is the law of the noise, in JSON types.
    `data_axis` is where the data have their channels, and `base` what they are where the image is `low` everywhere.
    """

    low: float
    high: float
    channel_axis: int | None
    dtype: str
    noise_std: float
    observed: float
    reported: tuple[str, ...] = ()
    noise: dict[str, Any] = field(default_factory=dict)
    spatial_axes: int = 2
    data_axis: int | None = None
    base: float | NDArray[np.float64] = 0.0

    @property
    def span(self) -> float:
        """Width of the data range."""
        return self.high - self.low

    def image(self, unit: ArrayLike) -> NDArray[np.float32]:
        """Images (..., H, W, C) in the unit range, in the user's units and axes."""
        return self._axes(
            np.asarray(unit, np.float32) * np.float32(self.span) + np.float32(self.low)
        )

    def unit(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Images in the user's units and axes, others before them or not, as (..., H, W, C) in the unit range."""
        scaled: NDArray[np.float32] = (images - np.float32(self.low)) / np.float32(self.span)
        if self.channel_axis is None:
            return scaled[..., None]
        return np.moveaxis(scaled, self.channel_axis - self.spatial_axes - 1, -1)

    def data(self, unit: ArrayLike) -> NDArray[np.float32] | NDArray[np.complex64]:
        """Data (h, w, C) in the unit range, as they were given: complex, whole numbers, in the user's units and axes."""
        data = np.asarray(unit, np.float32) * np.float32(self.span) + np.float32(self.base)
        if np.issubdtype(self.dtype, np.complexfloating):
            real, imaginary = np.split(data, 2, axis=-1)
            data = real + np.complex64(1j) * imaginary
        if np.issubdtype(self.dtype, np.integer):
            data = np.rint(data)
        return data[..., 0] if self.data_axis is None else np.moveaxis(data, -1, self.data_axis)

    def spread(self, unit: ArrayLike) -> NDArray[np.float32]:
        """Standard deviations (..., H, W, C) in the unit range, in the user's units and axes."""
        return self._axes(np.asarray(unit, np.float32) * np.float32(self.span))

    def _axes(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.channel_axis is None:
            return images[..., 0]
        from_the_end = (
            self.channel_axis - self.spatial_axes - 1
        )  # the draws have axes before (H, W, C)
        return np.moveaxis(images, -1, from_the_end)


def pose(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    missing: ArrayLike | None = None,
    operator: Operator | None = None,
    noise_std: ArrayLike | str | None = None,
    noise: Law | None = None,
    data_range: tuple[float, float] | None = None,
    channel_axis: int | None = None,
    spatial_axes: int | None = None,
    weight_precision: float = 1.0,
    recognise: bool = True,
) -> tuple[Problem, Units]:
    """The problem that `bdip.sample`'s arguments describe, and the way back to their units.

    `recognise`: whether noise that was cut off at the ends of the range is taken so, where a σ is all that is said of it.
    Raises ProblemError, with the remedy, for whatever does not fit together.
    """
    operator = Identity() if operator is None else operator
    if not isinstance(operator, Operator):
        raise ProblemError(
            f"operator is {operator!r}: expected a bdip operator, for example bdip.Downsample(4)."
        )
    array = _numbers(image, "image", operator)
    pixels, data_axis, notes = _channels_last(array, channel_axis, spatial_axes)
    pixels = _real(pixels)
    observed = _observed(pixels, mask, missing)
    image_shape = _image_shape(operator, pixels.shape)
    gain = _gain(operator, image_shape)
    _require_range_of_image(operator, gain, data_range)
    low, high, range_note = _range(array.dtype, pixels, observed, data_range)
    base = _base(operator, gain, image_shape, low)
    unit = np.where(observed[..., None], (pixels - base) / (high - low), 0).astype(np.float32)
    floor = _keeps_units(gain)
    scale = Scale(low, high - low, array.shape, data_axis, base, floor)
    if noise_std is None and noise is None:
        noise = operator.noise
    found = given_noise(noise_std, noise, unit, observed, scale, recognise)
    share, whole = float(observed.mean()), bool(observed.all())
    mask_note = "" if whole else f"observed {100 * share:.1f} % of pixels"
    keeping = "" if whole else KEEPING
    if not isinstance(operator, Identity):
        keeping = KEEPING_DATA if operator.linear else ""
    notes = [*notes, mask_note, range_note, found.note, keeping if found.raised else ""]
    if not (math.isfinite(weight_precision) and weight_precision >= 0):
        raise ProblemError(f"weight_precision is {weight_precision}: expected a number ≥ 0.")
    if not operator.linear:
        operator = InUnits(
            operator, *(jnp.asarray(x, jnp.float32) for x in (low, high - low, base))
        )
    problem = Problem(
        data=jnp.asarray(unit),
        mask=jnp.asarray(observed[..., None], jnp.float32),
        noise=found.law,
        weight_precision=jnp.float32(weight_precision),
        operator=operator,
        image_shape=image_shape,
    )
    units = Units(
        low, high, _image_axis(data_axis, pixels.shape, image_shape), str(array.dtype),
        found.noise_std, share, tuple(note for note in notes if note), found.described,
        len(image_shape) - 1, data_axis, base,
    )  # fmt: skip
    return problem, units


def _image_shape(operator: Operator, data_shape: Shape) -> Shape:
    """The shape of the image, which must give data of `data_shape`."""
    try:
        image_shape = operator.image_shape(data_shape)
    except ValueError as error:
        raise ProblemError(f"{type(operator).__name__}: {error}") from error
    try:
        found: Any = jax.eval_shape(operator, jnp.zeros(image_shape)).shape
    except (TypeError, ValueError) as error:
        found = " ".join(str(error).split())
    if found != data_shape:
        raise ProblemError(
            f"operator makes {found} of an image of shape {image_shape}, but the data have shape "
            f"{data_shape}: give it the weights, and the image the size, that belong together."
        )
    return image_shape


def _image_axis(data_axis: int | None, data_shape: Shape, image_shape: Shape) -> int | None:
    """Where the image has its channels: as the data where it has as many, last where only it has some."""
    if image_shape[-1] == data_shape[-1] and len(image_shape) == len(data_shape):
        return data_axis
    if image_shape[-1] == 1:
        return None
    last = len(image_shape) - 1
    return last if data_axis is None else min(data_axis, last)


def _gain(operator: Operator, image_shape: Shape) -> NDArray[np.float64] | None:
    """A(1), the data of an image of ones; None where A is the identity, or not linear and it says nothing."""
    if isinstance(operator, Identity) or not operator.linear:
        return None
    one = jnp.ones(image_shape)
    gain, double = (np.asarray(operator(n * one), np.float64) for n in (1, 2))
    nothing = np.asarray(operator(0 * one), np.float64)
    rounding = ROUNDING * max(float(np.abs(gain).max()), TINY)
    if np.abs(nothing).max() > 0 or np.abs(double - 2 * gain).max() > rounding:
        raise ProblemError(
            f"{type(operator).__name__} says it is linear, but A(0) is not 0, or A(2x) not 2A(x): say linear=False."
        )
    # Sums of weights, which should be 0 or 1 but for rounding: so a large offset stays exact.
    whole = np.rint(gain)
    return np.where((np.abs(gain - whole) <= rounding) & (whole <= 1), whole, gain)


def _keeps_units(gain: NDArray[np.float64] | None) -> bool:
    """Whether the data are means of pixels, or some of them zero: of the image's own unit and range."""
    return gain is None or bool(gain.min() >= 0 and gain.max() == 1)


def _require_range_of_image(
    operator: Operator, gain: NDArray[np.float64] | None, data_range: object
) -> None:
    """Raise ProblemError where the image's range is not given and the data cannot tell it."""
    if data_range is None and not (operator.linear and _keeps_units(gain)):
        raise ProblemError(
            f"the data of {type(operator).__name__} have another unit than the image, whose range they do "
            "not tell: pass data_range=(low, high) of the clean image, for example (0, 1)."
        )


def _base(
    operator: Operator, gain: NDArray[np.float64] | None, image_shape: Shape, low: float
) -> float | NDArray[np.float64]:
    """A(low), the data of an image that is low everywhere: one number where all are alike."""
    if not operator.linear:
        return np.asarray(operator(jnp.full(image_shape, low, jnp.float32)), np.float64)
    if gain is None or low == 0:
        return low
    return low if (gain == 1).all() else low * gain


def _numbers(value: ArrayLike, name: str, operator: Operator) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype == bool or not (np.issubdtype(array.dtype, np.number) and array.size):
        raise ProblemError(
            f"{name} has dtype {array.dtype} and shape {array.shape}: expected integers or floats."
        )
    if np.iscomplexobj(array) and not operator.complex_data:
        raise ProblemError(
            f"{name} is complex: pass its magnitude, or real and imaginary channels; or the operator "
            "that made it so, such as bdip.Fourier()."
        )
    return array


def _channels_last(
    array: NDArray[Any], channel_axis: int | None, spatial_axes: int | None
) -> tuple[NDArray[Any], int | None, list[str]]:
    notes = []
    pixels = array.astype(complex if np.iscomplexobj(array) else np.float64)
    if spatial_axes is None:  # one axis is a signal, and all else an image unless it is said
        spatial_axes = 1 if array.ndim == 1 else 2
        if array.ndim == 3 and channel_axis is None and array.shape[-1] <= MOST_COLOURS:
            channel_axis = 2
            notes.append(f"channels: {array.shape[-1]}, on the last axis")
    axes = spatial_axes + (channel_axis is not None)
    fits = array.ndim == axes and spatial_axes in range(1, MOST_AXES + 1)
    if not fits or not (channel_axis is None or -axes <= channel_axis < axes):
        raise ProblemError(
            f"image has shape {array.shape} with channel_axis={channel_axis}: expected (H, W), or (H, W, C) with "
            "channel_axis=-1; of a signal (L, C) or a volume (D, H, W) say spatial_axes=1 or 3."
        )
    if channel_axis is None:
        return pixels[..., None], None, notes
    channel_axis %= axes
    return np.moveaxis(pixels, channel_axis, -1), channel_axis, notes


def _real(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Complex values (..., K) as their real and then their imaginary parts (..., 2K)."""
    if not np.iscomplexobj(pixels):
        return pixels
    return np.concatenate([pixels.real, pixels.imag], axis=-1)


def _observed(
    pixels: NDArray[np.float64], mask: ArrayLike | None, missing: ArrayLike | None
) -> NDArray[np.bool_]:
    """Which pixels (h, w) are observed: by the mask, and never where the image is NaN."""
    if mask is not None and missing is not None:
        raise ProblemError(
            "mask and missing are both given: pass one, mask with True where a pixel is observed, "
            "or missing with True where it is not."
        )
    observed = np.ones(pixels.shape[:-1], bool)
    if mask is not None:
        observed = _truths(mask, "mask", pixels.shape)
    if missing is not None:
        observed = ~_truths(missing, "missing", pixels.shape)
    if np.isinf(pixels[observed]).any():
        raise ProblemError("image holds infinite values: mark them as missing, or set them to NaN.")
    observed = observed & ~np.isnan(pixels).any(axis=-1)
    if not observed.any():
        raise ProblemError(
            "no pixel is observed: check the mask's sense (mask is True where a pixel is known, "
            "missing where it is not) and the image for NaN."
        )
    return observed


def _truths(value: ArrayLike, name: str, data_shape: Shape) -> NDArray[np.bool_]:
    array, grid = np.asarray(value), data_shape[:-1]
    if array.shape != grid:
        remedy = "pass one value a pixel"
        if array.shape[:-1] == grid:
            remedy += f", for example {name}[..., 0]"
        raise ProblemError(f"{name} has shape {array.shape} but image has {grid} pixels: {remedy}.")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ProblemError(
            f"{name} holds values other than 0 and 1: pass booleans, for example {name} > 127."
        )
    return array.astype(bool)


def _range(
    dtype: np.dtype[Any],
    pixels: NDArray[np.float64],
    observed: NDArray[np.bool_],
    data_range: tuple[float, float] | None,
) -> tuple[float, float, str]:
    if data_range is not None:
        low, high = data_range if np.shape(data_range) == (2,) else (np.nan, np.nan)
        low, high = float(low), float(high)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ProblemError(
                f"data_range is {data_range}: expected (low, high) with low < high, for example (0, 1)."
            )
        return low, high, ""
    if np.issubdtype(dtype, np.integer) and dtype.itemsize <= PIXEL_BYTES:
        info = np.iinfo(dtype)
        return float(info.min), float(info.max), ""
    low, high = float(pixels[observed].min()), float(pixels[observed].max())
    if low == high:
        raise ProblemError(
            f"every observed value is {low:g}, which leaves no range: pass data_range=(low, high)."
        )
    return low, high, f"data range: {low:.4g} to {high:.4g}, the observed extremes"
