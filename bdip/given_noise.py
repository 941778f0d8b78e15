"""What users say of the noise, checked, and as a law in the unit range."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.errors import ProblemError
from bdip.likelihood import (
    Clipped,
    Gaussian,
    Law,
    Noise,
    PoissonGaussian,
    Rounding,
    UnknownGaussian,
)
from bdip.noise import Ends, estimate_noise_std

# An estimated σ below this part of the data range (five grey levels of 255) is raised to it: clean
# pictures estimate near one level, where the posterior is too narrow to be explored
# (docs/decisions/0005).
LEAST_ESTIMATE = 5 / 255
SAMPLED = "sample"  # what noise_std is where σ shall be drawn too
# Of values at the ends of the range, and none beyond, how many say that noise was cut off there:
# fewer make no difference, and the two extremes of a picture whose range is not given do not count.
SHARE_AT_ENDS = 0.01
FEW_AT_ENDS = 10
SAME = 1e-6  # in the unit range: a value nearer than this to an end is at it
TINY = math.nextafter(0, 1)
EXPECTED = "expected a positive number in the image's units; leave it out to have it estimated"


class Given(NamedTuple):
    """The law in the unit range; its typical σ in the image's units; in JSON types; a note, or ""."""

    law: Noise
    noise_std: float
    described: dict[str, Any]
    note: str

    @property
    def raised(self) -> bool:
        """Whether an estimate was raised."""
        return "raised_from" in self.described


class Scale(NamedTuple):
    """The image's range as users see it, low end and width, and the data's shape and channel axis.

    `base` are the data of the image that is `low` everywhere, one number where they are alike. `floored`
    says whether an estimate below LEAST_ESTIMATE of the range is raised to it: where the data have the image's unit.
    """

    low: float
    span: float
    shape: tuple[int, ...]
    channel_axis: int | None
    base: float | NDArray[np.float64]
    floored: bool = True


def given_noise(
    noise_std: ArrayLike | str | None,
    noise: Law | None,
    unit: NDArray[np.float32],
    observed: NDArray[np.bool_],
    scale: Scale,
    recognise: bool = True,
) -> Given:
    """The law that `bdip.sample`'s arguments describe, for data `unit` (h, w, C) in [0, 1].

    `recognise`: whether a σ is that of noise which was cut off at the ends of the range, if it looks so.
    Raises ProblemError where the arguments contradict each other or are no noise.
    """
    if noise is not None:
        if noise_std is not None:
            raise ProblemError(
                f"noise_std and noise are both given ({noise_std!r} and {noise!r}): pass one."
            )
        if isinstance(noise, Rounding):
            return _of_rounding(noise, unit, observed, scale)
        if isinstance(noise, Clipped):
            return _of_clipped(noise, unit, observed, scale)
        return _of_photons(noise, unit, observed, scale)
    sampled = isinstance(noise_std, str)  # has no law of clipped values
    if recognise and not sampled and scale.floored and _is_cut_off(unit[observed]):
        found = _of_clipped(Clipped(noise_std), unit, observed, scale)
        if not found.raised:  # else there is no noise, and black is black
            return found
    return _normal(noise_std, unit, observed, scale)


def _is_cut_off(values: NDArray[np.float32]) -> bool:
    """Whether values (n, C) in the unit range end where it does, and more of them are there than by chance."""
    low, high = values <= SAME, values >= 1 - SAME
    beyond = (values < -SAME).any() or (values > 1 + SAME).any()
    count = int(low.sum() + high.sum())
    return not beyond and count >= max(FEW_AT_ENDS, SHARE_AT_ENDS * values.size)


def _normal(
    noise_std: ArrayLike | str | None,
    unit: NDArray[np.float32],
    observed: NDArray[np.bool_],
    scale: Scale,
    ends: Ends | None = None,
) -> Given:
    """Normal noise, of σ as given or as estimated from what is not near the `ends` (unit range)."""
    if noise_std is None or isinstance(noise_std, str):
        return _estimated(noise_std, unit, observed, scale, ends)
    if np.ndim(noise_std) > 0:
        return _map(np.asarray(noise_std), unit.shape[-1], observed, scale)
    try:
        std = float(noise_std)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        std = math.nan
    if not (math.isfinite(std) and std > 0):
        raise ProblemError(f"noise_std is {noise_std}: {EXPECTED}.")
    return Given(Gaussian(jnp.float32(std / scale.span)), std, {"name": "Gaussian", "std": std}, "")


