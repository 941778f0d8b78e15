"""`sample`, the front door: names become objects here, arrays become a Problem, chains an answer."""

import inspect
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from os import PathLike
from time import perf_counter
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip import chain, driving, fleet, memory, networks, recovery, samplers, stopping
from bdip._version import __version__
from bdip.answer import assemble, described
from bdip.cache import kept_programs, without_collection
from bdip.chain import Plan, Progress, Run
from bdip.checkpoint import Checkpoint, as_checkpoint
from bdip.given_noise import SAMPLED
from bdip.holdout import hide
from bdip.keeping import Keeper, fingerprint
from bdip.likelihood import Gaussian, Noise, PoissonGaussian
from bdip.memory import Estimate, TooLargeError
from bdip.networks.base import Generator
from bdip.operators import Operator
from bdip.posterior import Posterior
from bdip.problem import Problem, Units, pose
from bdip.progress import ProgressBar
from bdip.samplers import Sampler
from bdip.settings import Resolved, Settings, SettingsError, require

# Arguments of `sample` that replace those of its settings.
SHORTCUTS = (
    "steps", "max_steps", "target_mcse", "warmup", "draws", "weight_precision", "memory_limit",
)  # fmt: skip
TRIED_STEPS = 4  # of which an estimate takes the speed
# σ (unit range) below which the default step size after the warm-up is smaller in proportion: what a
# step adds to χ² grows with what the data know. At this σ the default was chosen (docs/decisions/0006, 0013).
STEP_FROM = 25 / 255
STEP_SHARE = 0.4  # and not below it, where chains hardly move (docs/decisions/0013)


class _Job(NamedTuple):
    """What the arguments of `sample` come to, before anything large exists."""

    problem: Problem
    units: Units
    network: Generator
    sampler: Sampler
    plan: Plan
    stored: int  # draws of a chain
    settings: Settings
    resolved: Resolved
    chains: int
    places: list[jax.Device]
    seed: int
    holdout: float | None
    measured: NDArray[np.float32] | None  # at the pixels held out (H, W, C), NaN elsewhere


class _Started(NamedTuple):
    """Chains at their start; the bytes they need and those free; the seconds it took to compile."""

    runs: list[Run]
    needed: int
    available: int | None
    seconds: float


