"""Is anything lost? Runs killed at random moments, full disks, damaged checkpoints; each resumed and compared bit for bit.

python -m benchmarks.faults                 # 100 kills; the full disk needs root, for a small file system of its own
python -m benchmarks.faults --kills 10
"""

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import bdip
from bdip import keeping
from benchmarks import record

SIZE = 24  # pixels a side
BLOCK = 8  # steps from one checkpoint to the next
GENERATOR = bdip.Hourglass(
    scales=1, channels_down=4, channels_up=4, channels_skip=2, latent_channels=4
)
KINDS: dict[str, dict[str, Any]] = {
    "fixed length": {"steps": 400},
    "two chains": {"steps": 200, "chains": 2},
    "ends by itself": {"max_steps": 500, "target_mcse": 0.01},
}
KEPT = ("mean", "std", "draws", "probe")


def restore(kind: str, path: Path | None = None, **options: Any) -> bdip.Posterior:
    """A small real run; with a `path`, it writes a checkpoint there after every block."""
    keeping.MOST_SHARE = 1.0  # of the time: to be killed while writing, too
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (SIZE, SIZE))
    checkpoint = None if path is None else bdip.Checkpoint(path, every=0.0)
    return bdip.sample(
        noisy, noise_std=0.1, data_range=(0, 1), generator=GENERATOR, progress=False,
        settings=bdip.Settings(block=BLOCK, draws=20), checkpoint=checkpoint,
        **KINDS[kind], **options,
    )  # fmt: skip


def same(first: bdip.Posterior, second: bdip.Posterior) -> bool:
    """Whether every array and setting is the same, bit for bit."""
    arrays = [(getattr(first, name), getattr(second, name)) for name in KEPT]
    arrays += [(first.trace[name], second.trace[name]) for name in first.trace]
    return first.settings == second.settings and all(
        a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in arrays
    )


def work(kind: str, path: Path, output: Path, blocks: Any) -> None:
    """What a child process does: run or resume, and write the answer."""

    def count(progress: bdip.Progress) -> None:
        blocks.value += 1

    restore(kind, path, callback=count).save(output)


# ------------------------------------------------------------------------------------------ kills