def _estimated(
    asked: str | None,
    unit: NDArray[np.float32],
    observed: NDArray[np.bool_],
    scale: Scale,
    ends: Ends | None,
) -> Given:
    """σ by its estimate, or sampled from there on."""
    span = scale.span
    if asked not in (None, SAMPLED):
        raise ProblemError(f'noise_std is {asked!r}: {EXPECTED}, or pass "{SAMPLED}".')
    estimate = estimate_noise_std(unit, observed, ends)
    least = LEAST_ESTIMATE if scale.floored else 0.0
    if not (math.isfinite(estimate) and max(estimate, least) > 0):
        raise ProblemError(
            "the noise cannot be estimated from so few neighbouring observed pixels: pass noise_std."
        )
    std = max(estimate, least)
    note = f"noise std: {std * span:.4g}, estimated"
    before = {}
    if estimate < least:
        before = {"raised_from": estimate * span}
        note += f" ({estimate * span:.4g}, raised to 5/255 of the data range)"
    if asked is None:
        described = {"name": "Gaussian", "std": std * span, **before}
        return Given(Gaussian(jnp.float32(std)), std * span, described, note)
    law = UnknownGaussian(jnp.float32(std))
    described = {"name": "UnknownGaussian", "start": std * span, "prior_count": law.prior_count}
    return Given(law, std * span, described | before, f"{note}, and sampled from there")


def _map(stds: NDArray[Any], channels: int, observed: NDArray[np.bool_], scale: Scale) -> Given:
    """One σ a pixel, or one a value; where nothing is observed, any."""
    last = _one_a_value("noise_std", stds, channels, observed, scale)
    seen = last[observed].astype(np.float64)
    if not (np.isfinite(seen) & (seen > 0)).all():
        raise ProblemError(
            f"noise_std has {int((~(np.isfinite(seen) & (seen > 0))).sum())} values that are no "
            "positive numbers where the image is observed: mark those pixels as missing, or give "
            "them a noise."
        )
    unit = np.where(observed[..., None], last, 1) / scale.span
    return _varying(Gaussian(jnp.asarray(unit, jnp.float32)), seen, {"name": "Gaussian"}, "")