def sample(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    missing: ArrayLike | None = None,
    operator: Operator | None = None,
    noise_std: ArrayLike | Literal["sample"] | None = None,
    noise: PoissonGaussian | None = None,
    data_range: tuple[float, float] | None = None,
    channel_axis: int | None = None,
    spatial_axes: int | None = None,
    generator: str | Generator = "hourglass",
    sampler: str | Sampler = "mclmc",
    settings: Settings | None = None,
    steps: int | None = None,
    max_steps: int | None = None,
    target_mcse: float | None = None,
    warmup: int | None = None,
    draws: int | None = None,
    step_size: float | samplers.Schedule | None = None,
    temperature: float | None = None,
    weight_precision: float | None = None,
    memory_limit: float | None = None,
    holdout: float | None = None,
    chains: int = 1,
    seed: int = 0,
    devices: int | Sequence[jax.Device] | None = None,
    progress: bool = True,
    callback: Callable[[Progress], Any] | None = None,
    time_limit: float | None = None,
    checkpoint: str | PathLike[str] | Checkpoint | None = None,
) -> Posterior:
    """Restore one degraded image from itself alone; the posterior over the clean image.

    A randomly initialised generator g_θ is sampled by Langevin dynamics from exp(−U(θ)), where
    U(θ) = ‖m⊙(A g_θ(z) − y)‖²/(2σ²) + (λ/2)‖θ‖², and its outputs are averaged.

    Args:
        image: (H, W) or (H, W, C), or a signal (L,); integers or floats of any range, or what an operator
            makes of an image. NaN pixels are missing pixels.
        mask: (H, W), True where a pixel is *observed*.
        missing: (H, W), True where a pixel is *not* observed; the complement of `mask`.
        operator: forward operator A from the clean image to `image`; the identity by default.
        noise_std: σ of the noise, in the image's units: one number, or an array with one a pixel or
            one a value; estimated and reported by default. "sample" draws it with the weights,
            from a prior worth one pixel at the estimate (`bdip.likelihood.UnknownGaussian`).
        noise: another law of the noise, such as `bdip.PoissonGaussian(gain=2.1, read_noise=3.5)`.
        data_range: (low, high) of the clean image; by default the dtype's for integers and the
            observed extremes, reported, for floats. Needed where the data have another unit than the image.
        channel_axis: which axis holds the channels; inferred for a last axis of up to 4.
        spatial_axes: how many axes the grid has: 1 for a signal (L, C), 3 for a volume (D, H, W), which
            could be an image with channels; by default 1 for (L,), else 2.
        generator: a name from `bdip.networks.REGISTRY` or an object such as `bdip.Hourglass()`.
        sampler: "mclmc", "psgld", "sgld", or to compare with "sgd", "adam", "gp-dip"; or an object.
        settings: a `bdip.Settings`; `steps`, `max_steps`, `target_mcse`, `warmup`, `draws`,
            `weight_precision` and `memory_limit` beside it replace its own.
        steps: steps of each chain. By default a sampler of the posterior ends by itself: where the Monte
            Carlo error of the mean is `target_mcse` of its standard deviation, or after `max_steps`.
        step_size: ε, a number or a schedule such as `bdip.samplers.Polynomial(a, b, gamma)`.
        temperature: T; 1 is the posterior, 0 is descent.
        holdout: share of the observed pixels, such as 0.02, that the sampler is not shown; the answer is
            then checked on what was measured there. σ and the data range are still those of all.
        chains: independent chains, each with its own weights and latent, averaged together.
        seed: the same seed gives the same answer on the same machine.
        devices: where the chains run, side by side, one a device: how many of JAX's local devices,
            or which. All of them by default, or JAX's default device where you have set one. It
            does not change the draws.
        progress: show a progress bar with step, speed, χ² and time left.
        callback: called between blocks of steps with a `bdip.Progress`, for each chain under way.
        time_limit: seconds, after which what there is is returned, marked incomplete.
        checkpoint: a file that keeps the run's state every minute, and wherever it ends. Where it
            holds one of the same run, that is resumed, and its answer is that of a run never cut short, bit
            for bit on the same CPU. `bdip.Checkpoint(path, every=300)` sets the seconds.

    Returns:
        A `bdip.Posterior`. Ctrl-C and SIGTERM return what there is, marked incomplete.

    Raises:
        ProblemError, SettingsError: an argument does not fit; the message says what to do.
        TooLargeError: the run does not fit into the memory that is free, or `memory_limit`.
        DivergedError: the energy became infinite or NaN, with `step_halvings` smaller steps, too.
        CheckpointError: the checkpoint is of another run, damaged, or cannot be written there.

    Example:
        >>> import numpy as np, bdip
        >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16))
        >>> tiny = bdip.Hourglass(scales=2, channels_down=8, channels_up=8)
        >>> posterior = bdip.sample(noisy, generator=tiny, steps=20, progress=False)
        >>> posterior.mean.shape, posterior.std.shape, posterior.draws.shape
        ((16, 16), (16, 16), (1, 12, 16, 16))

    References:
        Ulyanov, Vedaldi & Lempitsky (CVPR 2018); Cheng, Gadelha, Maji & Sheldon (CVPR 2019);
        Welling & Teh (ICML 2011); Li, Chen, Carlson & Carin (AAAI 2016).
    """
    require(time_limit is None or time_limit > 0, "time_limit", time_limit, "above 0 seconds")
    job = _prepare(
        image, mask, missing=missing, operator=operator, noise_std=noise_std, noise=noise,
        data_range=data_range, channel_axis=channel_axis, spatial_axes=spatial_axes,
        generator=generator, sampler=sampler,
        settings=settings, steps=steps, max_steps=max_steps, target_mcse=target_mcse,
        warmup=warmup, draws=draws, step_size=step_size, temperature=temperature,
        weight_precision=weight_precision, memory_limit=memory_limit,
        holdout=holdout, chains=chains, seed=seed, devices=devices,
    )  # fmt: skip
    with fleet.home(job.places), _kept_by(checkpoint, job) as keeper:
        notes = job.units.reported + (keeper.notes if keeper else ())
        with closing(ProgressBar(job.chains * job.resolved.steps, progress, notes)) as bar:
            started = _start(job)
            course = driving.course_of(started.runs, job.resolved)
            with kept_programs():
                ways_back = recovery.Recovery(course, job.settings.step_halvings)
                if keeper:
                    keeper.resume(course, ways_back)
            drive = driving.Drive(course, ways_back, keeper, bar)
            with memory.exhaustion_told(started.needed, started.available):
                cut = drive.run(job.settings.block, callback, time_limit)
        with kept_programs():
            record = _record(job) | course.record()
            record |= {"interrupted": cut, "went_back": ways_back.went_back}
            return assemble(
                course.runs, job.problem, job.units, record, course.finished, job.measured,
            )  # fmt: skip


