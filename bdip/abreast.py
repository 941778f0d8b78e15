"""Chains of one processor side by side, a block of each in a thread of its own.

A small image does not keep the cores busy that a step is cut up for: two chains at once take little more
time than one (docs/decisions/0046). Each takes the very steps that it takes alone.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jax

from bdip.cache import cores
from bdip.chain import DivergedError, Progress, Run


def most(chains: int, device: jax.Device) -> int:
    """How many of so many chains can go at once on a device: a thread a core on a CPU, else one.

    One, too, within `jax.default_device(...)` and its like, which other threads do not see: they would compile again.
    """
    if device.platform != "cpu" or chains == 1 or cores() <= 1 or not _threads_are_alike():
        return 1
    return min(chains, cores())


def _threads_are_alike() -> bool:
    """Whether another thread finds compiled what this one has."""
    traced = []

    @jax.jit
    def probe(number: float) -> float:
        traced.append(number)
        return number

    probe(0.0)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(probe, 0.0).result()
    return len(traced) == 1


def advance(runs: list[Run], length: int) -> None:
    """So many steps of each run, all at once."""
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(lambda run: run.advance(length), runs))


def blocks(
    runs: list[Run], threads: int, length: int | None = None, until: int | None = None
) -> Iterator[tuple[Run, Progress]]:
    """Advance all runs to step `until`, so many at once, yielding after each block of each.

    One that diverges lets the others come to `until`, or diverge, before the first DivergedError is raised: where they
    are then depends neither on the clock nor on the threads.
    """
    under_way = [(run, run.blocks(length, until)) for run in runs]
    errors: list[DivergedError] = []
    with ThreadPoolExecutor(threads) as pool:
        side_by_side = pool.map if threads > 1 else map
        while under_way:
            found = list(side_by_side(_next, (moving for _, moving in under_way)))
            moved = [
                (*pair, each)
                for pair, each in zip(under_way, found, strict=True)
                if isinstance(each, Progress)
            ]
            for run, _, progress in moved:
                yield run, progress
            errors += [each for each in found if isinstance(each, DivergedError)]
            under_way = [(run, moving) for run, moving, _ in moved]
    if errors:
        raise errors[0]


def _next(moving: Iterator[Progress]) -> Progress | DivergedError | None:
    """What a run says after its next block; None at its end."""
    try:
        return next(moving, None)
    except DivergedError as error:
        return error
