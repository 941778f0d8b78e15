"""A batch on a Ray cluster of two nodes, one of which is killed in the middle: is everything done, and the same?

    python -m benchmarks.ray_cluster            # 20 images of 32 × 32 pixels; results/ray-cluster.json

Both nodes are processes of this machine, of one CPU each. The answers are compared, bit for bit, with those of
`bdip batch` in one process that has as many threads as a worker (NPROC=1), and with those of one that has all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bdip import Hourglass, batch
from bdip.batch.jobs import RECORDS
from bdip.posterior import Posterior
from benchmarks import record

COUNT = 20
SIZE = 32  # pixels a side
CHANNELS, SCALES, STEPS, NOISE_STD = 8, 2, 60, 20.0
NODE_MEMORY = 80 * 2**20  # bytes of a node's object store, through which hardly anything goes
LOOK = 0.1  # seconds between two looks at how much is done
ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def cluster() -> Iterator[Any]:
    """A head of one CPU, as a `ray.cluster_utils.Cluster`; its workers import the bdip beside this file."""
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": NODE_MEMORY, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield made
    finally:
        made.shutdown()


def experiment(folder: Path, count: int = COUNT) -> dict[str, Any]:
    """Do `count` images on two nodes and one, and in a process of one thread and of all; what came of it."""
    photos = folder / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        image = rng.normal(128, 40, (SIZE, SIZE)).astype(np.float32)
        np.save(photos / f"{number:02d}.npy", image)
    options: dict[str, Any] = {
        "generator": Hourglass(scales=SCALES, channels_down=CHANNELS, channels_up=CHANNELS),
        "steps": STEPS, "noise_std": NOISE_STD,
    }  # fmt: skip
    out, start = folder / "cluster", perf_counter()
    with cluster() as nodes:
        second = nodes.add_node(num_cpus=1, object_store_memory=NODE_MEMORY)
        killed: list[int] = []
        killer = threading.Thread(target=_kill, args=(nodes, second, out, count // 3, killed))
        killer.start()
        found = batch.run([photos], out, save=True, ray=nodes.address, progress=False, **options)
        killer.join()
    seconds = perf_counter() - start
    _alone(photos, folder / "one", {"NPROC": "1"})
    _alone(photos, folder / "all", {})
    return {
        "images": count,
        "done": found.count("done"),
        "done_when_killed": killed[0],
        "equal_with_one_thread": _equal(out, folder / "one", count),
        "equal_with_all_threads": _equal(out, folder / "all", count),
        "seconds": seconds,
    }


def _kill(nodes: Any, node: Any, out: Path, when: int, killed: list[int]) -> None:
    """Kill the node once so many images are done, and note how many they were."""
    while (done := len(list((out / RECORDS).glob("*.json")))) < when:
        time.sleep(LOOK)
    nodes.remove_node(node, allow_graceful=False)
    killed.append(done)


def _alone(photos: Path, out: Path, environment: dict[str, str]) -> None:
    """The same images by the command, in a process of its own."""
    words = ["batch", photos, "-o", out, "--save", "--quiet", "--steps", STEPS]
    words += ["--noise-std", NOISE_STD, "--channels", CHANNELS, "--scales", SCALES]
    command = [sys.executable, "-m", "bdip", *map(str, words)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True)


def _equal(first: Path, second: Path, count: int) -> int:
    """How many images have the same files and draws, bit for bit."""
    return sum(_same(first, second, f"{number:02d}") for number in range(count))


def _same(first: Path, second: Path, name: str) -> bool:
    for ending in (".npy", "-std.tif"):
        if (first / f"{name}{ending}").read_bytes() != (second / f"{name}{ending}").read_bytes():
            return False
    one, other = (Posterior.load(folder / f"{name}.npz") for folder in (first, second))
    return np.array_equal(one.draws, other.draws) and all(
        np.array_equal(column, other.trace[key]) for key, column in one.trace.items()
    )


def main() -> None:
    """The experiment, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=COUNT, help=f"[{COUNT}]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = experiment(Path(folder), options.images)
    print(json.dumps(row, indent=1))
    print(record.save("ray-cluster", [row]))


if __name__ == "__main__":
    main()
