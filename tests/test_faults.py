"""The command line when things go wrong: signals, full disks, links, two runs at once; and what it writes down of a run."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

import bdip
from bdip.cli import main
from bdip.lock import locked

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--channels", "4", "--scales", "1", "--quiet"]
SHORT = [*TINY, "--steps", "12"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Compiled programs, shared by all runs of this file and their processes."""
    folder = tmp_path_factory.mktemp("programs")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch, programs):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BDIP_CACHE", str(programs))
    rng = np.random.default_rng(0)
    imageio.imwrite("photo.png", rng.integers(60, 200, (16, 16), np.uint8))
    imageio.imwrite("known.png", (rng.random((16, 16)) < 0.5).astype(np.uint8) * np.uint8(255))
    return tmp_path


def restore(*words):
    return main(["restore", "photo.png", *words])


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def started(*words, **options):
    """`bdip restore` in a process of its own."""
    command = [sys.executable, "-m", "bdip", "restore", "photo.png", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)


def wait_for(path, process):
    while not Path(path).exists() and process.poll() is None:
        time.sleep(0.01)


# ------------------------------------------------------------------------------------- run.json


def test_beside_every_result_is_what_made_it(folder):
    words = [
        "-o",
        "out.png",
        "--known",
        "known.png",
        "--noise-std",
        "20",
        "--save",
        "p.npz",
        *SHORT,
    ]
    assert restore(*words) == 0
    found = json.loads(Path("out-run.json").read_text(encoding="utf-8"))
    posterior = bdip.Posterior.load("p.npz")
    assert found["complete"] is True
    assert found["interrupted"] is None
    assert found["command"] == ["restore", "photo.png", *words]
    assert found["options"]["steps"] == 12
    assert found["options"]["sampler"] == "mclmc"  # a default, not given
    assert found["inputs"] == {
        name: {"path": f"{path}.png", "sha256": sha256(f"{path}.png")}
        for name, path in {"image": "photo", "known": "known"}.items()
    }
    assert {name: each["sha256"] for name, each in found["outputs"].items()} == {
        "image": sha256("out.png"), "std": sha256("out-std.tif"), "posterior": sha256("p.npz"),
    }  # fmt: skip
    assert found["versions"]["bdip"] == bdip.__version__
    assert {"jax", "jaxlib", "flax", "numpy", "python"} <= found["versions"].keys()
    assert found["seed"] == 0
    assert found["settings"]["steps"] == 12
    assert found["noise_std"] == [pytest.approx(20), 0]
    assert found["diagnostics"]["chi2"] == pytest.approx(posterior.diagnostics["chi2"])
    assert found["verdict"] == list(posterior.verdict)
    assert found["seconds"] > 0
    assert "NaN" not in Path("out-run.json").read_text(encoding="utf-8")


def test_the_same_command_in_two_processes_makes_equal_bits(folder):
    words = ["--noise-std", "20", *SHORT]
    for name in ("a", "b"):
        process = started("-o", f"{name}.npy", *words)
        message = process.communicate()[1]
        assert process.returncode == 0, message
    assert restore("-o", "c.npy", *words) == 0
    for kind in (".npy", "-std.tif"):
        assert sha256(f"a{kind}") == sha256(f"b{kind}") == sha256(f"c{kind}")


# -------------------------------------------------------------------------------- cut short, resumed


