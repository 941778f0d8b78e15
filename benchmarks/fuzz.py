"""Ten thousand broken files: each must end in ImageError or in a valid image.

    python -m benchmarks.fuzz [--files 10000] [--seed 0]

Valid files of every kind are damaged as disks, networks and attackers do it, and read, and what could
be read is written again, in a process of its own: which may not crash, raise anything but
ImageError, take more than 5 s of its processor for a file, or set aside 1 GiB. Results, the seed
among them, go to results/fuzz.json; file number n of a seed is always the same.
"""

import argparse
import json
import os
import resource
import select
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bdip.io import ImageError, Loaded, load, load_mask, save_image
from benchmarks.fuzz_files import Base, bases, bombs
from benchmarks.picture_files import KINDS

LIMIT_SECONDS = 5.0  # of the processor, for one file
LIMIT_WALL = 60.0  # seconds, after which a process that does nothing hangs as well
LIMIT_BYTES = 2**30  # above what the process had before
LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)  # that readers trip over
HEADER = 512  # bytes, where lengths are likely
MOST_BYTES = 16  # changed, or inserted, at once
MOST_REWRITTEN = 10**6  # pixels: what is tried by writing is the metadata
SUFFIXES = {kind: suffix for kind, (suffix, *_) in KINDS.items()}
NUMBERS = ("uint8", "uint16", "float32")


