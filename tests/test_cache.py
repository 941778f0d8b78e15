"""Compiled programs kept between processes: private, bounded, harmless, and the same in every bit."""

import gc
import json
import os
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bdip import cache
from bdip.cache import kept_programs, without_collection

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = (
    "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)  # fmt: skip

EVENTS = []
jax.monitoring.register_event_listener(lambda name, **_: EVENTS.append(name.split("/")[-1]))


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder that is not there yet, chosen for the programs, in what is like a new process."""
    base = tmp_path / "caches" / "bdip"
    monkeypatch.setenv("BDIP_CACHE", str(base))
    cache._said.clear()
    cache._trim.cache_clear()
    EVENTS.clear()
    return base


def compile_anew(number=3.0):
    """A program that is not compiled yet in this process, run."""
    return np.asarray(jax.jit(lambda x: jnp.cos(x) * number)(jnp.arange(4.0)))


def entries(base):
    return sorted(file for file in base.rglob("*") if file.is_file())


def config():
    return [getattr(jax.config, name) for name in OPTIONS]


# ------------------------------------------------------------------------------- what is kept


def test_what_is_compiled_inside_is_loaded_the_next_time(base):
    with kept_programs():
        first = compile_anew()
    files = entries(base)
    assert files
    EVENTS.clear()
    with kept_programs():
        second = compile_anew()
    assert EVENTS.count("cache_hits") >= 1
    assert EVENTS.count("cache_misses") == 0
    assert entries(base) == files
    np.testing.assert_array_equal(first, second)


def test_what_is_compiled_outside_is_neither_kept_nor_loaded(base):
    # Even of a user who would have JAX keep every program, but has given it no folder.
    threshold = "jax_persistent_cache_min_compile_time_secs"
    kept_before = getattr(jax.config, threshold)
    jax.config.update(threshold, 0.0)
    try:
        before = config()
        compile_anew()
        with kept_programs():
            compile_anew()
        assert config() == before
        files = entries(base)
        EVENTS.clear()
        compile_anew()
        compile_anew(4.0)
    finally:
        jax.config.update(threshold, kept_before)
    assert "cache_hits" not in EVENTS
    assert "cache_misses" not in EVENTS
    assert entries(base) == files


def test_an_error_inside_leaves_everything_as_it_was(base):
    before = config()
    with pytest.raises(ZeroDivisionError), kept_programs():
        raise ZeroDivisionError
    assert config() == before
    with kept_programs():
        compile_anew()
    assert entries(base)


def test_one_inside_another_changes_nothing(base):
    before = config()
    with kept_programs():
        with kept_programs():
            compile_anew()
        inside = config()
        compile_anew(5.0)
    assert inside[0] is not None
    assert config() == before


def test_a_folder_that_the_user_has_given_to_jax_is_used_as_it_is(base, tmp_path):
    from jax.experimental.compilation_cache import compilation_cache

    theirs = tmp_path / "theirs"
    jax.config.update("jax_compilation_cache_dir", str(theirs))
    before = config()
    try:
        with kept_programs():
            assert config() == before
            compile_anew()
        assert config() == before
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
    assert not base.exists()


@pytest.mark.parametrize("word", ["off", "OFF"])
def test_it_can_be_switched_off(base, monkeypatch, word):
    monkeypatch.setenv("BDIP_CACHE", word)
    monkeypatch.chdir(base.parents[1])
    before = config()
    with kept_programs():
        assert config() == before
        compile_anew()
    assert list(base.parents[1].iterdir()) == []


def test_importing_touches_no_files(base):
    subprocess.run(
        [sys.executable, "-c", "import bdip"], check=True, env=os.environ, cwd=ROOT, timeout=120
    )
    assert not base.exists()


PROGRAM = """
import hashlib, json, sys
import jax, numpy as np
import bdip
from tests.fakes import Perceptron
events = []
jax.monitoring.register_event_listener(lambda name, **_: events.append(name.split("/")[-1]))
image = np.random.default_rng(0).normal(0.5, 0.1, (12, 12))
posterior = bdip.sample(image, generator=Perceptron(), steps=20, chains=2, progress=False, noise_std=0.1)
answer = b"".join(np.ascontiguousarray(a).tobytes() for a in (posterior.mean, posterior.std, posterior.draws))
print(json.dumps({"hits": events.count("cache_hits"), "misses": events.count("cache_misses"),
                  "answer": hashlib.sha256(answer).hexdigest()}))
"""


def sample_in_a_new_process(**environment):
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM], check=True, timeout=300,
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment,
    )  # fmt: skip
    return json.loads(result.stdout)


def test_a_second_process_compiles_nothing_and_its_answer_is_the_same_bit_for_bit(base):
    first = sample_in_a_new_process()
    files = entries(base)
    second = sample_in_a_new_process()
    assert first["misses"] == len(files) > 0
    assert any("jit_block" in file.name for file in files)
    assert second["misses"] == 0
    assert second["hits"] == first["hits"] + first["misses"]
    assert entries(base) == files
    without = sample_in_a_new_process(BDIP_CACHE="off")
    assert without["hits"] == without["misses"] == 0
    assert first["answer"] == second["answer"] == without["answer"]


# ----------------------------------------------------------------------------------- the folder

on_posix = pytest.mark.skipif(os.name != "posix", reason="permissions are of another kind")


@on_posix
@pytest.mark.parametrize("umask", [0, 0o077])
def test_only_the_user_can_enter_the_folder(base, umask):
    before = os.umask(umask)
    try:
        with kept_programs():
            compile_anew()
    finally:
        os.umask(before)
    folders = [base, *(path for path in base.rglob("*") if path.is_dir())]
    assert len(folders) == 2
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def refused(base, words):
    """Programs compile and run, nothing is written, and one line says why, once a process."""
    with pytest.warns(UserWarning, match=words) as found, kept_programs():
        answer = compile_anew()
    assert len(found) == 1
    assert "\n" not in str(found[0].message)
    assert "BDIP_CACHE" in str(found[0].message)
    np.testing.assert_array_equal(answer, compile_anew())
    with kept_programs():
        compile_anew(7.0)
    assert "cache_misses" not in EVENTS
    assert entries(base) == []


@on_posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
@pytest.mark.parametrize("inner", [False, True])
def test_a_folder_that_others_can_write_to_is_not_used(base, mode, inner):
    base.mkdir(parents=True, mode=0o700)
    folder = base / cache._machine() if inner else base
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    refused(base, "others can write to")


@on_posix
def test_a_folder_of_another_user_is_not_used(base, monkeypatch):
    base.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: base.stat().st_uid + 1)
    refused(base, "belongs to another user")


def test_a_place_where_no_folder_can_be_made_is_said_and_breaks_nothing(base):
    base.parent.mkdir(parents=True)
    base.parent.joinpath("bdip").write_text("a file")
    with pytest.warns(UserWarning, match="not a folder"), kept_programs():
        compile_anew()


def test_a_folder_that_cannot_be_written_to_is_not_used(base, monkeypatch):
    base.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    refused(base, "not a folder that can be written to")


def test_a_user_without_a_home_is_told(base, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("BDIP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    refused(base, "home directory")


def test_without_a_choice_programs_are_where_the_system_keeps_such_things(base, monkeypatch):
    monkeypatch.delenv("BDIP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    with kept_programs():
        compile_anew()
    assert all(file.is_relative_to(base / "bdip") for file in entries(base))
    assert entries(base)


# ---------------------------------------------------------------------------------- trouble


def test_a_damaged_program_is_compiled_again_and_does_not_stay(base):
    with kept_programs():
        first = compile_anew()
    for file in entries(base):
        file.write_bytes(file.read_bytes()[:50])
    with pytest.warns(UserWarning, match="were removed: Error reading") as found, kept_programs():
        np.testing.assert_array_equal(compile_anew(), first)
    assert len(found) == 1
    with kept_programs():
        compile_anew()
        assert entries(base)
    EVENTS.clear()
    with kept_programs():
        compile_anew()
    assert "cache_hits" in EVENTS


@contextmanager
def no_file_beyond(size):
    """As on a full disk: bytes beyond `size` of a file cannot be written."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@on_posix
def test_a_full_disk_is_said_once_and_no_half_file_stays(base):
    def on_a_full_disk(number):
        with no_file_beyond(100), kept_programs():
            return compile_anew(number)

    with pytest.warns(UserWarning, match="were removed: Error writing") as found:
        answers = [on_a_full_disk(number) for number in (3.0, 3.0, 8.0)]
    assert len(found) == 1
    np.testing.assert_array_equal(answers[0], compile_anew())
    assert entries(base) == []


def test_other_warnings_pass(base):
    with pytest.warns(FutureWarning, match="something else"), kept_programs():
        warnings.warn("something else", FutureWarning, stacklevel=1)
    with pytest.raises(FutureWarning), kept_programs():  # errors, as everywhere in these tests
        warnings.warn("something else", FutureWarning, stacklevel=1)


# ------------------------------------------------------------------------------------- bounds


def test_the_programs_used_least_recently_make_room(base, monkeypatch):
    base.mkdir(parents=True, mode=0o700)
    (base / "inner").mkdir(mode=0o700)
    for age, name in enumerate(["new", "inner/middle", "old", "inner/oldest"]):
        (base / name).write_bytes(bytes(1000))
        os.utime(base / name, (1e9 - age, 1e9 - age))
    os.utime(base / "old", (2e9, 1e9 - 2))  # written long ago, and read since
    monkeypatch.setattr(cache, "MOST_BYTES", 2000)
    with kept_programs():
        pass
    assert [file.name for file in entries(base)] == ["new", "old"]


def test_the_collector_rests_only_meanwhile():
    assert gc.isenabled()
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), without_collection():
        raise ZeroDivisionError
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_programs_for_other_numbers_of_threads_are_others(monkeypatch):
    monkeypatch.setenv("NPROC", "1")
    one = cache._machine.__wrapped__()
    monkeypatch.setenv("NPROC", "3")
    assert cache._machine.__wrapped__() != one
