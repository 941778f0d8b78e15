"""Checkpoints: a run that was cut short goes on as if it had not been, and no damage goes unnoticed."""

import os
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

import bdip
from bdip import keeping, stopping
from bdip.checkpoint import DIGEST_BYTES, load
from bdip.lock import LockedError, locked
from bdip.samplers import REGISTRY, Constant, Sgld
from tests.fakes import CountingPixels, Perceptron, Pixels

NOISY = np.random.default_rng(0).normal(0.5, 0.2, (8, 7))
BLOCK, STEPS = 7, 50
ENDLESS = {
    "steps": None, "max_steps": 2000, "target_mcse": 0.3, "generator": Pixels(),
    "sampler": Sgld(Constant(0.01)), "settings": bdip.Settings(block=50),
}  # fmt: skip


def run(image=NOISY, mask=None, **options):
    plain = {
        "generator": Perceptron(), "steps": STEPS, "noise_std": 0.2, "data_range": (0, 1),
        "progress": False, "settings": bdip.Settings(block=BLOCK),
    }  # fmt: skip
    return bdip.sample(image, mask, **{**plain, **options})


def stop_after(blocks):
    """A callback that interrupts after so many of them."""
    seen = []

    def callback(progress):
        seen.append(progress.step)
        if len(seen) == blocks:
            raise KeyboardInterrupt

    return callback


def in_pieces(path, blocks=5, **options):
    """The answer of a run that is cut short after every few blocks, and into how many pieces."""
    pieces = 1
    while not (found := run(checkpoint=path, callback=stop_after(blocks), **options)).complete:
        pieces += 1
    return found, pieces


