"""What a run needs: told right, before anything is allocated, and refused where it does not fit."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip import chain, job, memory
from bdip.chain import Plan
from bdip.memory import Estimate, TooLargeError
from bdip.samplers import Constant, Psgld, Sgld
from tests.fakes import CountingPixels, Perceptron, Pixels, unit_problem

ROOT = Path(__file__).resolve().parents[1]
IMAGE = np.random.default_rng(0).normal(0.5, 0.1, (32, 24))
PLAIN = {"generator": Perceptron(), "noise_std": 0.1, "data_range": (0, 1)}
TINY = bdip.Hourglass(scales=2, channels_down=8, channels_up=8)


def sample(image=IMAGE, **options):
    return bdip.sample(image, progress=False, **{**PLAIN, "steps": 20, **options})


def limited(limit, **options):
    return {"settings": bdip.Settings(memory_limit=limit, **options)}


def forbidden(*arguments, **options):
    raise AssertionError("this was not to be called")


# ----------------------------------------------------------------------------------- refusal


def test_what_does_not_fit_is_refused_before_its_arrays_exist(monkeypatch):
    monkeypatch.setattr(chain, "start", forbidden)
    with pytest.raises(TooLargeError):
        sample(**limited(1000))


def test_what_cannot_fit_is_refused_before_the_image_is_copied_and_without_compiling(monkeypatch):
    monkeypatch.setattr(job, "pose", forbidden)
    monkeypatch.setattr(chain, "compiled", forbidden)
    huge = np.broadcast_to(np.uint8(7), (20_000, 20_000))  # one byte of memory
    for image, axis in ((huge, None), (huge[..., None], None), (huge[None], 0)):
        with pytest.raises(TooLargeError, match="20000 × 20000 pixels need 1.1 TiB"):
            sample(image, generator="hourglass", channel_axis=axis, **limited(10**10))


def test_the_refusal_says_what_is_needed_what_there_is_and_what_to_do_in_order():
    with pytest.raises(TooLargeError) as refusal:
        sample(**limited(3 * 2**10))
    message = str(refusal.value)
    assert "\n" not in message
    words = [
        "32 × 24 pixels", f"need {memory.in_words(refusal.value.needed)}", "there are 3.0 KiB", "fewer channels",
        "remat", "bfloat16", "tiles", "fewer draws", "memory_limit",
    ]  # fmt: skip
    places = [message.index(word) for word in words]
    assert places == sorted(places)
    assert isinstance(refusal.value, MemoryError)


def test_without_a_limit_it_is_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 1000)
    with pytest.raises(TooLargeError, match="there are 1000 bytes"):
        sample()
    assert sample(**limited(math.inf)).complete
    assert sample(**limited(10**9)).complete
    monkeypatch.setattr(memory, "free", lambda: None)
    assert sample().complete


def test_exactly_what_is_needed_is_enough():
    needed = bdip.estimate(IMAGE, **PLAIN, steps=20).bytes
    assert sample(**limited(needed)).complete
    with pytest.raises(TooLargeError):
        sample(**limited(needed - 1))


@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(bdip.SettingsError, match="memory_limit is"):
        bdip.Settings(memory_limit=limit)


# ---------------------------------------------------------------------------- what is needed


def program(draws=0, generator=None, sampler=None, shape=(32, 24)):
    """The compiled block of steps, and the chain at its start."""
    arguments = (unit_problem(shape), generator or Perceptron(), sampler or Sgld(Constant(0.1)))
    plan, key = Plan(0, 1), jax.random.key(0)
    shapes = chain.shapes(*arguments, draws, key)
    found = chain.compiled(*arguments, plan, shapes)
    run = chain.start(*arguments, plan, 20, draws, key)
    return found, shapes, run


@pytest.mark.parametrize(
    ("generator", "sampler"),
    [(Pixels(), Sgld(Constant(0.1))), (Perceptron(), Psgld(Constant(0.1)))],
    ids=["sgld on pixels", "psgld on a perceptron"],
)
def test_the_shapes_before_are_those_of_the_arrays_after(generator, sampler):
    _, shapes, run = program(3, generator, sampler)
    wanted = jax.tree.map(lambda array: (array.shape, array.dtype), (run.state, run.kept))
    assert jax.tree.map(lambda array: (array.shape, array.dtype), tuple(shapes)) == wanted


def test_the_bytes_are_the_programs_arguments_its_work_and_the_answer():
    found, shapes, _ = program(draws=5)
    stats = found.memory_analysis()
    work = stats.output_size_in_bytes - stats.alias_size_in_bytes + stats.temp_size_in_bytes
    one = memory.needed(found, shapes, 1, 0)
    assert one == stats.argument_size_in_bytes + work
    # State and room by hand: 3·4 + 4 + 4 weights, latent of 3 channels, moments (1 + 2 HW), image,
    # 5 draws, 512 of the probe, which is every pixel of an image as small as this, steps and step size of
    # state and sampler, a key of two 32-bit words.
    pixels = 32 * 24
    held = 4 * (20 + 3 * pixels + 1 + 2 * pixels + pixels + (5 + 512) * pixels + 3) + 8
    assert memory.size(shapes) == held
    assert memory.needed(found, shapes, 3, 0) == one + 2 * held
    assert memory.needed(found, shapes, 1, work + 100) == one + 100


def test_each_draw_stored_is_counted():
    options = {**PLAIN, "generator": Pixels(), "steps": 400}
    few, many = (bdip.estimate(IMAGE, **options, draws=draws) for draws in (2, 202))
    assert many.bytes - few.bytes >= 200 * 4 * IMAGE.size


@pytest.mark.parametrize("generator", [TINY, bdip.DeepDecoder()], ids=["hourglass", "deep decoder"])
def test_the_lower_bound_is_below_what_is_needed_and_not_far(generator, monkeypatch):
    assert memory.least(generator, (1023, 1024)) == 0  # a small image is compiled for
    monkeypatch.setattr(memory, "LARGE", 0)
    found, shapes, _ = program(generator=generator, shape=(256, 256))
    needed = memory.needed(found, shapes, 1, 0)
    assert needed / 3 < memory.least(generator, (256, 256)) < needed
    assert memory.least(generator, (512, 1024)) == 8 * memory.least(generator, (256, 256))


PEAK = """
import json, re, sys
from pathlib import Path
import numpy as np
import bdip
from bdip import memory
from tests.fakes import Perceptron
def status(name):
    return 1024 * int(re.search(name + r":\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])
options = json.loads(sys.argv[1])
size = options.pop("size")
generator = Perceptron(hidden=options.pop("hidden"))
image = np.random.default_rng(0).normal(0.5, 0.1, (size, size))
before = []
check = memory.require
def require(needed, *rest):
    check(needed, *rest)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew: that of compiling is no matter
    before.append((needed, status("VmRSS")))
memory.require = require
bdip.sample(image, generator=generator, noise_std=0.1, data_range=(0, 1), progress=False, **options)
print(json.dumps([*before[-1], status("VmHWM")]))
"""


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak cannot be set back"
)
@pytest.mark.parametrize(
    "options",
    [
        {"size": 600, "hidden": 64, "steps": 4, "draws": 0},  # the program's work
        {"size": 600, "hidden": 2, "steps": 100, "draws": 60},  # the draws, and their way out
        {"size": 600, "hidden": 2, "steps": 100, "draws": 20, "chains": 3},
    ],
    ids=["work", "draws", "chains"],
)  # fmt: skip
def test_the_peak_of_a_process_is_what_was_told(options):
    result = subprocess.run(
        [sys.executable, "-c", PEAK, json.dumps(options)], check=True, timeout=300, cwd=ROOT,
        capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    needed, before, after = json.loads(result.stdout)
    assert 0.7 < (after - before) / needed < 1.3


# ------------------------------------------------------------------------------ compiled once


def test_the_program_that_is_looked_at_is_the_one_that_runs():
    compilations = []

    def listen(event, seconds, **about):
        if event.endswith("backend_compile_duration"):
            compilations.append(about.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    image = np.random.default_rng(0).normal(0.5, 0.1, (9, 31))  # a shape of no other test
    CountingPixels.traces.clear()
    options = {"generator": CountingPixels(), "steps": 30, "chains": 2}
    sample(image, **options)
    traces = len(CountingPixels.traces)
    assert compilations.count("jit(block)") == compilations.count("jit(begin)") == 1
    bdip.estimate(image, **{**PLAIN, **options})
    sample(image, **options)
    assert compilations.count("jit(block)") == compilations.count("jit(begin)") == 1
    assert len(CountingPixels.traces) == traces


# ---------------------------------------------------------------------------------- estimate


def test_an_estimate_takes_the_arguments_of_sample_and_runs_a_few_steps(monkeypatch):
    lengths = []
    advance = chain.Run.advance
    monkeypatch.setattr(
        chain.Run, "advance", lambda run, length: lengths.append(length) or advance(run, length)
    )
    found = bdip.estimate(
        IMAGE, IMAGE > 0.3, **PLAIN, steps=500, chains=2, progress=True, time_limit=3.0
    )
    assert found.fits
    assert found.steps == 1000
    assert 1 < sum(lengths) < 10
    assert found.seconds == pytest.approx(1000 / found.steps_per_second)
    assert found.seconds_compile > 0
    assert found.bytes > 0
    assert found.available > 0


def test_an_estimate_leaves_the_answer_as_it_is():
    before = sample().mean
    bdip.estimate(IMAGE, **PLAIN, steps=20)
    np.testing.assert_array_equal(sample().mean, before)


@pytest.mark.parametrize("steps", [1, 2])
def test_an_estimate_of_the_shortest_runs(steps):
    found = bdip.estimate(IMAGE, **PLAIN, steps=steps)
    assert found.seconds > 0
    assert found.steps == steps
    assert str(found)


def test_an_estimate_of_what_does_not_fit_says_so():
    found = bdip.estimate(IMAGE, **PLAIN, **limited(1000))
    assert not found.fits
    assert found.available == 1000
    assert found.bytes > 1000
    assert "it does not fit" in str(found)
    assert "fewer channels" in str(found)


def test_an_argument_that_sample_has_not_is_refused():
    with pytest.raises(TypeError, match="stepz"):
        bdip.estimate(IMAGE, stepz=3)
    with pytest.raises(bdip.SettingsError, match="steps is 0"):
        bdip.estimate(IMAGE, **PLAIN, steps=0)


def test_an_estimate_in_words():
    found = Estimate(int(2.3 * 2**30), int(21.4 * 2**30), 3000, 9.0, 500.0, 6.0)
    assert str(found) == (
        "needs 2.3 GiB of 21.4 GiB; 3,000 steps in about 8 min 20 s after 9 s of compilation"
    )
    assert str(Estimate(100, None, 3, 0.5, 60.0, 0.05)).startswith(
        "needs 100 bytes; 3 steps in about 1 min 0 s"
    )


# ------------------------------------------------------------------------------- what is free


def system(root, **files):
    """A root folder with files, "/" written as "__"."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal: 1000 kB\nMemAvailable:    800 kB\nHugePages_Total:       0\n"


def test_linux_says_what_is_available(tmp_path):
    assert memory.free_on_host(system(tmp_path, proc__meminfo=MEMINFO)) == 800 * 1024


def test_a_control_group_bounds_what_is_free(tmp_path):
    files = {
        "proc__self__cgroup": "0::/outer/inner\n",
        "sys__fs__cgroup__outer__memory.max": "300000\n",
        "sys__fs__cgroup__outer__memory.current": "200000\n",
        "sys__fs__cgroup__outer__memory.stat": "anon 5\ninactive_file 50000\n",
        "sys__fs__cgroup__outer__inner__memory.max": "max\n",
        "sys__fs__cgroup__outer__inner__memory.current": "100000\n",
        "sys__fs__cgroup__outer__inner__memory.stat": "inactive_file 0\n",
    }
    root = system(tmp_path, proc__meminfo=MEMINFO, **files)
    assert memory.free_on_host(root) == 150_000  # what only caches files can be had
    system(tmp_path, **{"sys__fs__cgroup__outer__inner__memory.max": "120000\n"})
    assert memory.free_on_host(root) == 20_000
    system(tmp_path, **{"sys__fs__cgroup__outer__inner__memory.max": "90000\n"})
    assert memory.free_on_host(root) == 0


@pytest.mark.parametrize("path", ["/job/7", "/"])
def test_a_control_group_of_version_1_bounds_it_too(tmp_path, path):
    folder = f"sys__fs__cgroup__memory{path.replace('/', '__').removesuffix('__')}__"
    files = {
        "proc__self__cgroup": f"5:cpu:/\n4:cpuset,memory:{path}\n0::/\n",
        f"{folder}memory.limit_in_bytes": "70000\n",
        f"{folder}memory.usage_in_bytes": "30000\n",
        f"{folder}memory.stat": "cache 9\ntotal_inactive_file 1000\n",
    }
    assert memory.free_on_host(system(tmp_path, proc__meminfo=MEMINFO, **files)) == 41_000


def test_in_a_container_the_group_at_the_top_counts(tmp_path):
    files = {
        "proc__self__cgroup": "0::/of/the/host\n",
        "sys__fs__cgroup__memory.max": "5000\n",
        "sys__fs__cgroup__memory.current": "1000\n",
    }
    assert memory.free_on_host(system(tmp_path, proc__meminfo=MEMINFO, **files)) == 4000


def test_elsewhere_it_is_all_there_is_or_unknown(tmp_path, monkeypatch):
    sizes = {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)
    assert memory.free_on_host(tmp_path) == 40_960
    monkeypatch.delattr(os, "sysconf")
    assert memory.free_on_host(tmp_path) is None


class Device:
    def __init__(self, platform, **stats):
        self.platform, self.stats = platform, stats or None

    def memory_stats(self):
        return self.stats


def test_a_device_that_counts_its_memory_is_asked(monkeypatch):
    monkeypatch.setattr(memory, "free_on_host", lambda: 77)
    for device, wanted in [
        (Device("gpu", bytes_limit=1000, bytes_in_use=300), 700),
        (Device("gpu"), None),
        (Device("cpu"), 77),
    ]:
        monkeypatch.setattr(jax, "devices", lambda device=device: [device])
        assert memory.free() == wanted


def test_this_machine_has_some_memory_free():
    assert 2**20 < memory.free() < 2**50
    assert memory.size({"a": jnp.zeros((3, 5)), "b": jnp.int8(0)}) == 61