@contextmanager
def _kept_by(given: str | PathLike[str] | Checkpoint | None, job: _Job) -> Iterator[Keeper | None]:
    """The keeper of this run's checkpoints, with the one that is to be resumed; None where none are asked for."""
    if given is None:
        yield None
        return
    checkpoint = as_checkpoint(given)
    with checkpoint.reserved():
        keeper = Keeper(checkpoint, _identity(job))
        keeper.read()
        yield keeper


def estimate(image: ArrayLike, mask: ArrayLike | None = None, **options: Any) -> Estimate:
    """What `bdip.sample` with the same arguments would take: memory, and time.

    The memory is that of the compiled program; of an image beyond all bounds it is a lower bound,
    without compiling. The time is that of a few steps which are really taken, after compiling,
    times their number, or times `max_steps` where a chain may end by itself before. A run that does
    not fit is told by `fits`, with times of NaN.

    Example:
        >>> import numpy as np, bdip
        >>> tiny = bdip.Hourglass(scales=2, channels_down=8, channels_up=8)
        >>> found = bdip.estimate(np.eye(16), generator=tiny, noise_std=0.1)
        >>> found.fits, found.steps
        (True, 20000)
    """
    arguments = inspect.signature(sample).bind(image, mask, **options)
    arguments.apply_defaults()
    shown = ("progress", "callback", "time_limit", "checkpoint")
    try:
        job = _prepare(**{k: v for k, v in arguments.arguments.items() if k not in shown})
        with fleet.home(job.places):
            started = _start(job)
            speed = _speed(started.runs[0])
    except TooLargeError as error:
        return Estimate(error.needed, error.available)
    steps = job.chains * job.resolved.steps
    return Estimate(started.needed, started.available, steps, started.seconds, steps / speed, speed)


def _speed(run: Run) -> float:
    """Steps a second of a few steps; the first, which also sets up the device, if it is the only one."""
    for length in (1, min(TRIED_STEPS, run.steps - 1)):
        start = perf_counter()
        if length:
            run.advance(length)
            speed = run.width * length / (perf_counter() - start)
    return speed


def _prepare(
    image: ArrayLike, mask: ArrayLike | None, *, generator: str | Generator,
    sampler: str | Sampler, settings: Settings | None, step_size: float | samplers.Schedule | None,
    temperature: float | None, holdout: float | None, chains: int, seed: int,
    devices: int | Sequence[jax.Device] | None, **options: Any,
) -> _Job:  # fmt: skip
    """The names as objects and the arrays as a problem; TooLargeError where that is hopeless."""
    given = {name: options.pop(name) for name in SHORTCUTS}
    chosen = replace(settings or Settings(), **{k: v for k, v in given.items() if v is not None})
    require(chains >= 1, "chains", chains, "at least 1")
    kind = _kind(sampler, samplers.REGISTRY, "sampler")
    places = fleet.choose(devices)
    resolved = chosen.resolve(kind.exact, kind.uncertain, kind.input_jitter)
    network: Generator = (
        _kind(generator, networks.REGISTRY, "generator")()
        if isinstance(generator, str)
        else generator
    )
    if options["operator"] is None:
        _refuse_beyond_all_bounds(image, options, network, chosen.memory_limit)
    with fleet.home(places), kept_programs():
        problem, units = pose(image, mask, weight_precision=resolved.weight_precision, **options)
        if options["operator"] is not None:
            _refuse_beyond_bound(problem.image_shape[:-1], network, chosen.memory_limit)
        measured = None
        if holdout is not None:
            problem, measured = hide(problem, holdout, jax.random.key(seed))
        plan, stored = _plan(resolved, problem, chains)
        sampler = _sampler(sampler, problem, plan.warmup, step_size, temperature)
    return _Job(
        problem, units, network, sampler, plan, stored, chosen, resolved, chains, places, seed,
        holdout, measured,
    )  # fmt: skip


