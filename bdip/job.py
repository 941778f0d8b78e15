"""What the arguments of `sample` come to: names become objects here, arrays become a Problem."""

import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip import chain, fleet, memory, networks, samplers, stopping
from bdip._version import __version__
from bdip.answer import described
from bdip.cache import kept_programs
from bdip.chain import Plan
from bdip.given_noise import SAMPLED
from bdip.holdout import hide
from bdip.keeping import fingerprint
from bdip.likelihood import Gaussian, Noise, Rounding
from bdip.networks.base import Generator
from bdip.problem import Problem, Units, pose
from bdip.samplers import Sampler
from bdip.settings import Resolved, Settings, SettingsError, require

# Arguments of `sample` that replace those of its settings.
SHORTCUTS = (
    "steps", "max_steps", "chains", "target_mcse", "warmup", "draws", "weight_precision", "memory_limit",
)  # fmt: skip
# σ (unit range) below which the default step size after the warm-up is smaller in proportion: what a
# step adds to χ² grows with what the data know. At this σ the default was chosen (docs/decisions/0006, 0013).
STEP_FROM = 25 / 255
STEP_SHARE = 0.4  # and not below it, where chains hardly move (docs/decisions/0013)


class Job(NamedTuple):
    """What the arguments of `sample` come to, before anything large exists."""

    problem: Problem
    units: Units
    network: Generator
    sampler: Sampler
    plan: Plan
    stored: int  # draws of a chain
    settings: Settings
    resolved: Resolved
    places: list[jax.Device]
    seed: int
    holdout: float | None
    measured: NDArray[np.float32] | None  # at the pixels held out (H, W, C), NaN elsewhere


def prepare(
    image: ArrayLike, mask: ArrayLike | None, *, generator: str | Generator | None,
    sampler: str | Sampler, settings: Settings | None, step_size: float | samplers.Schedule | None,
    temperature: float | None, holdout: float | None, seed: int,
    devices: int | Sequence[jax.Device] | None, **options: Any,
) -> Job:  # fmt: skip
    """The names as objects and the arrays as a problem; TooLargeError where that is hopeless."""
    given = {name: options.pop(name) for name in SHORTCUTS}
    chosen = replace(settings or Settings(), **{k: v for k, v in given.items() if v is not None})
    kind = _kind(sampler, samplers.REGISTRY, "sampler")
    places = fleet.choose(devices)
    resolved = chosen.resolve(kind.exact, kind.uncertain, kind.input_jitter)
    network = _network(generator, kind.exact)
    if options["operator"] is None:
        _refuse_beyond_all_bounds(image, options, network, chosen.memory_limit)
    with fleet.home(places), kept_programs():
        precision = resolved.weight_precision
        problem, units = pose(
            image, mask, weight_precision=precision, recognise=kind.exact, **options
        )
        if generator is None:
            network = networks.standard(kind.exact, problem.wide_holes)
        if options["operator"] is not None:
            _refuse_beyond_bound(problem.image_shape[:-1], network, chosen.memory_limit)
        measured = None
        if holdout is not None:
            problem, measured = hide(problem, holdout, jax.random.key(seed))
        sampler = _sampler(sampler, problem, resolved, step_size, temperature)
        plan, stored = _plan(resolved, problem, sampler)
    return Job(
        problem, units, network, sampler, plan, stored, chosen, resolved, places, seed,
        holdout, measured,
    )  # fmt: skip


def record_of(job: Job) -> dict[str, Any]:
    """Everything that defines the run, in JSON types."""
    versions = {"bdip": __version__, "jax": jax.__version__, "numpy": np.__version__}
    return {
        **{name: described(value) for name, value in job.resolved._asdict().items()},
        "sampler": described(job.sampler),
        "generator": described(job.network),
        "operator": type(job.problem.operator).__name__,
        "rounded": isinstance(job.problem.noise, Rounding),
        "coded": job.problem.operator.rounded,
        "seed": int(job.seed),
        "holdout": described(job.holdout),
        "noise_std": job.units.noise_std,
        "noise": job.units.noise,
        "data_range": [job.units.low, job.units.high],
        "channel_axis": job.units.channel_axis,
        "data_axis": job.units.data_axis,
        "dtype": job.units.dtype,
        "observed": job.units.observed,
        "observed_values": int(job.problem.observed_count),
        "versions": versions | {"python": platform.python_version()},
        "device": job.places[0].device_kind,
    }


def identity_of(job: Job) -> dict[str, Any]:
    """What makes two runs the same one, in JSON types: by name, so that a difference can be told."""
    problem, units = job.problem, job.units
    sampler = described(job.sampler)
    del sampler["warmup"]  # is among the settings
    return {
        "image": fingerprint((problem.data, job.measured)),
        "mask": fingerprint(problem.mask),
        "noise": units.noise,
        "noise_std": units.noise_std,
        "numbers of the noise": fingerprint(problem.noise),
        "operator": type(problem.operator).__name__,
        "numbers of the operator": fingerprint(problem.operator),
        "data_range": [units.low, units.high],
        "channel_axis": units.channel_axis,
        "dtype": units.dtype,
        "generator": described(job.network),
        "sampler": sampler,
        **{name: described(value) for name, value in job.resolved._asdict().items()},
        "seed": int(job.seed),
        "holdout": described(job.holdout),
    }


def _network(given: str | Generator | None, exact: bool) -> Generator:
    """The generator object; the default one where it is left out."""
    if given is None:
        return networks.standard(exact)
    made: Generator = (
        _kind(given, networks.REGISTRY, "generator")() if isinstance(given, str) else given
    )
    return made