def _one_a_value(
    name: str, numbers: NDArray[Any], channels: int, observed: NDArray[np.bool_], scale: Scale
) -> NDArray[Any]:
    """An array with one number a pixel, or one a value, as (h, w, 1 or C)."""
    single = numbers.shape == observed.shape
    if not (single or numbers.shape == scale.shape) or numbers.dtype.kind not in "iuf":
        raise ProblemError(
            f"{name} has dtype {numbers.dtype} and shape {numbers.shape} but image has shape "
            f"{scale.shape}: expected one number, or one for each pixel, {observed.shape}, or value."
        )
    axis = None if single else scale.channel_axis
    last = numbers[..., None] if axis is None else np.moveaxis(numbers, axis, -1)
    if axis is not None:  # of complex values, for real and imaginary parts alike
        last = np.tile(last, channels // last.shape[-1])
    return last


def _of_rounding(
    noise: Rounding, unit: NDArray[np.float32], observed: NDArray[np.bool_], scale: Scale
) -> Given:
    """Rounding to steps; its typical σ is that of all that it takes away."""

    def numbers(name: str, told: Any, least: float) -> NDArray[np.float64]:
        if np.ndim(told) == 0:
            _require(told, name, f"a number {'above' if least else 'of at least'} 0", least)
            return np.asarray(told, np.float64)
        array = _one_a_value(name, np.asarray(told), unit.shape[-1], observed, scale)
        if not (np.isfinite(array[observed]) & (array[observed] >= least)).all():
            raise ProblemError(
                f"the noise's {name} is not {'above' if least else 'at least'} 0 everywhere that the image is observed: "
                "mark those pixels as missing, or give them one."
            )
        return np.where(observed[..., None], array, 1.0)

    step = numbers("step", noise.step, TINY)
    law = Rounding(step, numbers("noise_std", noise.noise_std, 0.0)).scaled(scale.span)
    law = Rounding(*(jnp.asarray(x, jnp.float32) for x in (law.step, law.noise_std)))
    stds = np.asarray(law.std_at(jnp.asarray(unit))) * scale.span
    typical = np.median(np.broadcast_to(step, unit.shape)[observed])
    described = {"name": "Rounding", "step": float(typical)}
    if stds.ndim == 0:
        return Given(law, float(stds), described, "")
    return _varying(law, np.broadcast_to(stds, unit.shape)[observed], described, "")


def _of_clipped(
    noise: Clipped, unit: NDArray[np.float32], observed: NDArray[np.bool_], scale: Scale
) -> Given:
    """The law of what lies between the ends, and the ends in the unit range."""
    ends = _ends(noise, scale)
    bottom, top = ((end - scale.base) / scale.span for end in ends)
    bottom, top = bottom + SAME, top - SAME
    if isinstance(noise.noise, PoissonGaussian):
        found = _of_photons(noise.noise, unit, observed, scale)
    else:
        found = _normal(noise.noise, unit, observed, scale, (bottom, top))  # type: ignore[arg-type]
    if not isinstance(found.law, Gaussian | PoissonGaussian):
        raise ProblemError(
            "of clipped noise σ is not sampled: give a number, or leave it out to have it estimated."
        )
    share = ((unit <= bottom) | (unit >= top))[observed].mean()
    note = f"clipped: {100 * share:.1f} % of values"
    law = Clipped(found.law, *(jnp.asarray(end, jnp.float32) for end in (bottom, top)))
    notes = "; ".join(each for each in (found.note, note) if each)
    return Given(law, found.noise_std, found.described | {"clipped": ends}, notes)


def _ends(noise: Clipped, scale: Scale) -> list[float]:
    """Where values are clipped, low end and high, in the image's units."""
    told = {"low": noise.low, "high": noise.high}
    own = {"low": scale.low, "high": scale.low + scale.span}
    for name, end in told.items():
        if end is not None:
            _require(end, name, "a number", -math.inf)
        elif not scale.floored:
            raise ProblemError(
                f"the data have another unit than the image, whose range does not tell where they are clipped: pass {name}= to bdip.Clipped."
            )
    low, high = (float(own[name] if end is None else end) for name, end in told.items())
    if not low < high:
        raise ProblemError(
            f"the noise is clipped at {low:.6g} and {high:.6g}: expected the low end first."
        )
    return [low, high]


def _of_photons(
    noise: PoissonGaussian, unit: NDArray[np.float32], observed: NDArray[np.bool_], scale: Scale
) -> Given:
    """Poisson–Gaussian noise; its typical σ is that at the data themselves."""
    if not isinstance(noise, PoissonGaussian):
        raise ProblemError(
            f"noise is {noise!r}: expected a bdip.PoissonGaussian(gain, read_noise), a bdip.Clipped(noise_std), or a bdip.Rounding(step)."
        )
    offset = scale.low if noise.offset is None else noise.offset
    _require(noise.gain, "gain", "a number above 0", TINY)
    _require(noise.read_noise, "read_noise", "a number of at least 0", 0)
    _require(offset, "offset", "a number, or None for the low end of the data range", -math.inf)
    law = noise.scaled(scale.base, scale.span)
    described = {
        "name": "PoissonGaussian", "gain": float(noise.gain),
        "read_noise": float(noise.read_noise), "offset": float(offset),
    }  # fmt: skip
    unsaid = f"noise: no light at {offset:.4g}, the low end of the data range"
    stds = np.asarray(law.std_at(jnp.asarray(unit)))[observed] * scale.span
    law = PoissonGaussian(
        *(jnp.asarray(x, jnp.float32) for x in (law.gain, law.read_noise, law.offset))
    )
    return _varying(law, stds, described, unsaid if noise.offset is None else "")


def _require(value: Any, name: str, expected: str, least: float) -> None:
    number = isinstance(value, int | float | np.number) and math.isfinite(value)
    if not number or value < least:
        raise ProblemError(f"the noise's {name} is {value}: expected {expected}, in image units.")


def _varying(law: Noise, seen: NDArray[Any], described: dict[str, Any], note: str) -> Given:
    """A law whose σ takes the values `seen`, in the image's units: told by median and range."""
    median, low, high = (float(f(seen)) for f in (np.median, np.min, np.max))
    return Given(law, median, described | {"median": median, "low": low, "high": high}, note)
