"""What a run needs and what there is: memory in bytes, time in seconds."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.stages import Compiled

from bdip.networks.base import Generator, generate
from bdip.types import Tree

LARGE = (
    1024**2
)  # pixels from which compiling takes so long that a lower bound is worth its half second
TRIAL = 256  # pixels a side of the image that the bound is taken from
EXHAUSTED = "RESOURCE_EXHAUSTED"  # XLA's name for it, at the head of its message
ADVICE = (
    "Use fewer channels or scales, Hourglass(remat=True), bfloat16 precision on a GPU, cut the image into "
    "tiles, or store fewer draws; or set another memory_limit."
)


class TooLargeError(MemoryError):
    """The run does not fit: bytes `needed` against those `available`."""

    def __init__(self, message: str, needed: int, available: int) -> None:
        super().__init__(message)
        self.needed, self.available = needed, available


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    bytes: memory at its peak, by the compiled program.
    available: bytes free on the device, or the user's limit; None where there is no telling.
    steps: of all chains together.
    seconds_compile: it took to compile, or to load what had been compiled before.
    seconds: all steps, at the speed of the few that were tried.
    steps_per_second: that speed.

    >>> found = Estimate(bytes=3 * 2**30, available=2 * 2**30)
    >>> found.fits, str(found)[:42]
    (False, 'needs 3.0 GiB of 2.0 GiB: it does not fit.')
    """

    bytes: int
    available: int | None
    steps: int = 0
    seconds_compile: float = math.nan
    seconds: float = math.nan
    steps_per_second: float = math.nan

    @property
    def fits(self) -> bool:
        """Whether there is memory enough, as far as is known."""
        return self.available is None or self.bytes <= self.available

    def __str__(self) -> str:
        there = "" if self.available is None else f" of {in_words(self.available)}"
        if not self.fits:
            return f"needs {in_words(self.bytes)}{there}: it does not fit. {ADVICE}"
        return (
            f"needs {in_words(self.bytes)}{there}; {self.steps:,} steps in about "
            f"{duration(self.seconds)} after {duration(self.seconds_compile)} of compilation"
        )


def require(needed: int, available: int | None, grid: Sequence[int]) -> None:
    """Raise TooLargeError, with what to do, unless the bytes `needed` are `available`."""
    if available is not None and needed > available:
        size = " × ".join(map(str, grid))
        raise TooLargeError(
            f"{size} pixels need {in_words(needed)} of memory and there are "
            f"{in_words(available)}. {ADVICE}",
            needed,
            available,
        )


@contextmanager
def exhaustion_told(needed: int, available: int | None) -> Iterator[None]:
    """The compiler's word that memory has run out becomes TooLargeError, with what to do.

    What is free can be taken by others, and what a program needs is not told to the byte.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if EXHAUSTED not in str(error):
            raise
        raise TooLargeError(
            f"memory ran out: the run needs {in_words(needed)} or more. {ADVICE}",
            needed,
            available or 0,
        ) from error


def available(limit: float | None) -> int | None:
    """The bytes of the user's `limit`, or without one those free; None for no bound."""
    if limit is None:
        return free()
    return None if math.isinf(limit) else int(limit)


def least(generator: Generator, grid: Sequence[int]) -> int:
    """A lower bound of a run's bytes on a grid, such as (H, W), in half a second; 0 for a small one.

    A large image takes minutes to compile for. What the gradient of the generator needs of the way
    forwards, for each pixel of a small image, times the pixels.
    """
    pixels = math.prod(grid)
    if pixels < LARGE:
        return 0
    side = round(TRIAL ** (2 / len(grid)))  # about as many pixels, whatever the number of axes
    shape = (*(side for _ in grid), 1)
    params, latent = jax.eval_shape(lambda key: generator.init(key, shape), jax.random.key(0))

    def backwards(params: Tree, latent: Tree) -> Tree:
        return jax.vjp(lambda params: generate(generator, params, latent, shape), params)[1]

    residuals = size(jax.eval_shape(backwards, params, latent)) - size(params)
    return residuals * pixels // math.prod(shape)


def needed(program: Compiled, shapes: Tree, chains: int, answer: int, threads: int = 1) -> int:
    """Bytes at the peak of a run of `chains` chains with arrays of these `shapes`.

    So many chains as `threads` move while the others wait. On a CPU, where the host's memory is the device's, the
    `answer` is put together in what the program no longer uses.
    """
    found: Any = program.memory_analysis()
    if found is None:  # a backend that does not tell
        return chains * size(shapes)
    held = found.argument_size_in_bytes + (chains - 1) * size(shapes)
    working = found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes
    on_host = jax.default_backend() == "cpu"
    return int(held + max(threads * working, answer if on_host else 0))


def size(tree: Tree) -> int:
    """Bytes of all arrays of a tree, or of shapes that stand for them."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def free() -> int | None:
    """Bytes free on the device that runs go to, or None where that cannot be told."""
    device = jax.devices()[0]
    found = device.memory_stats() or {}
    if "bytes_limit" in found:
        return int(found["bytes_limit"] - found.get("bytes_in_use", 0))
    return free_on_host() if device.platform == "cpu" else None


def free_on_host(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still take: the machine's, or its control groups' if less."""
    bounds = [*_machine(root), *_control_groups(root)]
    return max(0, min(bounds)) if bounds else None


def _machine(root: Path) -> Iterator[int]:
    """Linux says what is available; elsewhere all there is must do."""
    with suppress(OSError, ValueError, KeyError):
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        values = dict(line.split(":") for line in lines)
        yield int(values["MemAvailable"].split()[0]) * 1024
        return
    with suppress(OSError, ValueError, AttributeError):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _control_groups(root: Path) -> Iterator[int]:
    """What is left in each control group (versions 1 and 2) that this process is in."""
    names = {
        "1": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        "2": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    }  # fmt: skip
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, controllers, path = line.split(":", 2)
            if number != "0" and "memory" not in controllers.split(","):
                continue
            folder, *files = names["2" if number == "0" else "1"]
            group = root / folder / path.lstrip("/")
            # In a container the path may be the host's: then the container's own group is at the top.
            for each in (group, *group.parents[: len(Path(path).parts) - 1]):
                yield from _left(each, *files)


def _left(group: Path, limit: str, used: str, reclaimable: str) -> Iterator[int]:
    """What is left in one control group; files that are only cached there make room."""
    with suppress(OSError, ValueError):  # no such group, or "max": no limit
        bound, taken = (int((group / name).read_text(encoding="ascii")) for name in (limit, used))
        cached = 0
        with suppress(OSError):
            for line in (group / "memory.stat").read_text(encoding="ascii").splitlines():
                if line.startswith(f"{reclaimable} "):
                    cached = int(line.split()[1])
        yield bound - taken + cached


def in_words(count: float) -> str:
    """Bytes in the unit that suits.

    >>> in_words(2.5 * 2**30)
    '2.5 GiB'
    """
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    power = min(int(math.log2(max(count, 1)) // 10), len(units) - 1)
    digits = 1 if power and count / 1024**power < 99.95 else 0
    return f"{count / 1024**power:.{digits}f} {units[power]}"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(500), duration(9), duration(0.4), duration(7260)
    ('8 min 20 s', '9 s', '0.4 s', '2 h 1 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
