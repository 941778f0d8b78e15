"""`sample`, the front door: a job from its arguments, chains under way, an answer."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from time import perf_counter
from typing import Any, Literal, NamedTuple

import jax
from numpy.typing import ArrayLike

from bdip import abreast, chain, driving, fleet, memory, recovery, samplers
from bdip.answer import assemble
from bdip.cache import kept_programs, without_collection
from bdip.chain import Progress, Run
from bdip.checkpoint import Checkpoint, as_checkpoint
from bdip.job import Job, identity_of, prepare, record_of
from bdip.keeping import Keeper
from bdip.likelihood import Law
from bdip.memory import Estimate, TooLargeError
from bdip.networks.base import Generator
from bdip.networks.flat import flat
from bdip.operators import Operator
from bdip.posterior import Posterior
from bdip.progress import ProgressBar
from bdip.samplers import DEFAULT, Sampler
from bdip.samplers.base import moves_alike
from bdip.settings import Settings, require

TRIED_STEPS = 4  # of which an estimate takes the speed


class _Started(NamedTuple):
    """Chains at their start, so many of which go at once; the bytes they need and those free; the seconds it took to compile."""

    runs: list[Run]
    threads: int
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
    noise: Law | None = None,
    data_range: tuple[float, float] | None = None,
    channel_axis: int | None = None,
    spatial_axes: int | None = None,
    generator: str | Generator | None = None,
    sampler: str | Sampler = DEFAULT,
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
    chains: int | None = None,
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
            one a value; estimated and reported by default, but where the operator knows it (`bdip.JPEG`). Noise that was cut off at the
            ends of the range, as in most 8-bit pictures, is recognised (`bdip.Clipped`). "sample" draws it with the weights,
            from a prior worth one pixel at the estimate (`bdip.likelihood.UnknownGaussian`).
        noise: another law of the noise, `bdip.PoissonGaussian(gain=2.1, read_noise=3.5)` of photons, `bdip.Clipped(25)` of noise that was cut off at
            the ends of the range, `bdip.Rounding(step=16)` of few grey levels.
        data_range: (low, high) of the clean image; by default the dtype's for integers and the
            observed extremes, reported, for floats. Needed where the data have another unit than the image.
        channel_axis: which axis holds the channels; inferred for a last axis of up to 4.
        spatial_axes: how many axes the grid has: 1 for a signal (L, C), 3 for a volume (D, H, W), which
            could be an image with channels; by default 1 for (L,), else 2.
        generator: a name from `bdip.networks.REGISTRY` or an object such as `bdip.Pyramid(channels=24)`. By default
            `bdip.Pyramid()`, with `last_activation="softsign"` where holes are wide, and `bdip.Hourglass()`, the network of their papers, of descents and "gp-dip".
        sampler: "mclmc", "psgld", "sgld", or to compare with "sgd", "adam", "gp-dip"; or an object.
        settings: a `bdip.Settings`; `steps`, `max_steps`, `chains`, `target_mcse`, `warmup`, `draws`,
            `weight_precision` and `memory_limit` beside it replace its own.
        steps: steps of each chain. By default a sampler of the posterior ends by itself: where the Monte
            Carlo error of the mean is `target_mcse` of its standard deviation, or after `max_steps` of all chains
            together.
        step_size: ε, a number or a schedule such as `bdip.samplers.Polynomial(a, b, gamma)`.
        temperature: T; 1 is the posterior, 0 is descent.
        holdout: share of the observed pixels, such as 0.02, that the sampler is not shown; the answer is
            then checked on what was measured there. σ and the data range are still those of all.
        chains: independent chains, each with its own weights and latent, averaged together; by default 4 where they
            end by themselves, and 1 of a fixed length.
        seed: the same seed gives the same answer on the same machine.
        devices: where the chains run, side by side, one a device: how many of JAX's local devices,
            or which. All of them by default, or JAX's default device where you have set one. On a CPU
            chains that end by themselves go at once, a thread a core. None of it changes the draws.
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
    job = prepare(
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
        with closing(ProgressBar(job.resolved.all_steps, progress, notes)) as bar:
            started = _start(job)
            course = driving.course_of(started.runs, job.resolved, started.threads)
            with kept_programs():
                ways_back = recovery.Recovery(course, job.settings.step_halvings)
                if keeper:
                    keeper.resume(course, ways_back)
            drive = driving.Drive(course, ways_back, keeper, bar)
            with memory.exhaustion_told(started.needed, started.available):
                cut = drive.run(job.settings.block, callback, time_limit)
        with kept_programs():
            record = record_of(job) | course.record()
            record |= {"interrupted": cut, "went_back": ways_back.went_back}
            return assemble(
                course.runs, job.problem, job.units, record, course.finished, job.measured,
            )  # fmt: skip


@contextmanager
def _kept_by(given: str | PathLike[str] | Checkpoint | None, job: Job) -> Iterator[Keeper | None]:
    """The keeper of this run's checkpoints, with the one that is to be resumed; None where none are asked for."""
    if given is None:
        yield None
        return
    checkpoint = as_checkpoint(given)
    with checkpoint.reserved():
        keeper = Keeper(checkpoint, identity_of(job))
        keeper.read()
        yield keeper


