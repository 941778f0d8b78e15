"""Compiled programs, kept from one process to the next in a folder of the user's own.

They are kept by JAX's compilation cache, switched on only while bdip compiles: what the user's other
code compiles stays as it was, and a cache that the user has configured is used as it is.
`BDIP_CACHE` names another folder, or is "off".
"""

import gc
import hashlib
import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

SWITCH = "BDIP_CACHE"  # environment variable
MOST_BYTES = 2**30  # what all programs together may take; the standard network's is under 1 MB
OTHERS_MAY_WRITE = 0o022  # the group's and everybody's permission to write
JAX_TROUBLE = ("Error reading persistent compilation", "Error writing persistent compilation")

_switch = threading.Lock()
_said: list[str] = []


@contextmanager
def kept_programs() -> Iterator[None]:
    """Load what is compiled inside from the folder, and write there what it lacks.

    No trouble with the folder breaks a run: it is said once, in a warning.
    """
    config: Any = jax.config
    chosen = config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache
    if chosen or not _switch.acquire(blocking=False):  # or another thread has switched it on
        yield
        return
    try:
        folder = _folder()
        if folder is None:
            yield
            return
        with _trouble_collected(folder), _switched_on(folder):
            yield
    finally:
        _switch.release()


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for unreachable cycles meanwhile: while JAX traces, a fifth of the time would go there."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def _switched_on(folder: Path) -> Iterator[None]:
    options = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,  # a small program loads in a quarter of the time too
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    try:
        for name, value in options.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # or JAX would go on with the folder


@contextmanager
def _trouble_collected(folder: Path) -> Iterator[None]:
    """One warning for all of JAX's about the folder, which is emptied; other warnings pass.

    JAX warns of each program, and would leave half a file where it is, to warn of it for ever.
    """
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        trouble = [each for each in caught if str(each.message).startswith(JAX_TROUBLE)]
        if trouble:
            for file in folder.rglob("*"):
                _remove(file)  # a folder stays, as an OSError
            _say(f"the compiled programs in {folder} were removed: {trouble[0].message}.")
        for each in caught:
            if each not in trouble:
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _folder() -> Path | None:
    """The folder for programs of this machine, safe to use; None where there is to be none."""
    chosen = os.environ.get(SWITCH, "")
    if chosen.lower() == "off":
        return None
    try:
        base = _private(Path(chosen).expanduser() if chosen else _usual_place())
        _trim(base)
        return _private(base / _machine())
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        _say(
            f"compiled programs are not kept: {error}: set {SWITCH} to a folder of your own, or to off."
        )
        return None


def _usual_place() -> Path:
    """Where this system keeps what can be made again."""
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return (Path(given) if given else Path.home() / usual) / "bdip"


def _private(folder: Path) -> Path:
    """The folder, made if need be; PermissionError where another user could put a program in it.

    To load a program is to run it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if os.name == "posix":
        found = folder.stat()
        if found.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if found.st_mode & OTHERS_MAY_WRITE:
            raise PermissionError(f"others can write to {folder}")
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise PermissionError(f"{folder} is not a folder that can be written to")
    return folder


@cache
def _machine() -> str:
    """A name for this kind of processor, and for how many threads XLA has on it.

    A home may be shared by machines of several kinds, and XLA compiles work in as many parts as there are threads.
    """
    words = [platform.system(), platform.machine(), platform.processor(), f"threads {cores()}"]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        words += [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def cores() -> int:
    """How many XLA takes: what NPROC says, else each that the process may use."""
    given = os.environ.get("NPROC", "")
    if given.isdecimal():
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _trim(base: Path) -> None:
    """Remove the programs that were used least recently until MOST_BYTES are not exceeded.

    Once a process. JAX's own limit needs a further package for its locks; here a program that
    another process misses is compiled again.
    """
    entries = []
    for file in base.rglob("*"):
        with suppress(FileNotFoundError):  # another process has just removed it
            found = file.stat()
            if file.is_file():
                entries.append((max(found.st_atime, found.st_mtime), found.st_size, file))
    excess = sum(size for _, size, _ in entries) - MOST_BYTES
    for _, size, file in sorted(entries):
        if excess <= 0:
            break
        _remove(file)
        excess -= size


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _say(message: str) -> None:
    """Warn once a process: a user may call `sample` in a loop."""
    if not _said:
        _said.append(message)
        warnings.warn(message, stacklevel=2)
