"""`sample`, the front door: names become objects here, arrays become a Problem, chains an answer."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import reduce
from time import monotonic
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from bdip import chain, moments, networks, samplers
from bdip._version import __version__
from bdip.chain import Plan, Progress, Run
from bdip.networks.base import Generator
from bdip.operators import Operator
from bdip.posterior import Posterior
from bdip.problem import Problem, Units, pose
from bdip.progress import ProgressBar, deferred_interrupt
from bdip.samplers import Sampler
from bdip.settings import Resolved, Settings, SettingsError, require


def sample(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    missing: ArrayLike | None = None,
    operator: Operator | None = None,
    noise_std: float | None = None,
    data_range: tuple[float, float] | None = None,
    channel_axis: int | None = None,
    generator: str | Generator = "hourglass",
    sampler: str | Sampler = "psgld",
    settings: Settings | None = None,
    steps: int | None = None,
    warmup: int | None = None,
    draws: int | None = None,
    step_size: float | samplers.Schedule | None = None,
    temperature: float | None = None,
    weight_precision: float | None = None,
    chains: int = 1,
    seed: int = 0,
    progress: bool = True,
    callback: Callable[[Progress], Any] | None = None,
    time_limit: float | None = None,
) -> Posterior:
    """Restore one degraded image from itself alone; the posterior over the clean image.

    A randomly initialised generator g_θ is sampled by Langevin dynamics from exp(−U(θ)), where
    U(θ) = ‖m⊙(A g_θ(z) − y)‖²/(2σ²) + (λ/2)‖θ‖², and its outputs are averaged.

    Args:
        image: (H, W) or (H, W, C); integers or floats of any range. NaN pixels are missing pixels.
        mask: (H, W), True where a pixel is *observed*.
        missing: (H, W), True where a pixel is *not* observed; the complement of `mask`.
        operator: forward operator A from the clean image to `image`; the identity by default.
        noise_std: σ of the noise, in the image's units; estimated and reported by default.
        data_range: (low, high) of the clean image; by default the dtype's for integers and the
            observed extremes, reported, for floats.
        channel_axis: which axis holds the channels; inferred for a last axis of up to 4.
        generator: a name from `bdip.networks.REGISTRY` or an object such as `bdip.Hourglass()`.
        sampler: "psgld", "sgld", or to compare with "sgd", "adam", "gp-dip"; or an object.
        settings: a `bdip.Settings`; `steps`, `warmup`, `draws` and `weight_precision` beside it
            replace its own.
        step_size: ε, a number or a schedule such as `bdip.samplers.Polynomial(a, b, gamma)`.
        temperature: T; 1 is the posterior, 0 is descent.
        chains: independent chains, each with its own weights and latent, averaged together.
        seed: the same seed gives the same answer on the same machine.
        progress: show a progress bar with step, speed, χ² and time left.
        callback: called between blocks of steps with a `bdip.Progress`.
        time_limit: seconds, after which what there is is returned, marked incomplete.

    Returns:
        A `bdip.Posterior`. Ctrl-C returns what there is, marked incomplete.

    Raises:
        ProblemError, SettingsError: an argument does not fit; the message says what to do.
        DivergedError: the energy became infinite or NaN: the step is too large.

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
    settings = settings or Settings()
    given: dict[str, Any] = {
        "steps": steps, "warmup": warmup, "draws": draws, "weight_precision": weight_precision
    }  # fmt: skip
    chosen = replace(settings, **{k: v for k, v in given.items() if v is not None})
    require(chains >= 1, "chains", chains, "at least 1")
    require(time_limit is None or time_limit > 0, "time_limit", time_limit, "above 0 seconds")
    kind = _kind(sampler, samplers.REGISTRY, "sampler")
    run_settings = chosen.resolve(kind.exact, kind.uncertain, kind.input_jitter)
    network: Generator = (
        _kind(generator, networks.REGISTRY, "generator")()
        if isinstance(generator, str)
        else generator
    )

    problem, units = pose(
        image, mask, missing=missing, operator=operator, noise_std=noise_std,
        data_range=data_range, channel_axis=channel_axis,
        weight_precision=run_settings.weight_precision,
    )  # fmt: skip
    sampler = _sampler(sampler, problem, run_settings.warmup, step_size, temperature)
    plan, stored = _plan(run_settings, problem, chains)

    key = jax.random.key(seed)
    runs = [
        chain.start(problem, network, sampler, plan, chosen.steps, stored, key, number)
        for number in range(chains)
    ]
    bar = ProgressBar(chains * chosen.steps, progress, units.reported)
    complete = _drive(runs, chosen.block, bar, callback, time_limit)
    record = _record(network, sampler, run_settings, units, seed)
    return _posterior(runs, units, record, complete)


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
    if isinstance(given, str):
        information = float(problem.observed_count / problem.noise_std**2)
        given = samplers.REGISTRY[given].default(information)
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


