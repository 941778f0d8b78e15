"""What every benchmark writes down beside its figures."""

import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

import bdip
from bdip.cache import cores

RESULTS = Path(__file__).parent / "results"


def save(name: str, rows: list[dict[str, Any]], **more: Any) -> Path:
    """Write `rows`, and what `more` there is, with commit, versions and device to `results/name.json`, and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**surroundings(), **more, "rows": rows}, indent=1) + "\n")
    return path


def kept(name: str) -> list[dict[str, Any]]:
    """The rows of `results/name.json`; none where there is no such file."""
    path = RESULTS / f"{name}.json"
    return list(json.loads(path.read_text())["rows"]) if path.exists() else []


def keys(rows: Iterable[dict[str, Any]], key: Sequence[str]) -> list[tuple[Any, ...]]:
    """The values of `key` in each row: what tells it from all others."""
    return [tuple(row[part] for part in key) for row in rows]


def put(name: str, row: dict[str, Any], key: Sequence[str]) -> Path:
    """Save the row at the end of `name`, or in the place of the one whose values of `key` are the same."""
    rows = kept(name)
    there, (own,) = keys(rows, key), keys([row], key)
    place = there.index(own) if own in there else len(rows)
    return save(name, [*rows[:place], row, *rows[place + 1 :]])


def merge(name: str, others: Iterable[str], key: Sequence[str]) -> None:
    """Add to the rows of `name` those of other files whose values of `key` it has not."""
    for other in others:
        rows, more = kept(name), kept(other)
        there = set(keys(rows, key))
        new = [row for row, own in zip(more, keys(more, key), strict=True) if own not in there]
        save(name, rows + new)


def surroundings() -> dict[str, Any]:
    """Commit (with "+" where files differ from it), versions, device, and the time."""
    return {
        "commit": _git("rev-parse", "--short", "HEAD")
        + ("+" if _git("status", "-s", "-uno") else ""),
        "bdip": bdip.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "machine": f"{platform.machine()}, {cores()} cores",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