def estimate(image: ArrayLike, mask: ArrayLike | None = None, **options: Any) -> Estimate:
    """What `bdip.sample` with the same arguments would take: memory, and time.

    The memory is that of the compiled program; of an image beyond all bounds it is a lower bound,
    without compiling. The time is that of a few steps which are really taken, after compiling,
    times their number, or times `max_steps` where the chains may end by themselves before. A run that does
    not fit is told by `fits`, with times of NaN.

    Example:
        >>> import numpy as np, bdip
        >>> tiny = bdip.Hourglass(scales=2, channels_down=8, channels_up=8)
        >>> found = bdip.estimate(np.eye(16), generator=tiny, noise_std=0.1)
        >>> found.fits, found.steps
        (True, 60000)
    """
    try:
        job = job_of(image, mask, **options)
        with fleet.home(job.places):
            started = _start(job)
            speed = _speed(started.runs[: started.threads])
    except TooLargeError as error:
        return Estimate(error.needed, error.available)
    steps = job.resolved.all_steps
    return Estimate(started.needed, started.available, steps, started.seconds, steps / speed, speed)


def job_of(image: ArrayLike, mask: ArrayLike | None = None, **options: Any) -> Job:
    """What `bdip.sample` with the same arguments would run."""
    arguments = inspect.signature(sample).bind(image, mask, **options)
    arguments.apply_defaults()
    shown = ("progress", "callback", "time_limit", "checkpoint")
    return prepare(**{k: v for k, v in arguments.arguments.items() if k not in shown})


def _speed(runs: list[Run]) -> float:
    """Steps a second of a few steps of each; of the first, which also sets up the device, if it is the only one."""
    for length in (1, min(TRIED_STEPS, runs[0].steps - 1)):
        start = perf_counter()
        if length:
            abreast.advance(runs, length)
            speed = len(runs) * runs[0].width * length / (perf_counter() - start)
    return speed


def _start(job: Job) -> _Started:
    """The chains at their start, compiled; TooLargeError before their arrays exist.

    Side by side on several devices they are compiled by their first step, and what they need is
    a lower bound: what they hold.
    """
    steps, chains = job.resolved.steps, job.resolved.chains
    available = memory.available(job.settings.memory_limit)
    with kept_programs(), without_collection():
        key = jax.random.key(job.seed)
        start = perf_counter()
        network = job.network
        if moves_alike(job.sampler):
            network = flat(network, job.problem.image_shape)
        arguments = job.problem, network, job.sampler, job.plan
        shapes = chain.shapes(*arguments[:3], job.stored, key)
        copies = (
            chains * recovery.COPIES * memory.size(shapes[0]) if job.settings.step_halvings else 0
        )
        needed, threads = chains * memory.size(shapes) + copies, 1
        if fleet.width(chains, job.places) == 1:
            program = chain.compiled(*arguments, shapes)
            answer = chains * _answer_bytes(shapes[1], steps)
            for threads in range(_threads(job), 0, -1):  # fewer take longer, and less memory
                needed = memory.needed(program, shapes, chains, answer, threads) + copies
                if available is None or needed <= available:
                    break
        seconds = perf_counter() - start
        memory.require(needed, available, job.problem.image_shape[:-1])
        with memory.exhaustion_told(needed, available):
            runs = [
                chain.start(*arguments, steps, job.stored, key, number) for number in range(chains)
            ]
            runs = fleet.side_by_side(runs, job.places)
    return _Started(runs, threads, needed, available, seconds)


def _threads(job: Job) -> int:
    """How many chains may go at once on one device; those of a fixed length go one after another."""
    if job.resolved.target_mcse is None:
        return 1
    return abreast.most(job.resolved.chains, job.places[0])


def _answer_bytes(kept: chain.Kept, steps: int) -> int:
    """Of a chain's part of a Posterior: draws and probe once more, with two copies on the way; the trace."""
    return (
        3 * memory.size((kept.draws, kept.probe)) + 4 * len(chain.Trace._fields) * steps
    )  # at most
