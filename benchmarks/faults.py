"""Is anything lost? Runs killed at random moments, full disks, damaged checkpoints; each resumed and compared bit for bit.

python -m benchmarks.faults              # 100 kills, 10 of each run; a full disk needs root, for a small file system
python -m benchmarks.faults --each 1     # 100 runs, each killed once
"""

import argparse
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    "fixed length": {"steps": 1600},
    "two chains": {"steps": 800, "chains": 2},
    "ends by itself": {"max_steps": 1600, "target_mcse": 0.01, "chains": 1},
}
KEPT = ("mean", "std", "draws", "probe")
MEMORY = Path(
    "/dev/shm"
)  # a kill −9 loses nothing that was written, so that no disk need be waited for
POLL = 0.0005  # seconds between two looks at how far a victim is
LATEST = (
    0.01  # seconds by which a kill may come later: about as long as a block and its checkpoint take
)


def restore(kind: str, path: Path | None = None, **options: Any) -> bdip.Posterior:
    """A small real run; with a `path`, it writes a checkpoint there after every block."""
    keeping.MOST_SHARE = math.inf  # of the time: to be killed while writing, too
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


def work(kind: str, path: Path, output: Path, blocks: Any, resumed: Any) -> None:
    """What a child process does: run or resume, and write the answer; `blocks` are done in all, `resumed` before."""
    chains = KINDS[kind].get("chains", 1)
    steps = KINDS[kind].get("steps", 0)

    def count(progress: bdip.Progress) -> None:
        before = progress.chain * steps if chains > 1 else 0
        blocks.value = (before + progress.step) // BLOCK
        if resumed.value < 0:
            resumed.value = blocks.value - 1

    restore(kind, path, callback=count).save(output)


# ------------------------------------------------------------------------------------------ kills


def killed_run(
    kind: str, whole: bdip.Posterior, moments: list[float], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One run, killed and resumed at all these moments (parts of the run), and then left to end: a row a kill."""
    blocks = KINDS[kind].get("chains", 1) * KINDS[kind].get("steps", 1600) // BLOCK
    rows = []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        path, output = Path(folder) / "run.ckpt", Path(folder) / "answer.npz"
        for moment in sorted(moments):
            rows.append(kill(kind, path, output, int(moment * (blocks - 2)), rng))
            print(rows[-1], flush=True)
        last, counts = child(kind, path, output)
        last.join()
        ended = {"resumed_at": [*(row["resumed_at"] for row in rows[1:]), counts[1].value]}
        identical = last.exitcode == 0 and same(whole, bdip.Posterior.load(output))
    print(f"{kind}: killed {len(rows)} times, identical: {identical}", flush=True)
    found = zip(rows, ended["resumed_at"], strict=True)
    return [row | {"goes_on_from": at, "identical": identical} for row, at in found]


def kill(kind: str, path: Path, output: Path, at: int, rng: np.random.Generator) -> dict[str, Any]:
    """Run or resume, and kill −9 within some milliseconds after so many blocks are done in all."""
    started = time.perf_counter()
    victim, (done, resumed) = child(kind, path, output)
    while victim.is_alive() and done.value < at:
        time.sleep(POLL)
    time.sleep(float(rng.uniform(0, LATEST)))
    killed = victim.is_alive()
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(victim.pid or 0, signal.SIGKILL)
    victim.join()
    return {
        "kind": kind, "killed": killed, "after_block": done.value, "resumed_at": resumed.value,
        "while_writing": bool(list(path.parent.glob(".*.part"))), "seconds": time.perf_counter() - started,
    }  # fmt: skip


def child(kind: str, path: Path, output: Path) -> tuple[Any, tuple[Any, Any]]:
    """A process at work, and its two counts."""
    context = multiprocessing.get_context("forkserver")
    counts = context.Value("i", 0), context.Value("i", -1)
    process = context.Process(target=work, args=(kind, path, output, *counts))
    process.start()
    return process, counts


def kills(count: int, each: int, seed: int) -> Iterator[dict[str, Any]]:
    """So many kills, `each` of one run, at moments uniform over the run; all kinds of run by turns."""
    rng = np.random.default_rng(seed)
    wholes = {kind: restore(kind) for kind in KINDS}
    for number in range(count // each):
        kind = list(KINDS)[number % len(KINDS)]
        yield from killed_run(kind, wholes[kind], list(rng.random(each)), rng)


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
        with small_disk("8m") as disk, warnings.catch_warnings(record=True) as said:
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
    parser.add_argument("--each", type=int, default=10, help="kills of one run")
    parser.add_argument("--damages", type=int, default=4, help="of each sort")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-disk", action="store_true", help="leave out what needs root")
    parser.add_argument("--name", default="faults", help="of the file in results/")
    options = parser.parse_args()
    multiprocessing.set_forkserver_preload(["bdip", "benchmarks.record"])
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BDIP_CACHE"] = cache  # as a user has it, and of these runs alone
        rows = [{"fault": "damage", **row} for row in damage(options.damages, options.seed)]
        if not options.no_disk:
            rows += [{"fault": "full disk", **row} for row in full_disk()]
        print(told(rows), flush=True)
        record.save(options.name, rows, seed=options.seed, generator=str(GENERATOR))
        for row in kills(options.kills, options.each, options.seed):
            rows.append({"fault": "kill", **row})
            record.save(options.name, rows, seed=options.seed, generator=str(GENERATOR))
    print(told(rows))


def told(rows: list[dict[str, Any]]) -> str:
    """What was lost."""
    killed = [row for row in rows if row["fault"] == "kill"]
    lost = [row for row in rows if not row.get("identical", row.get("kept_elsewhere"))]
    writing = sum(row["while_writing"] for row in killed)
    return (
        f"{sum(row['killed'] for row in killed)} kills, {writing} of them while a checkpoint was written: "
        f"{sum(row['identical'] for row in killed)} resumed to the same bits; "
        f"{len(rows) - len(killed)} damaged checkpoints and full disks; lost: {len(lost)}"
    )


if __name__ == "__main__":
    main()
