"""What is written beside a result, so that it can be made again: `NAME-run.json`."""

import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bdip.files import sha256, write_whole
from bdip.posterior import Posterior

FORMAT = 1
# Those whose version can change the numbers.
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "pillow", "imageio", "tifffile")


def record_of(
    posterior: Posterior,
    *,
    inputs: Mapping[str, str | os.PathLike[str]],
    outputs: Mapping[str, str | os.PathLike[str]],
    command: list[str],
    options: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The record of a run, in JSON types; files are told by path and SHA-256.

    Returns "complete" (with what "interrupted" it), "command" and "options" as given, "inputs", "outputs",
    "versions", "device", "seed", "settings" with all defaults filled in, "noise_std" [mean, std] in the
    image's units, "diagnostics" (χ² and others), "verdict" and "seconds" of wall time.
    """
    settings = posterior.settings
    return plain(
        {
            "format": FORMAT,
            "complete": posterior.complete,
            "interrupted": settings.get("interrupted"),
            "command": command,
            "options": dict(options),
            "inputs": {name: told(path) for name, path in inputs.items()},
            "outputs": {name: told(path) for name, path in outputs.items()},
            "versions": versions() | settings["versions"],
            "device": settings["device"],
            "seed": settings["seed"],
            "settings": settings,
            "noise_std": posterior.noise_std,
            "diagnostics": posterior.diagnostics,
            "verdict": posterior.verdict,
            "reported": posterior.reported,
            "seconds": seconds,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write the record as JSON, whole or not at all."""
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def is_unfinished(path: Path, outputs: list[Path]) -> bool:
    """Whether `path` is the record of a run that was cut short, and `outputs` are just as it left them."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        left = {Path(each["path"]).resolve(): each["sha256"] for each in record["outputs"].values()}
        return record["complete"] is False and all(
            left.get(output.resolve()) == sha256(output) for output in outputs if output.exists()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def told(path: str | os.PathLike[str]) -> dict[str, str]:
    """A file by its path and its SHA-256."""
    return {"path": str(path), "sha256": sha256(path)}


def versions() -> dict[str, str]:
    """The versions of the packages that the numbers go through, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain(thing: Any) -> Any:
    """In JSON types, with null for what is no finite number.

    >>> plain({"chi2": float("nan"), "shape": (3, 4)})
    {'chi2': None, 'shape': [3, 4]}
    """
    if isinstance(thing, Mapping):
        return {str(name): plain(value) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(each) for each in thing]
    if isinstance(thing, bool | int | str) or thing is None:
        return thing
    if hasattr(thing, "item"):
        return plain(thing.item())
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None
    return str(thing)