def _start(job: _Job) -> _Started:
    """The chains at their start, compiled; TooLargeError before their arrays exist.

    Side by side on several devices they are compiled by their first step, and what they need is
    a lower bound: what they hold.
    """
    arguments = job.problem, job.network, job.sampler, job.plan
    steps, chains = job.resolved.steps, job.chains
    available = memory.available(job.settings.memory_limit)
    with kept_programs(), without_collection():
        key = jax.random.key(job.seed)
        start = perf_counter()
        shapes = chain.shapes(*arguments[:3], job.stored, key)
        copies = (
            chains * recovery.COPIES * memory.size(shapes[0]) if job.settings.step_halvings else 0
        )
        needed = chains * memory.size(shapes)
        if fleet.width(chains, job.places) == 1:
            program = chain.compiled(*arguments, shapes)
            answer = chains * _answer_bytes(shapes[1], steps)
            needed = memory.needed(program, shapes, chains, answer)
        seconds = perf_counter() - start
        needed += copies
        memory.require(needed, available, job.problem.image_shape[:-1])
        with memory.exhaustion_told(needed, available):
            runs = [
                chain.start(*arguments, steps, job.stored, key, number) for number in range(chains)
            ]
            runs = fleet.side_by_side(runs, job.places)
    return _Started(runs, needed, available, seconds)


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


def _answer_bytes(kept: chain.Kept, steps: int) -> int:
    """Of a chain's part of a Posterior: draws and probe once more, with two copies on the way; the trace."""
    return (
        3 * memory.size((kept.draws, kept.probe)) + 4 * len(chain.Trace._fields) * steps
    )  # at most


def _kind(given: Any, registry: Mapping[str, type[Any]], name: str) -> type[Any]:
    if not isinstance(given, str):
        return type(given)
    if given not in registry:
        raise SettingsError(f"{name} {given!r} is not known: choose from {', '.join(registry)}.")
    return registry[given]


def _sampler(
    given: str | Sampler,
    problem: Problem,
    warmup: int,
    step_size: float | samplers.Schedule | None,
    temperature: float | None,
) -> Sampler:
    """The sampler object, with the user's numbers in it."""
    _require_sampler_for(problem.noise, _kind(given, samplers.REGISTRY, "sampler"))
    if isinstance(given, str):
        given = _default(given, problem)
    changes: dict[str, Any] = {"warmup": warmup}
    if step_size is not None:
        if not callable(step_size):
            require(step_size > 0, "step_size", step_size, "a number above 0")
            step_size = float(step_size)  # an integer would compile again
        changes["step_size"] = samplers.schedule(step_size)
    if temperature is not None:
        require(temperature >= 0, "temperature", temperature, "a number of at least 0")
        if not hasattr(given, "temperature"):
            raise SettingsError(
                f"temperature is given but {type(given).__name__} has none: leave it out, or use "
                "sampler='psgld'."
            )
        changes["temperature"] = float(temperature)
    return replace(given, **changes)  # type: ignore[type-var]


def _default(name: str, problem: Problem) -> Sampler:
    """The sampler with the package's numbers, for what the data know."""
    information = float(problem.information)
    sampler = samplers.REGISTRY[name].default(information)
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


def _plan(settings: Resolved, problem: Problem, chains: int) -> tuple[Plan, int]:
    """The chain's numbers, and how many draws each chain stores within the memory bound."""
    affordable = settings.draws_memory // (4 * math.prod(problem.image_shape) * chains)
    room, jitter = min(settings.draws, affordable), settings.input_jitter or None
    if settings.target_mcse is not None:
        endless = 2 * settings.steps  # schedules stay hot in the first half of it
        warmup = endless if settings.warmup is None else settings.warmup
        return Plan(warmup, stopping.FIRST_THIN, settings.output_average, jitter), room
    warmup = settings.warmup or 0
    kept_steps = settings.steps - warmup
    stored = min(room, kept_steps)
    thin, probe_thin = (-(-kept_steps // max(n, 1)) for n in (stored, chain.PROBE_DRAWS))
    plan = Plan(
        warmup, thin, settings.output_average, jitter, probe_thin
    )  # draws span all the steps
    return plan, min(stored, kept_steps // thin)


def _record(job: _Job) -> dict[str, Any]:
    """Everything that defines the run, in JSON types."""
    versions = {"bdip": __version__, "jax": jax.__version__, "numpy": np.__version__}
    return {
        **{name: described(value) for name, value in job.resolved._asdict().items()},
        "sampler": described(job.sampler),
        "generator": described(job.network),
        "seed": int(job.seed),
        "holdout": described(job.holdout),
        "noise_std": job.units.noise_std,
        "noise": job.units.noise,
        "data_range": [job.units.low, job.units.high],
        "channel_axis": job.units.channel_axis,
        "dtype": job.units.dtype,
        "observed": job.units.observed,
        "observed_values": int(job.problem.observed_count),
        "versions": versions | {"python": platform.python_version()},
        "device": job.places[0].device_kind,
    }


def _identity(job: _Job) -> dict[str, Any]:
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
        "chains": job.chains,
        "seed": int(job.seed),
        "holdout": described(job.holdout),
    }
