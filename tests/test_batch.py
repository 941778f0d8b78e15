"""Many images: each done once, whatever becomes of the others."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

import bdip
from bdip import batch, restoring
from bdip.batch import jobs
from bdip.batch.plan import plan
from bdip.cli import main
from bdip.lock import locked
from tests.fakes import Pixels

QUICK = {"generator": Pixels(), "steps": 8, "noise_std": 20.0, "progress": False}


def picture(path, seed=0, shape=(16, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    imageio.imwrite(path, pixels)
    return path


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.png", "b.png", "c.tif")):
        picture(tmp_path / "photos" / name, seed)
    return tmp_path / "photos"


def table(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def test_every_image_has_the_outputs_that_restore_would_give(photos, tmp_path):
    summary = batch.run([photos], "out", save=True, **QUICK)
    assert summary.count("done") == 3
    assert not summary.interrupted
    out = tmp_path / "out"
    for name in ("a.png", "b.png", "c.tif"):
        stem = name[:1]
        alone = bdip.sample(imageio.imread(photos / name), **QUICK)
        restored = imageio.imread(out / name)
        assert np.array_equal(restored, np.rint(np.clip(alone.mean, 0, 255)))
        assert np.array_equal(imageio.imread(out / f"{stem}-std.tif"), alone.std)
        assert np.array_equal(bdip.Posterior.load(out / f"{stem}.npz").draws, alone.draws)
    rows = table(out)
    assert list(rows) == ["a", "b", "c"]
    assert rows["a"]["status"] == "done"
    assert rows["a"]["steps"] == "8"
    assert float(rows["a"]["noise_std"]) == 20
    assert float(rows["a"]["chi2"]) > 0
    assert rows["a"]["verdict"]
    assert imageio.imread(out / "contact-sheet.png").ndim == 3


def test_what_is_done_is_not_done_again_and_what_changed_is(photos, tmp_path, monkeypatch):
    asked = []

    def counted(image, *rest, **options):
        asked.append(int(image[0, 0]))
        return restoring_solve(image, *rest, **options)

    restoring_solve = restoring.solve
    monkeypatch.setattr(jobs, "solve", counted)
    batch.run([photos], "out", **QUICK)
    assert len(asked) == 3
    before = files(tmp_path / "out")
    again = batch.run([photos], "out", **QUICK)
    assert len(asked) == 3
    assert again.skipped == 3
    assert files(tmp_path / "out") == before
    picture(photos / "b.png", seed=9)  # another input
    batch.run([photos], "out", **QUICK)
    assert len(asked) == 4
    (tmp_path / "out" / "a-std.tif").unlink()  # an output gone
    batch.run([photos], "out", **QUICK)
    assert len(asked) == 5
    batch.run([photos], "out", **QUICK | {"steps": 9})  # other settings
    assert len(asked) == 8
    (tmp_path / "out" / ".bdip" / "a.json").write_text("{half a")  # a damaged record is none ...
    for _ in range(2):  # ... and then a.png may be anybody's, however often one asks
        assert batch.run([photos], "out", **QUICK | {"steps": 9}).count("failed") == 1
    batch.run([photos], "out", overwrite=True, **QUICK | {"steps": 9})
    assert len(asked) == 9


def test_one_image_that_fails_stops_no_other(photos, tmp_path):
    (photos / "b.png").write_bytes(b"no picture")
    summary = batch.run([photos], "out", **QUICK)
    assert [row["status"] for row in summary.rows] == ["done", "failed", "done"]
    assert "b.png is no image" in table(tmp_path / "out")["b"]["error"]
    assert "failed    b: " in str(summary)
    picture(photos / "b.png")
    assert batch.run([photos], "out", **QUICK).count("done") == 3


@pytest.mark.parametrize(
    ("error", "attempts"), [(OSError("the share is gone"), 3), (bdip.ProblemError("no data"), 1)]
)
def test_only_what_may_pass_is_tried_again(photos, monkeypatch, error, attempts):
    tried = []

    def fails(*arguments, **options):
        tried.append(1)
        raise error

    monkeypatch.setattr(jobs, "solve", fails)
    summary = batch.run([photos / "a.png"], "out", retries=2, **QUICK)
    assert len(tried) == attempts
    assert summary.rows[0]["error"] == str(error)


def test_a_failure_that_passes_is_forgotten(photos, monkeypatch):
    tried = []

    def fails_once(*arguments, **options):
        tried.append(1)
        if len(tried) == 1:
            raise OSError("the share is gone")
        return solve(*arguments, **options)

    solve = jobs.solve
    monkeypatch.setattr(jobs, "solve", fails_once)
    assert batch.run([photos / "a.png"], "out", retries=1, **QUICK).rows[0]["status"] == "done"


def test_masks_are_found_by_name_and_are_no_images_themselves(photos, tmp_path):
    for stem in "ab":
        mask = np.zeros((16, 16), np.uint8)
        mask[:4] = 255
        imageio.imwrite(photos / f"{stem}-mask.png", mask)
    summary = batch.run([photos], "out", missing="{stem}-mask.png", save=True, **QUICK)
    assert [row["name"] for row in summary.rows] == ["a", "b", "c"]
    assert [row["status"] for row in summary.rows] == ["done", "done", "failed"]
    assert "c-mask.png does not exist" in summary.rows[2]["error"]
    saved = bdip.Posterior.load(tmp_path / "out" / "a.npz")
    assert saved.settings["observed"] == 0.75


def test_known_pixels_are_kept_on_request_and_it_is_another_job(photos, tmp_path):
    mask = np.zeros((16, 16), np.uint8)
    mask[:4] = 255
    imageio.imwrite(photos / "a-mask.png", mask)
    given = imageio.imread(photos / "a.png")
    for keep_known in (False, True):
        batch.run(
            [photos / "a.png"], "out", missing="{stem}-mask.png", keep_known=keep_known, **QUICK
        )
        restored, std = (imageio.imread(tmp_path / "out" / name) for name in ("a.png", "a-std.tif"))
        assert np.array_equal(restored[4:], given[4:]) == keep_known
        assert not np.array_equal(restored[:4], given[:4])
        assert (std[4:] == 0).all() == keep_known


def test_ctrl_c_keeps_what_is_done_and_the_same_call_goes_on(photos, tmp_path, monkeypatch):
    begun = []

    def pressed(image, mask, *, callback, **options):
        begun.append(1)

        def press(progress):
            if len(begun) == 2:
                signal.raise_signal(signal.SIGINT)
            callback(progress)

        settings = bdip.Settings(block=1)
        return solve(image, mask, callback=press, settings=settings, **options)

    solve = jobs.solve
    monkeypatch.setattr(jobs, "solve", pressed)
    summary = batch.run([photos], "out", **QUICK)
    assert summary.interrupted
    assert [row["status"] for row in summary.rows] == ["done", "interrupted", "interrupted"]
    assert not (tmp_path / "out" / "b.png").exists()
    assert len(begun) == 2
    assert [row["status"] for row in table(tmp_path / "out").values()] == ["done", "interrupted", "interrupted"]  # fmt: skip
    again = batch.run([photos], "out", **QUICK)
    assert again.count("done") == 3
    assert again.skipped == 1


def test_two_batches_do_no_image_twice(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "PATIENCE", 0.05)
    done = []
    solve = jobs.solve

    def counted(image, *rest, **options):
        done.append(threading.current_thread().name)
        return solve(image, *rest, **options)

    monkeypatch.setattr(jobs, "solve", counted)
    record = tmp_path / "out" / ".bdip" / "a.json"
    record.parent.mkdir(parents=True)
    held = ExitStack()
    held.enter_context(locked(record))
    other = threading.Thread(target=lambda: batch.run([photos], "out", **QUICK))
    other.start()
    deadline = time.monotonic() + 60
    while len(done) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(done) == 2  # b and c, while a is held by another
    first = jobs.Job("a", photos / "a.png", tmp_path / "out", ".png", options=_options())
    jobs._recorded(first, jobs._attempts(first, None))  # which is what the other does
    held.close()
    other.join(60)
    assert len(done) == 3
    assert all(row["status"] == "done" for row in table(tmp_path / "out").values())


def _options():
    return {name: value for name, value in QUICK.items() if name != "progress"}


def test_the_lock_of_a_process_that_died_is_gone(photos, tmp_path):
    (tmp_path / "out" / ".bdip").mkdir(parents=True)
    code = (
        "import sys, time, pathlib, bdip.lock\n"
        "with bdip.lock.locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    lock = tmp_path / "out" / ".bdip" / "a.json"
    holder = subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    job = jobs.Job("a", photos / "a.png", tmp_path / "out", ".png", options=_options())
    assert jobs.perform(job)["status"] == "elsewhere"
    holder.kill()
    holder.communicate()
    assert jobs.perform(job)["status"] == "done"


def test_a_job_that_was_killed_while_it_wrote_is_done_again(photos, monkeypatch):
    class Killed(BaseException):
        pass

    def half(*arguments):
        write(*arguments)
        raise Killed

    write = jobs.write
    monkeypatch.setattr(jobs, "write", half)
    with pytest.raises(Killed):
        batch.run([photos / "a.png"], "out", **QUICK)
    monkeypatch.setattr(jobs, "write", write)
    assert batch.run([photos / "a.png"], "out", **QUICK).rows[0]["status"] == "done"


def names(sources, folder="out", **options):
    return [job.name for job in plan(sources, folder, **options)]


def test_same_stems_and_odd_names_get_outputs_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = ["x/a.png", "y/a.png", "x/B.png", "y/b.png", "x/c.png", "x/c.jpg", "x/d.png", "x/d-std.tif",
             "x/e f(1).png", "x/é.png", "x/.hidden.png", "x/$(rm).png", "x/-o.png", "x/CON.png", "x/g\n.png"]  # fmt: skip
    for path in paths:
        picture(tmp_path / path, shape=(4, 4))
    found = {str(job.image.relative_to(tmp_path)): job for job in plan(paths, "out")}
    assert len(found) == len(paths)
    made = [path.name.casefold() for job in found.values() for path in job.outputs.paths]
    assert len(set(made)) == len(made)
    assert all(path.parent == tmp_path / "out" for job in found.values() for path in job.outputs.paths)  # fmt: skip
    assert found["x/e f(1).png"].name == "e f(1)"
    assert found["x/é.png"].name == "é"
    for odd in ("x/$(rm).png", "x/-o.png", "x/CON.png", "x/g\n.png", "x/.hidden.png", "x/a.png"):
        assert found[odd].name.rpartition("-")[2].isalnum()
        assert "/" not in found[odd].name
        assert found[odd].name[0] not in ".-$"
    assert plan(paths, "out") == list(found.values())  # the same at every call


def test_folders_and_patterns_give_each_image_once(photos, tmp_path):
    picture(photos / "deep" / "d.png")
    (photos / "notes.txt").write_text("no picture")
    picture(photos / ".thumb.png")
    assert names([photos]) == ["a", "b", "c"]
    assert names(["photos/**/*.png", photos / "a.png"]) == ["a", "b", "d"]
    assert names(["photos/*.png", photos]) == ["a", "b", "c"]
    picture(photos / "out" / "a.png")
    assert names(["photos/**/*.png"], "photos/out") == ["a", "b", "d"]  # outputs are no inputs


def test_a_name_of_ones_own_is_one_of_a_file(photos):
    assert names({"first": photos / "a.png"}) == ["first"]
    for name in ("../a", "/tmp/a", "a/b", "..", "", ".a", "a\\b", "a\0", "nul", "a."):
        with pytest.raises(bdip.io.ImageError, match="cannot be that of an output"):
            plan({name: photos / "a.png"}, "out")
    with pytest.raises(bdip.io.ImageError, match="given twice"):
        plan({"a": photos / "a.png", "A": photos / "b.png"}, "out")


def test_a_link_among_the_outputs_is_replaced_and_not_followed(photos, tmp_path):
    outside = picture(tmp_path / "elsewhere.png", shape=(3, 3))
    before = outside.read_bytes()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").symlink_to(outside)
    summary = batch.run([photos / "a.png"], "out", overwrite=True, **QUICK)
    assert summary.rows[0]["status"] == "done"
    assert outside.read_bytes() == before


def test_a_record_cannot_lead_out_of_the_folder(photos, tmp_path):
    batch.run([photos / "a.png"], "out", **QUICK)
    record = tmp_path / "out" / ".bdip" / "a.json"
    row = json.loads(record.read_text())
    record.write_text(json.dumps(row | {"name": "../../stolen", "key": "0"}))
    batch.run([photos / "a.png"], "out", **QUICK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


def test_a_table_holds_no_formula_for_a_spreadsheet(photos, tmp_path):
    picture(photos / "=1+1.png")
    batch.run(["photos/=1+1.png"], "out", **QUICK)
    (row,) = table(tmp_path / "out").values()
    assert row["name"].startswith("1_1-")
    (photos / "b.png").write_bytes(b"")
    shutil.copy(photos / "b.png", photos / "@b.png")
    summary = batch.run(["photos/@b.png"], "out2", **QUICK)
    assert summary.rows[0]["status"] == "failed"
    assert not any(value[:1] in "=+-@" for row in table(tmp_path / "out2").values() for value in row.values() if value)  # fmt: skip


TINY = ["--channels", "4", "--scales", "1", "--sampler", "sgld", "--steps", "12", "--noise-std", "20"]  # fmt: skip


def test_the_command_says_what_was_done_and_ends_as_it_should(photos, capsys):
    (photos / "b.png").write_bytes(b"no picture")
    assert main(["batch", "photos", "-o", "out", "--tile", "12", "--overlap", "4", *TINY]) == 1
    seen = capsys.readouterr()
    assert "2 of 3 images done" in seen.out
    assert "failed    b: " in seen.out
    assert "summary.csv" in seen.out
    assert "images" in seen.err
    assert main(["batch", "photos/[ac].*", "-o", "out", "--tile", "12", "--overlap", "4", *TINY, "--quiet"]) == 0  # fmt: skip
    assert capsys.readouterr().out == ""


def test_restore_cuts_into_tiles(photos, capsys):
    words = ["restore", "photos/a.png", "-o", "a.png", "--tile", "12", "--overlap", "4", *TINY]
    assert main([*words, "--estimate"]) == 0
    assert "48 steps in about" in capsys.readouterr().out  # of four tiles
    assert main([*words, "--quiet"]) == 0
    assert imageio.imread("a.png").shape == (16, 16)


WRONG = {
    "no such file": (["absent.png"], "absent.png does not exist"),
    "an empty folder": (["empty"], "there is no image to restore"),
    "the outputs' folder": (["photos", "-o", "photos"], "the outputs' own folder"),
    "a file for a folder": (["photos", "-o", "photos/a.png"], "is a file"),
    "negative retries": (["photos", "--retries", "-1"], "retries is -1"),
    "no CPU": (["photos", "--cpus", "0"], "cpus is 0"),
    "an overlap alone": (["photos", "--overlap", "4"], "--overlap goes with --tile"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_the_command_gets_one_line_and_writes_nothing(photos, capsys, name):
    Path("empty").mkdir()
    words, expected = WRONG[name]
    before = files(Path.cwd())
    output = [] if "-o" in words else ["-o", "out"]
    assert main(["batch", *words, *output, *TINY]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert files(Path.cwd()) == before


def test_settings_that_fit_no_image_fail_each_and_are_said(photos, capsys):
    assert main(["batch", "photos", "-o", "out", *TINY, "--sampler", "sgdl"]) == 1
    assert "sampler 'sgdl' is not known" in capsys.readouterr().out


def test_without_ray_the_extra_is_named(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(bdip.SettingsError, match=r"pip install 'bdip\[ray\]'"):
        batch.run([photos], "out", ray="local", **QUICK)