def _plan(settings: Resolved, problem: Problem, chains: int) -> tuple[Plan, int]:
    """The chain's numbers, and how many draws each chain stores within the memory bound."""
    height, width, channels = problem.image_shape
    affordable = settings.draws_memory // (4 * height * width * channels * chains)
    kept_steps = settings.steps - settings.warmup
    stored = min(settings.draws, affordable, kept_steps)
    thin = -(-kept_steps // max(stored, 1))  # rounded up: the draws span all the kept steps
    jitter = settings.input_jitter or None
    plan = Plan(settings.warmup, thin, settings.output_average, jitter)
    return plan, min(stored, kept_steps // thin)


def _drive(
    runs: list[Run],
    block: int | None,
    bar: ProgressBar,
    callback: Callable[[Progress], Any] | None,
    time_limit: float | None,
) -> bool:
    """Advance the chains, one after another, and say whether all came to their end."""
    deadline = monotonic() + (time_limit or float("inf"))
    before = 0
    try:
        with deferred_interrupt() as interrupt:
            for run in runs:
                for progress in run.blocks(block):
                    phase = "warm-up" if progress.warming_up else "sampling"
                    bar.update(before + run.done, phase, progress.chi2, progress.steps_per_second)
                    if callback is not None:
                        callback(progress)
                    if interrupt.pressed or monotonic() > deadline:
                        return all(each.done == each.steps for each in runs)
                before += run.steps
    except KeyboardInterrupt:
        if not any(run.done for run in runs):
            raise
        return False
    finally:
        bar.close()
    return True


def _record(
    generator: Generator, sampler: Sampler, settings: Resolved, units: Units, seed: int
) -> dict[str, Any]:
    """Everything that defines the run, in JSON types."""
    versions = {"bdip": __version__, "jax": jax.__version__, "numpy": np.__version__}
    return {
        **{name: _described(value) for name, value in settings._asdict().items()},
        "sampler": _described(sampler),
        "generator": _described(generator),
        "seed": int(seed),
        "noise_std": units.noise_std,
        "data_range": [units.low, units.high],
        "channel_axis": units.channel_axis,
        "dtype": units.dtype,
        "observed": units.observed,
        "versions": versions | {"python": platform.python_version()},
        "device": jax.devices()[0].device_kind,
    }


def _described(thing: Any) -> Any:
    """In JSON types: numbers, strings and lists as they are, the rest its class's name and fields."""
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, list | tuple):
        return [_described(item) for item in thing]
    if hasattr(thing, "dtype"):
        return np.asarray(thing).tolist()
    names = [field.name for field in fields(thing)] if is_dataclass(thing) else []
    return {"name": type(thing).__name__} | {n: _described(getattr(thing, n)) for n in names}


def _posterior(runs: list[Run], units: Units, record: dict[str, Any], complete: bool) -> Posterior:
    """One answer from the chains that kept something, or else from those that took a step."""
    runs = [run for run in runs if run.done > run.plan.warmup] or [r for r in runs if r.done]
    merged = reduce(moments.merge, (run.kept.moments for run in runs))
    mean, std = merged.mean, np.full(merged.mean.shape, np.nan)
    if float(merged.weight) == 0:  # stopped in the warm-up: the last image is the best there is
        mean = runs[0].kept.image
    elif runs[0].sampler.uncertain:  # a descent has no spread to speak of
        std = np.sqrt(moments.variance(merged))
    stored = min(run.draws_kept for run in runs)
    draws = np.stack([np.asarray(run.kept.draws[:stored]) for run in runs])
    return Posterior(
        mean=units.image(mean),
        std=units.spread(std),
        draws=units.image(draws),
        trace=_traces(runs),
        settings=record,
        complete=complete,
        reported=units.reported,
    )


def _traces(runs: list[Run]) -> dict[str, np.ndarray]:
    """Name to (chains, steps); a chain that was stopped early ends in NaN."""
    longest = max(run.done for run in runs)
    traces = [run.trace for run in runs]

    def padded(column: np.ndarray) -> np.ndarray:
        return np.pad(column, (0, longest - len(column)), constant_values=np.nan)

    return {
        name: np.stack([padded(getattr(trace, name)) for trace in traces])
        for name in chain.Trace._fields
    }