def test_terminated_it_keeps_what_there_is_and_resume_ends_it_bit_for_bit(folder, capsys):
    words = [
        "--noise-std",
        "20",
        "--steps",
        "3000",
        "--save",
        "cut.npz",
        "--checkpoint",
        "run.ckpt",
    ]
    process = started("-o", "cut.png", *words, "--checkpoint-every", "0", *TINY)
    wait_for("run.ckpt", process)
    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1]
    assert process.returncode == 143, message
    partial = json.loads(Path("cut-run.json").read_text(encoding="utf-8"))
    assert partial["complete"] is False
    assert partial["interrupted"] == "SIGTERM"
    assert not bdip.Posterior.load("cut.npz").complete
    assert "(SIGTERM)" in bdip.Posterior.load("cut.npz").summary()

    os.chdir("/")  # the paths in the command were of another folder
    assert main(["resume", str(folder / "run.ckpt"), "--quiet"]) == 0
    os.chdir(folder)
    assert json.loads(Path("cut-run.json").read_text(encoding="utf-8"))["complete"] is True
    whole = [
        "-o",
        "whole.png",
        "--noise-std",
        "20",
        "--steps",
        "3000",
        "--save",
        "whole.npz",
        *TINY,
    ]
    assert restore(*whole) == 0
    for kind in (".png", "-std.tif"):
        assert sha256(f"cut{kind}") == sha256(f"whole{kind}")
    first, second = bdip.Posterior.load("cut.npz"), bdip.Posterior.load("whole.npz")
    np.testing.assert_array_equal(first.draws, second.draws)
    # What is finished is not overwritten by another resume, unless asked for.
    assert main(["resume", "run.ckpt", "--quiet"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["resume", "run.ckpt", "--quiet", "--overwrite"]) == 0


def test_out_of_time_it_is_resumed_by_the_same_command_and_a_stranger_is_not_replaced(
    folder, capsys
):
    words = ["-o", "out.png", "--checkpoint", "run.ckpt", *SHORT]
    assert restore(*words, "--time-limit", "1e-9") == 130
    assert (
        json.loads(Path("out-run.json").read_text(encoding="utf-8"))["interrupted"] == "time limit"
    )
    kept = Path("out.png").read_bytes()
    imageio.imwrite("out.png", np.zeros((16, 16), np.uint8))  # somebody else's
    assert restore(*words) == 2
    assert "out.png exists" in capsys.readouterr().err
    Path("out.png").write_bytes(kept)
    assert restore(*words) == 0
    assert restore("-o", "whole.png", *SHORT) == 0
    assert sha256("out.png") == sha256("whole.png")


def test_what_cannot_be_resumed_gets_one_line(folder, capsys):
    assert main(["resume", "absent.ckpt"]) == 2
    assert "absent.ckpt does not exist" in capsys.readouterr().err
    assert main(["resume", "photo.png"]) == 2
    assert "no checkpoint of bdip" in capsys.readouterr().err
    assert (
        restore("-o", "out.png", "--checkpoint", "run.ckpt", "--time-limit", "1e-9", *SHORT) == 130
    )
    imageio.imwrite("photo.png", np.zeros((16, 16), np.uint8))
    assert main(["resume", "run.ckpt"]) == 2
    assert "photo.png, the image, has changed" in capsys.readouterr().err
    bdip.Checkpoint("other.ckpt").write({}, [])
    assert main(["resume", "other.ckpt"]) == 2
    message = capsys.readouterr().err
    assert "call bdip.sample again" in message
    assert message.count("\n") == 1


@pytest.mark.filterwarnings("default::bdip.CheckpointWarning")
def test_a_damaged_checkpoint_is_said_in_one_line(folder, capsys):
    words = ["-o", "out.png", "--checkpoint", "run.ckpt", *SHORT]
    for _ in range(2):
        assert restore(*words, "--time-limit", "1e-9") == 130
    Path("run.ckpt").write_bytes(b"")
    capsys.readouterr()
    assert restore(*words) == 0
    message = capsys.readouterr().err
    assert message.startswith("bdip: run.ckpt is damaged")
    assert "run.ckpt.previous, is whole" in message
    assert message.count("\n") == 1


# ------------------------------------------------------------------------------- refused beforehand


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-o", "link.png"], "link.png is the input itself"),
        (["-o", "hard.png"], "hard.png is the input itself"),
        (["-o", "known-link.png", "--known", "known.png"], "known-link.png is known.png itself"),
        (["-o", "out.npy", "--save", "out.npy"], "out.npy is out.npy itself"),
        (["-o", "out.png", "--save", "here/../out.png"], "is out.png itself"),
        (["-o", "out.png", "--save", "p.npz", "--checkpoint", "p.npz"], "p.npz is p.npz itself"),
        (["-o", "out.png", "--checkpoint", "photo.png"], "photo.png is damaged, or no checkpoint"),
        (["-o", "out.png", "--checkpoint", "absent/run.ckpt"], "no folder absent"),
        (["-o", "out.png", "--checkpoint", "a", "--checkpoint-every", "-1"], "every is -1"),
    ],
)  # fmt: skip
def test_nothing_of_the_users_is_ever_an_output(folder, capsys, words, complaint):
    (folder / "here").mkdir()
    Path("link.png").symlink_to("photo.png")
    os.link("photo.png", "hard.png")
    Path("known-link.png").symlink_to("known.png")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert restore(*words, "--overwrite", *SHORT) == 2
    assert complaint in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_a_folder_that_cannot_be_written_is_refused_before_the_run(folder, capsys):
    assert restore("-o", "/proc/out.png", *SHORT) == 2
    assert "/proc cannot be written" in capsys.readouterr().err
    assert restore("-o", "out.png", "--checkpoint", "/proc/run.ckpt", *SHORT) == 2
    assert "/proc cannot be written" in capsys.readouterr().err


def test_two_runs_do_not_write_one_output(folder, capsys):
    with locked(Path("out.png")):
        assert restore("-o", "out.png", *SHORT) == 2
    message = capsys.readouterr().err
    assert f"out.png is being written by another run (process {os.getpid()})" in message
    assert not Path("out.png").exists()


# ---------------------------------------------------------------------------- no place for the result


def test_a_result_that_has_lost_its_place_is_kept_elsewhere_and_the_message_says_where(folder):
    (folder / "out").mkdir()
    words = [
        "-o",
        "out/out.png",
        "--steps",
        "30000",
        "--checkpoint",
        "run.ckpt",
        "--checkpoint-every",
        "0",
    ]
    process = started(*words, *TINY)
    wait_for("run.ckpt", process)
    shutil.rmtree("out")
    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1]
    assert process.returncode == 1, message
    assert message.startswith("bdip: out/out.png: there is no folder out")
    assert message.count("\n") == 1
    assert "type 'bdip resume run.ckpt'" in message
    place = Path(message.partition("What was computed is in ")[2].partition(":")[0])
    assert bdip.Posterior.load(place).mean.shape == (16, 16)
    shutil.rmtree(place.parent)
