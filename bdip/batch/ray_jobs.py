"""The jobs of a batch on a Ray cluster: the only module that imports ray, and only when asked to.

A job's worker gets the job, which is names and numbers, and reads and writes the shared folder itself: no
image goes through Ray. Where a machine dies its jobs go to another; the system has dropped their locks.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bdip.batch.jobs import ELSEWHERE, FAILED, Job, Row, perform
from bdip.settings import SettingsError

LOCAL = "local"  # the address of a cluster of this machine alone, for as long as the batch takes
DEATHS = 3  # of its machine or process that a job survives
TICK = 1.0  # seconds between two looks at Ctrl-C
# The lock of a process that has just died may be held for a moment.
PATIENCE = 5.0  # seconds
GOODBYE = 30.0  # seconds for jobs under way to come to the end of a block


def rows_of(
    jobs: list[Job], address: str, cpus: float, gpus: float, interrupted: Callable[[], bool]
) -> Iterator[Row]:
    """The row of each job as it ends, each job on `cpus` and `gpus` of the cluster at `address`.

    Where `interrupted` says so, those under way are told to stop, and their rows are the last.
    Raises SettingsError where ray is not installed or there is no such cluster.
    """
    ray = _ray()
    with _cluster(ray, address):
        task = ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=DEATHS,
            runtime_env={"env_vars": _threads(cpus)},
        )(perform)  # fmt: skip
        pending = {task.remote(job, None, PATIENCE): job for job in jobs}
        while pending and not interrupted():
            ready, _ = ray.wait(list(pending), timeout=TICK)
            for reference in ready:
                job = pending.pop(reference)
                row = _row(ray, reference, job)
                if row["status"] == ELSEWHERE:  # of another batch: look again when others are done
                    pending[task.remote(job, None, PATIENCE)] = job
                else:
                    yield row
        yield from _stopped(ray, pending)


def _ray() -> Any:
    """The package, told beforehand to send nothing to anyone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise SettingsError("ray is not installed: pip install 'bdip[ray]'.") from error
    return ray


@contextmanager
def _cluster(ray: Any, address: str) -> Iterator[None]:
    """Connected to the cluster; to that which this process is connected to already, if it is."""
    if ray.is_initialized():
        yield
        return
    local = {"include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            f"ray is {address!r}: expected the address of a cluster, or 'local' ({reason})."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _threads(cpus: float) -> dict[str, str]:
    """The environment in which a process has no more threads than the job has CPUs (XLA heeds NPROC)."""
    count = str(max(1, math.floor(cpus)))
    return {"NPROC": count, "OMP_NUM_THREADS": count}


def _row(ray: Any, reference: Any, job: Job) -> Row:
    try:
        row: Row = ray.get(reference)
        return row
    except ray.exceptions.RayTaskError as error:  # the last line is the error, above is where
        message = f"its worker could not do it: {str(error).strip().splitlines()[-1]}"
    except ray.exceptions.RayError as error:
        message = f"its worker was lost more than {DEATHS} times: {' '.join(str(error).split())}"
    return {"name": job.name, "source": str(job.image), "status": FAILED, "error": message}


def _stopped(ray: Any, pending: dict[Any, Job]) -> Iterator[Row]:
    """The rows of jobs that were told to stop, and have."""
    for reference in pending:
        ray.cancel(reference)  # Ctrl-C in its worker: the block of steps comes to its end
    if pending:
        ready, _ = ray.wait(list(pending), num_returns=len(pending), timeout=GOODBYE)
        for reference in ready:
            row = _row(ray, reference, pending[reference])
            if row["status"] != FAILED:
                yield row