def flip(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """Other values in a few bytes."""
    for place in rng.integers(0, len(content), rng.integers(1, MOST_BYTES)):
        content[place] ^= int(rng.integers(1, 256))


def truncate(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """The end lost."""
    del content[rng.integers(0, len(content)) :]


def insert(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """Bytes too many."""
    place = rng.integers(0, len(content))
    content[place:place] = rng.bytes(int(rng.integers(1, MOST_BYTES)))


def edit_length(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """A number of the header replaced by a small or huge one, of 2 or 4 bytes in either order."""
    form = ("<H", ">H", "<I", ">I")[rng.integers(0, 4)]
    size = struct.calcsize(form)
    if len(content) > size:
        place = int(rng.integers(0, min(HEADER, len(content) - size)))
        value = LENGTHS[rng.integers(0, len(LENGTHS))] % 256**size
        struct.pack_into(form, content, place, value)


def splice(content: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """The end of another file."""
    content[rng.integers(0, len(content)) :] = other[rng.integers(0, len(other)) :]


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator, bytes], None], ...] = (
    flip, truncate, insert, edit_length, splice,
)  # fmt: skip


def broken_files(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Base, what was done, and the damaged file, `count` times: each base and mutation by turns."""
    originals = bases(seed)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        base = originals[number % len(originals)]
        other = originals[rng.integers(0, len(originals))]
        mutation = MUTATIONS[number // len(originals) % len(MUTATIONS)]
        content = bytearray(base.content)
        mutation(content, rng, other.content)
        if rng.random() < 0.5:
            content = bytearray(_sealed(base, bytes(content)))
        yield (
            base.name,
            mutation.__name__,
            bytes(content) if not base.pack else base.pack(bytes(content)),
        )


def _sealed(base: Base, content: bytes) -> bytes:
    """Check sums made right again, so that the damage gets past them."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    found, place = bytearray(content), 8
    while place + 12 <= len(found):
        (length,) = struct.unpack_from(">I", found, place)
        end = place + 8 + length
        if end + 4 > len(found):
            break
        struct.pack_into(">I", found, end, zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)


def outcome(path: Path) -> str:
    """What reading a file comes to: "refused", "read", or what should not be."""
    said = set()
    for read in (_read, _read_page, _read_mask):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said.add("read" if read(path) else "invalid")
        except ImageError as error:
            if isinstance(error.__cause__, MemoryError):
                return "out of memory"
            said.add("refused" if len(str(error).splitlines()) == 1 else f"many lines: {error}")
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
    return next(iter(said - {"read", "refused"}), "read" if "read" in said else "refused")


def _read(path: Path) -> bool:
    loaded = load(path)
    if loaded.pixels.size < MOST_REWRITTEN:
        suffix = SUFFIXES[loaded.kind]
        if suffix == ".gif" and (loaded.pixels.ndim == 3 or loaded.alpha is not None):
            suffix = ".png"
        save_image(path.with_name(f"again{suffix}"), loaded.pixels, like=loaded)
    return is_valid(loaded)


def _read_page(path: Path) -> bool:
    return is_valid(load(path, page=1))


def _read_mask(path: Path) -> bool:
    mask = load_mask(path)
    return mask.dtype == bool and mask.ndim == 2


def is_valid(loaded: Loaded) -> bool:
    """Whether a record is as its docstring says."""
    pixels, alpha = loaded.pixels, loaded.alpha
    return (
        pixels.dtype.name in NUMBERS
        and pixels.shape[2:] in ((), (3,))
        and 0 not in pixels.shape
        and (alpha is None or (alpha.shape, alpha.dtype) == (pixels.shape[:2], pixels.dtype))
    )


def serve() -> None:
    """The process that reads: a path a line in, its outcome and the most memory so far out."""
    _read_mask_of_nothing()
    before = _peak()
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (virtual + LIMIT_BYTES,) * 2)
    for line in sys.stdin:
        answer = outcome(Path(line.strip()))
        print(json.dumps({"outcome": answer, "bytes": _peak() - before}), flush=True)


def _read_mask_of_nothing() -> None:
    """Load all libraries, so that they do not count."""
    with tempfile.TemporaryDirectory() as folder:
        for base in bases(0):
            path = Path(folder) / "file"
            path.write_bytes(base.pack(base.content) if base.pack else base.content)
            outcome(path)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Reader:
    """The reading process, started again after a crash or a hang."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "benchmarks.fuzz", "--serve"]
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, path: Path) -> dict[str, Any]:
        """Outcome, seconds of the processor, and memory of one file."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        start, before = time.monotonic(), self._seconds()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        while not select.select([self.process.stdout], [], [], 0.5)[0]:
            slow = self._seconds() - before > LIMIT_SECONDS
            if slow or time.monotonic() - start > LIMIT_WALL:
                self.stop()
                return {"outcome": "hang", "bytes": 0, "seconds": LIMIT_SECONDS}
        line = self.process.stdout.readline()
        if not line:
            return {"outcome": f"crash {self.process.wait()}", "bytes": 0, "seconds": 0.0}
        return {**json.loads(line), "seconds": self._seconds() - before}

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def _seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(count: int, seed: int, folder: Path) -> list[dict[str, Any]]:
    """A row for each broken file."""
    reader, rows = Reader(), []
    for number, (base, mutation, content) in enumerate(
        [*bombs(), *broken_files(count, seed)] if count else bombs()
    ):
        path = folder / "broken"
        path.write_bytes(content)
        answer = reader.ask(path)
        rows.append({"number": number, "base": base, "mutation": mutation, **answer})
        if answer["outcome"] not in ("read", "refused"):
            print(rows[-1], flush=True)
            (folder / f"bad-{number}").write_bytes(content)
        if answer["outcome"].startswith(("hang", "crash")):
            reader = Reader()
    reader.stop()
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Files, refused, read and bad of each base; their longest time and the most memory so far."""
    table = []
    for base in dict.fromkeys(row["base"] for row in rows):
        mine = [row for row in rows if row["base"] == base]
        counts = Counter(row["outcome"] for row in mine)
        good = counts["read"] + counts["refused"]
        table.append({
            "base": base, "files": len(mine), "refused": counts["refused"], "read": counts["read"],
            "bad": len(mine) - good, "seconds": max(row["seconds"] for row in mine),
        })  # fmt: skip
    return table


def main() -> int:
    """Break, read, tell, write down."""
    from benchmarks.record import save

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--serve", action="store_true")
    options.add_argument("--keep", type=Path, help="folder for files that end badly")
    chosen = options.parse_args()
    if chosen.serve:
        serve()
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        rows = run(chosen.files, chosen.seed, chosen.keep or Path(temporary))
    table = summary(rows)
    bad = sum(row["bad"] for row in table)
    figures = {
        "seed": chosen.seed,
        "files": len(rows),
        "bad": bad,
        "refused": sum(row["refused"] for row in table),
        "read": sum(row["read"] for row in table),
        "most_seconds": max(row["seconds"] for row in rows),
        "most_bytes": max(row["bytes"] for row in rows),
        "mutations": dict(Counter(row["mutation"] for row in rows)),
    }
    print(json.dumps(figures, indent=1))
    print(f"wrote {save('fuzz', table, **figures)}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