def assert_same(first, second):
    for name in ("mean", "std", "draws", "probe"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.trace.keys() == second.trace.keys()
    for name in first.trace:
        np.testing.assert_array_equal(first.trace[name], second.trace[name])
    assert first.settings == second.settings
    assert first.complete == second.complete


@pytest.fixture(scope="module")
def whole():
    """The run that nothing happens to."""
    return run()


@pytest.fixture(scope="module")
def cut_twice(tmp_path_factory):
    """A folder with two checkpoints of a run, after two and after four blocks."""
    folder = tmp_path_factory.mktemp("twice")
    for _ in range(2):
        run(checkpoint=folder / "run.ckpt", callback=stop_after(2))
    return folder


@pytest.fixture
def twice(cut_twice, tmp_path):
    """A copy of it."""
    return shutil.copytree(cut_twice, tmp_path / "twice")


RUNS = {
    **{name: {"sampler": name} for name in REGISTRY},
    "several chains": {"chains": 2},
    "sampled noise": {"noise_std": "sample"},
    "half the pixels, some held out": {"mask": NOISY > 0.5, "holdout": 0.2},
    "jitter and an average of outputs": {
        "sampler": "adam", "settings": bdip.Settings(block=BLOCK, input_jitter=0.1, output_average=0.9),
    },
    "the rule": ENDLESS,
    "the rule, several chains": ENDLESS | {"chains": 2},
    "the rule, a warm-up given": ENDLESS | {"warmup": 120},
    "the rule, out of steps": ENDLESS | {"max_steps": 430, "target_mcse": 0.01},
}  # fmt: skip


QUICK = (
    "mclmc",
    "adam",
    "sampled noise",
    "half the pixels, some held out",
    "the rule, several chains",
)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
def test_a_run_in_pieces_equals_one_that_was_not_cut_bit_for_bit(name, tmp_path):
    found, pieces = in_pieces(tmp_path / "run.ckpt", **RUNS[name])
    assert pieces > 1
    assert_same(found, run(**RUNS[name]))


def test_a_finished_run_is_answered_at_once(tmp_path):
    first = run(checkpoint=tmp_path / "run.ckpt")
    assert_same(
        first,
        run(checkpoint=tmp_path / "run.ckpt", callback=lambda _: pytest.fail("a step was done")),
    )


def test_resuming_is_said_and_compiles_nothing_else(tmp_path, capsys):
    path, options = tmp_path / "run.ckpt", {"generator": CountingPixels(), "sampler": "sgld"}
    run(checkpoint=path, callback=stop_after(2), **options)
    traces = len(CountingPixels.traces)
    run(checkpoint=path, progress=True, **options)
    assert f"resuming {path}: {2 * BLOCK} steps are done" in capsys.readouterr().err
    assert len(CountingPixels.traces) == traces


@pytest.mark.parametrize(
    ("more", "budget"), [({"max_steps": 3000}, 3000), ({"target_mcse": 0.5}, 900)]
)
def test_a_run_that_ended_out_of_steps_can_be_given_more_or_asked_for_less(
    tmp_path, more, budget, monkeypatch
):
    monkeypatch.setattr(stopping, "LOOKS_GROW", 2)  # each look compiles for its own number of draws
    short = ENDLESS | {"max_steps": 900, "target_mcse": 0.1}
    first = run(checkpoint=tmp_path / "run.ckpt", **short)
    assert not first.settings["stopped"]["reached"]
    longer = run(checkpoint=tmp_path / "run.ckpt", **(short | more))
    assert longer.settings["max_steps"] == budget
    done = first.trace["chi2"].shape[1]
    np.testing.assert_array_equal(longer.trace["chi2"][:, :done], first.trace["chi2"])
    if budget > first.settings["max_steps"]:
        assert longer.settings["stopped"]["reached"]
        assert longer.trace["chi2"].shape[1] > done


# ------------------------------------------------------------------------ whose checkpoint it is

OTHERS = {
    "another image": ({"image": NOISY + 0.01}, "its image differs"),
    "another mask": ({"mask": NOISY > 0.3}, "image differs"),
    "another σ": ({"noise_std": 0.3}, "noise: std is 0.2 there and 0.3 here"),
    "another seed": ({"seed": 1}, "seed is 0 there and 1 here"),
    "more chains": ({"chains": 2}, "chains is 1 there and 2 here"),
    "other steps": ({"steps": 60}, "steps is 50 there and 60 here"),
    "another sampler": ({"sampler": "sgld"}, "sampler: name is Mclmc there and Sgld here"),
    "another step": ({"step_size": 1e-5}, "sampler: step_size"),
    "another generator": ({"generator": Perceptron(5)}, "generator: hidden is 4 there and 5 here"),
    "another range": ({"data_range": (0, 2)}, "differs"),
    "another operator": (
        {"operator": bdip.Mask(np.eye(8)[:, :7, None])},
        "operator is Identity there and Mask here",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_checkpoint_of_another_run_is_refused_and_left_alone(name, twice):
    path = twice / "run.ckpt"
    before = path.read_bytes()
    options, complaint = OTHERS[name]
    with pytest.raises(bdip.CheckpointError, match=complaint) as refusal:
        run(checkpoint=path, **options)
    assert "remove it to start anew" in str(refusal.value)
    assert path.read_bytes() == before


# --------------------------------------------------------------------------------------- damage


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut by one": lambda content: content[:-1],
    "longer by one": lambda content: content + b"\0",
    "a bit of the header": lambda content: flip(content, 3),
    "a bit of an array": lambda content: flip(content, len(content) // 2),
    "a bit of the hash": lambda content: flip(content, len(content) - DIGEST_BYTES),
    "zeros": lambda content: bytes(len(content)),
    "a text": lambda content: b"a text",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_where_the_newest_is_damaged_the_one_before_it_is_used_and_said(kind, twice, whole):
    path = twice / "run.ckpt"
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    seen = []
    with pytest.warns(bdip.CheckpointWarning, match=r"damaged.*run.ckpt.previous, is whole"):
        found = run(checkpoint=path, callback=lambda progress: seen.append(progress.step))
    assert seen[0] == 3 * BLOCK  # of the first one, after two blocks
    assert_same(found, whole)


def test_where_both_are_damaged_nothing_is_overwritten(twice):
    path = twice / "run.ckpt"
    for each in (path, bdip.Checkpoint(path).previous):
        each.write_bytes(each.read_bytes()[:-1])
    with pytest.raises(bdip.CheckpointError, match="Nothing is left to resume"):
        run(checkpoint=path)
    assert path.exists()


def test_a_file_of_another_format_is_told(tmp_path):
    checkpoint = bdip.Checkpoint(tmp_path / "run.ckpt")
    checkpoint.write({"format": 99}, [])
    with pytest.raises(bdip.CheckpointError, match="has format 99, this bdip reads 2"):
        load(checkpoint.path)


def test_what_is_written_comes_back_with_its_types_and_without_pickle(tmp_path):
    checkpoint = bdip.Checkpoint(tmp_path / "run.ckpt", note={"who": "me"})
    arrays = [np.arange(6, dtype=np.uint32).reshape(2, 3), np.float32(0.5), np.zeros((0, 4))]
    checkpoint.write({"σ": 1 / 3}, arrays)
    found = checkpoint.read()
    assert found.header["σ"] == 1 / 3
    assert found.header["note"] == {"who": "me"}
    for before, after in zip(arrays, found.arrays, strict=True):
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(before, after)
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoint.write({}, [np.array([object()])])
    assert checkpoint.read().header["σ"] == 1 / 3
    assert sorted(os.listdir(tmp_path)) == ["run.ckpt"]


# ----------------------------------------------------------------------------- when, and trouble


def test_checkpoints_come_by_the_clock_and_no_more_often_than_their_share_allows(tmp_path):
    path, written = tmp_path / "run.ckpt", []

    def look(progress):
        written.append(path.exists())

    run(checkpoint=path, callback=look, settings=bdip.Settings(block=1))
    assert not any(written)  # a minute has not gone by
    assert path.exists()  # but the end is kept
    path.unlink()
    run(checkpoint=bdip.Checkpoint(path, every=0), callback=look, settings=bdip.Settings(block=1))
    assert written[STEPS + 1 :] == (STEPS - 1) * [True]


def test_a_folder_that_is_lost_in_mid_run_is_said_once_and_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_SHARE", np.inf)  # one after every block
    folder = tmp_path / "folder"
    folder.mkdir()

    def callback(progress):
        if progress.step == 2 * BLOCK:
            shutil.rmtree(folder)
        if progress.step == 5 * BLOCK:
            folder.mkdir()

    with pytest.warns(bdip.CheckpointWarning, match="the run goes on") as said:
        found = run(checkpoint=bdip.Checkpoint(folder / "run.ckpt", every=0), callback=callback)
    assert len(said) == 1
    assert_same(found, run())
    assert_same(
        found,
        run(checkpoint=folder / "run.ckpt", callback=lambda _: pytest.fail("a step was done")),
    )


def test_an_error_in_the_callback_loses_nothing(tmp_path):
    def callback(progress):
        if progress.step == 3 * BLOCK:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(checkpoint=tmp_path / "run.ckpt", callback=callback)
    assert run(checkpoint=tmp_path / "run.ckpt", callback=stop_after(1)).trace["chi2"].shape == (
        1,
        4 * BLOCK,
    )
    assert_same(run(checkpoint=tmp_path / "run.ckpt"), run())


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    left = tmp_path / ".run.ckpt.0123abcd.part"
    left.write_bytes(b"half")
    run(checkpoint=tmp_path / "run.ckpt")
    assert os.listdir(tmp_path) == ["run.ckpt"]


@pytest.mark.parametrize(
    ("name", "complaint"), [("absent/run.ckpt", "no folder"), (".", "is a folder")]
)
def test_a_checkpoint_that_cannot_be_is_refused_before_the_run(tmp_path, name, complaint):
    with pytest.raises(bdip.CheckpointError, match=complaint):
        run(checkpoint=tmp_path / name, callback=lambda _: pytest.fail("a step was done"))
    with pytest.raises(bdip.CheckpointError, match="every is -1"):
        bdip.Checkpoint(tmp_path / "run.ckpt", every=-1)


def test_two_runs_do_not_write_one_checkpoint(tmp_path):
    path = tmp_path / "run.ckpt"
    with locked(path), pytest.raises(LockedError, match=f"process {os.getpid()}"):
        run(checkpoint=path)
    (tmp_path / ".run.ckpt.lock").write_text("999999\n")  # of a process that died
    assert run(checkpoint=path).complete
    assert os.listdir(tmp_path) == ["run.ckpt"]


def test_a_checkpoint_holds_what_its_arrays_take_and_little_more(tmp_path):
    path = tmp_path / "run.ckpt"
    found = run(checkpoint=path, draws=20, sampler="sgld")
    # Weights thrice (one copy to go back to at the start and one dropped at the end), draws, probe, moments, trace.
    state = sum(
        leaf.nbytes for leaf in jax.tree.leaves(Perceptron().init(jax.random.key(0), (8, 7, 1)))
    )
    arrays = found.draws.nbytes + found.probe.nbytes + 3 * found.mean.nbytes + 4 * 4 * STEPS + state
    headers = 30 * 128 + 8192  # of arrays, and of the file
    assert arrays < path.stat().st_size < arrays + headers


def test_the_seconds_between_checkpoints_can_be_given_with_it(tmp_path):
    assert replace(bdip.Checkpoint("a"), every=3).every == 3