def kill_and_resume(
    kind: str, whole: bdip.Posterior, blocks: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Kill a run at a random moment of its stepping, resume it, and compare with the whole one."""
    context = multiprocessing.get_context("forkserver")
    at, delay = int(rng.integers(0, blocks)), float(rng.uniform(0, 0.02))
    with tempfile.TemporaryDirectory() as folder:
        path, output = Path(folder) / "run.ckpt", Path(folder) / "answer.npz"
        done = context.Value("i", 0)
        child = context.Process(target=work, args=(kind, path, output, done))
        child.start()
        while child.is_alive() and done.value < at:
            time.sleep(0.0005)
        time.sleep(delay)
        killed = child.is_alive()
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        while_writing = bool(list(Path(folder).glob(".*.part")))
        started = time.perf_counter()
        resumed = context.Value("i", 0)
        again = context.Process(target=work, args=(kind, path, output, resumed))
        again.start()
        again.join()
        equal = again.exitcode == 0 and same(whole, bdip.Posterior.load(output))
    return {
        "kind": kind, "killed": killed, "blocks_done": done.value, "blocks_resumed": resumed.value,
        "of_blocks": blocks, "while_writing": while_writing, "identical": equal,
        "seconds_to_resume": time.perf_counter() - started,
    }  # fmt: skip


def kills(count: int, seed: int) -> list[dict[str, Any]]:
    """So many kills, of all kinds of run by turns."""
    rng, rows = np.random.default_rng(seed), []
    wholes = {kind: counted(kind) for kind in KINDS}
    while len(rows) < count:
        kind = list(KINDS)[len(rows) % len(KINDS)]
        row = kill_and_resume(kind, *wholes[kind], rng)
        if row["killed"]:  # else it was at its end before the kill came: no kill at all
            rows.append(row)
            print(len(rows), row, flush=True)
    return rows


def counted(kind: str) -> tuple[bdip.Posterior, int]:
    """The run that nobody disturbs, and how many blocks it has."""
    seen: list[int] = []
    return restore(kind, callback=lambda progress: seen.append(progress.step)), len(seen)


# ----------------------------------------------------------------------------------------- damage


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut at a random place."""
    return content[: int(rng.integers(1, len(content)))]


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """With a random bit flipped."""
    changed = bytearray(content)
    changed[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def zeroed(content: bytes, rng: np.random.Generator) -> bytes:
    """With zeros from a random place on, as file systems leave what was never written."""
    place = int(rng.integers(len(content)))
    return content[:place] + bytes(len(content) - place)


DAMAGE: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "truncated": truncated, "flipped": flipped, "zeroed": zeroed,
    "empty": lambda content, rng: b"", "removed": lambda content, rng: b"",
}  # fmt: skip


def damage(times: int, seed: int) -> list[dict[str, Any]]:
    """The newest checkpoint damaged in every way, so many times each, and the run resumed."""
    rng, rows = np.random.default_rng(seed), []
    kind = "fixed length"
    whole, blocks = counted(kind)
    for name in times * list(DAMAGE):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.ckpt"
            restore(kind, path, callback=stop_at(BLOCK * int(rng.integers(3, blocks))))
            path.write_bytes(DAMAGE[name](path.read_bytes(), rng))
            if name == "removed":
                path.unlink()
            seen: list[int] = []
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                found = restore(kind, path, callback=lambda p, seen=seen: seen.append(p.step))
            rows.append(
                {"damage": name, "said": len(said), "identical": same(whole, found),
                 "steps_done_again": len(seen) * BLOCK}
            )  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def stop_at(step: int) -> Callable[[bdip.Progress], None]:
    """A callback that interrupts there."""

    def callback(progress: bdip.Progress) -> None:
        if progress.step >= step:
            raise KeyboardInterrupt

    return callback


# -------------------------------------------------------------------------------------- full disk


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of so many bytes; needs root."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> Path:
    """Write until the disk is full, and return the file."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def full_disk() -> list[dict[str, Any]]:
    """A disk that fills up in mid-run and is emptied again; one that stays full; and one full at the output."""
    kind, rows = "fixed length", []
    whole, blocks = counted(kind)
    for name, emptied in {"emptied again": blocks // 2, "stays full": blocks + 1}.items():
        with small_disk("1m") as disk, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            path, seen = disk / "run.ckpt", list[int]()

            def look(progress: bdip.Progress, disk: Path = disk, emptied: int = emptied) -> None:
                if progress.step == BLOCK * (blocks // 4):
                    fill(disk)
                if progress.step == BLOCK * emptied:
                    (disk / "ballast").unlink()

            found = restore(kind, path, callback=look)
            again = restore(kind, path, callback=lambda p, seen=seen: seen.append(p.step))
            rows.append(
                {"disk": name, "said": [str(each.message) for each in said if "written" in str(each.message)],
                 "identical": same(whole, found), "resumed_identical": same(whole, again),
                 "blocks_resumed": len(seen), "of_blocks": blocks}
            )  # fmt: skip
    return [*rows, full_at_output()]


def full_at_output() -> dict[str, Any]:
    """`bdip restore` onto a disk with no room for the result."""
    with tempfile.TemporaryDirectory() as folder, small_disk("64k") as disk:
        image = Path(folder) / "noisy.npy"
        np.save(image, np.random.default_rng(0).normal(0.5, 0.1, (64, 64)).astype(np.float32))
        fill(disk)
        words = ["restore", image, "-o", disk / "out.npy", "--steps", "10", "--channels", "4", "--scales", "1",
                 "--quiet", "--data-range", "0", "1"]  # fmt: skip
        found = subprocess.run(
            [sys.executable, "-m", "bdip", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
        )
        place = Path(found.stderr.partition("What was computed is in ")[2].split(":")[0])
        return {
            "disk": "full at the output", "exit_code": found.returncode, "said": [found.stderr.strip()],
            "kept_elsewhere": place.is_file() and bdip.Posterior.load(place).complete,
            "left_on_the_disk": sorted(each.name for each in disk.iterdir()),
        }  # fmt: skip


def main() -> None:
    """Do it all, say what was lost, write results/NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--damages", type=int, default=4, help="of each sort")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-disk", action="store_true", help="leave out what needs root")
    parser.add_argument("--name", default="faults", help="of the file in results/")
    options = parser.parse_args()
    multiprocessing.set_forkserver_preload(["benchmarks.faults"])
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BDIP_CACHE"] = cache  # as a user has it, and of these runs alone
        found = {
            "damaged": damage(options.damages, options.seed),
            "disk": [] if options.no_disk else full_disk(),
            "kills": kills(options.kills, options.seed),
        }
    rows = [{"fault": fault, **row} for fault, each in found.items() for row in each]
    record.save(options.name, rows, seed=options.seed, generator=str(GENERATOR))
    killed = found["kills"]
    lost = [row for row in rows if not row.get("identical", row.get("kept_elsewhere"))]
    print(
        f"{len(killed)} kills, {sum(row['while_writing'] for row in killed)} of them while a checkpoint was "
        f"written: {sum(row['identical'] for row in killed)} resumed bit for bit; "
        f"{len(found['damaged'])} damaged checkpoints, {len(found['disk'])} full disks; lost: {len(lost)}"
    )


if __name__ == "__main__":
    main()