def _refuse_beyond_all_bounds(
    image: ArrayLike, options: dict[str, Any], network: Generator, limit: float | None
) -> None:
    """Raise TooLargeError where even a lower bound of the memory is too much.

    Before the image is copied, and before minutes of compiling.
    """
    grid, axis = list(np.shape(image)), options["channel_axis"]
    axes = options["spatial_axes"] or min(len(grid), 2)
    if len(grid) == axes + 1:
        del grid[-1 if axis is None else axis % len(grid)]
    if len(grid) == axes:  # whatever else it is, `pose` refuses it
        _refuse_beyond_bound(grid, network, limit)


def _refuse_beyond_bound(grid: Sequence[int], network: Generator, limit: float | None) -> None:
    memory.require(memory.least(network, grid), memory.available(limit), grid)


def _kind(given: Any, registry: Mapping[str, type[Any]], name: str) -> type[Any]:
    if not isinstance(given, str):
        return type(given)
    if given not in registry:
        raise SettingsError(f"{name} {given!r} is not known: choose from {', '.join(registry)}.")
    return registry[given]


def _sampler(
    given: str | Sampler,
    problem: Problem,
    settings: Resolved,
    step_size: float | samplers.Schedule | None,
    temperature: float | None,
) -> Sampler:
    """The sampler object, with the user's numbers in it."""
    warmup = _warmup(settings)
    _require_sampler_for(problem.noise, _kind(given, samplers.REGISTRY, "sampler"))
    if isinstance(given, str):
        ends_itself = settings.target_mcse is not None
        given = _default(given, problem, sys.maxsize if ends_itself else settings.steps - warmup)
    changes: dict[str, Any] = {"warmup": warmup}
    if step_size is not None:
        if not callable(step_size):
            require(step_size > 0, "step_size", step_size, "a number above 0")
            step_size = float(step_size)  # an integer would compile again
        changes["step_size"] = samplers.schedule(step_size)
        if hasattr(given, "energy_tolerance"):
            changes["energy_tolerance"] = None  # what is given stays
    if temperature is not None:
        require(temperature >= 0, "temperature", temperature, "a number of at least 0")
        if not hasattr(given, "temperature"):
            raise SettingsError(
                f"temperature is given but {type(given).__name__} has none: leave it out, or use "
                "sampler='psgld'."
            )
        changes["temperature"] = float(temperature)
    return replace(given, **changes)  # type: ignore[type-var]


def _default(name: str, problem: Problem, kept: int) -> Sampler:
    """The sampler with the package's numbers, for what the data know, and so many steps to keep."""
    information = float(problem.information)
    values = max(1, int(problem.observed_count))
    sampler = samplers.REGISTRY[name].default(information, values, kept)
    step_size = sampler.step_size
    if not isinstance(step_size, samplers.Cooling):
        return sampler
    share = min(1.0, max(STEP_SHARE, _pixel_noise(problem) / STEP_FROM))
    return replace(sampler, step_size=replace(step_size, cold=share * step_size.cold))  # type: ignore[type-var]


def _pixel_noise(problem: Problem) -> float:
    """√(n/Σ_i m_i ‖a_i‖²/σ_i²), a_i being the rows of the operator: σ as it is at a pixel, not in the data.

    Σ_i w_i ‖a_i‖² = E Σ_i w_i (Av)_i² for random signs v, of which one is drawn; without an operator it is exact.
    """
    signs = jax.random.rademacher(jax.random.key(0), problem.image_shape, np.float32)
    _, seen = jax.jvp(problem.operator, (0.5 + 0 * signs,), (signs,))
    known = float((problem.mask * seen**2 / problem.noise_std**2).sum())
    return math.sqrt(float(problem.observed_count) / known) if known else math.inf


def _require_sampler_for(noise: Noise, kind: type[Sampler]) -> None:
    """Raise SettingsError where the sampler cannot do with this law of the noise."""
    expected = "a number, unless the sampler is exact, such as psgld: descent would fit all noise"
    require(kind.exact or not noise.sampled, "noise_std", SAMPLED, expected)
    # Its roll-back compares energies by ratio, which those with a log-determinant do not have.
    fits = isinstance(noise, Gaussian) or kind is not samplers.GpDip
    expected = "noise_std, for gp-dip is a recipe for the mean squared error; or use psgld"
    require(fits, "noise", type(noise).__name__, expected)


def _warmup(settings: Resolved) -> int:
    """Steps before the first kept one; where that is still to be found, more than there are."""
    if settings.target_mcse is not None and settings.warmup is None:
        return 2 * settings.steps  # schedules stay hot in the first half of it
    return settings.warmup or 0


def _plan(settings: Resolved, problem: Problem, sampler: Sampler) -> tuple[Plan, int]:
    """The chain's numbers, and how many draws each chain stores within the memory bound."""
    affordable = settings.draws_memory // (4 * math.prod(problem.image_shape) * settings.chains)
    room, jitter = min(settings.draws, affordable), settings.input_jitter or None
    warmup, average, cycle = _warmup(settings), settings.output_average, sampler.cycle
    if settings.target_mcse is not None:
        thin = cycle * -(-stopping.FIRST_THIN // cycle)
        return Plan(warmup, thin, average, jitter, thin), room
    kept = (settings.steps - warmup) // cycle
    stored = min(room, kept)
    thin, probe_thin = (-(-kept // max(n, 1)) for n in (stored, chain.PROBE_DRAWS))
    plan = Plan(warmup, cycle * thin, average, jitter, cycle * probe_thin)
    return plan, min(stored, kept // max(thin, 1))  # draws span all the steps
