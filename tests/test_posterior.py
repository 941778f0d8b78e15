"""The answer: what it says of itself, and that a file gives back the whole of it."""

import json
import pickle

import numpy as np
import pytest

from bdip.posterior import Posterior, PosteriorFileError

SETTINGS = {
    "steps": 8, "warmup": 3, "sampler": {"name": "Psgld", "temperature": 1.0},
    "generator": {"name": "Hourglass", "channels_skip": [0, 4]}, "seed": 5, "noise_std": 12.5,
    "data_range": [0.0, 255.0], "observed": 0.932, "versions": {"bdip": "1.2.3"},
}  # fmt: skip


def made(chi2=None, reported=("noise std: 12.5, estimated",), **changes):
    rng = np.random.default_rng(0)
    chi2 = np.array([[9, 9, 9, 1, 2, 3, 5, 4], [9, 9, 9, 1, 0, 3, 1, 0]]) if chi2 is None else chi2
    chi2 = np.asarray(chi2, np.float32)
    content = {
        "mean": rng.random((4, 6, 3), np.float32),
        "std": rng.random((4, 6, 3), np.float32),
        "draws": rng.random((2, 5, 4, 6, 3), np.float32),
        "trace": {"energy": 10 * chi2, "chi2": chi2, "step_size": np.full_like(chi2, 0.1)},
        "settings": SETTINGS,
        "reported": reported,
    }
    return Posterior(**{**content, **changes})


# ---------------------------------------------------------------------------- what it says


def test_chi2_is_that_of_the_kept_steps_over_all_chains_and_in_two_halves():
    # Kept: 1 2 3 5 4 and 1 0 3 1 0, mean 20/10. Over chains 1 1 3 3 2: halves 1 1 and 3 3 2.
    found = made().diagnostics
    assert found["chi2"] == pytest.approx(2.0)
    assert found["chi2_first"] == pytest.approx(1.0)
    assert found["chi2_second"] == pytest.approx(8 / 3)


def test_a_chain_that_was_stopped_early_counts_as_far_as_it_came():
    nan = np.nan
    found = made([[9, 9, 9, 1, 2, 3, 5], [9, 9, 9, 1, 0, nan, nan]]).diagnostics
    # Kept: 1 2 3 5 and 1 0, mean 12/6; over chains 1, 1, 3, 5.
    assert found["chi2"] == pytest.approx(2.0)
    assert found["chi2_first"] == pytest.approx(1.0)
    assert found["chi2_second"] == pytest.approx(4.0)


def test_there_is_no_chi2_where_nothing_was_kept():
    found = made([[9, 9]], complete=False)
    assert all(np.isnan(value) for value in found.diagnostics.values())
    assert "INCOMPLETE: stopped after 2 of 8 steps" in found.summary()


def test_the_summary_tells_what_was_run_and_what_came_out():
    text = made().summary()
    for part in (
        "bdip 1.2.3", "Psgld on Hourglass", "2 chains × 8 steps", "3 of them warm-up", "seed 5",
        "4 × 6 × 3", "0 to 255", "93.2 % of pixels observed", "12.5 (estimated)", "χ²", "2.000",
        "1.000 then 2.667", "95th percentile", "10 draws",
    ):  # fmt: skip
        assert part in text
    assert "INCOMPLETE" not in text


def test_a_given_noise_is_not_called_estimated():
    assert "estimated" not in made(reported=()).summary()


def test_an_answer_without_uncertainty_says_so():
    assert "none: this run gives no uncertainty" in made(std=np.full((4, 6), np.nan)).summary()


def test_an_interrupted_run_says_so():
    assert "INCOMPLETE: stopped after 8 of 8 steps" in made(complete=False).summary()


# ------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", ["answer.npz", "answer", "with space.bdip"])
@pytest.mark.parametrize("complete", [True, False])
def test_a_file_gives_back_the_whole_answer(tmp_path, name, complete):
    saved = made(complete=complete, std=np.full((4, 6, 3), np.nan, np.float32))
    saved.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    loaded = Posterior.load(str(tmp_path / name))
    for field in ("mean", "std", "draws"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(saved, field))
        assert getattr(loaded, field).dtype == np.float32
    assert loaded.trace.keys() == saved.trace.keys()
    for column in saved.trace:
        np.testing.assert_array_equal(loaded.trace[column], saved.trace[column])
    assert loaded.settings == saved.settings
    assert loaded.reported == saved.reported
    assert loaded.complete is complete
    assert loaded.summary() == saved.summary()


def test_saving_replaces_an_older_file(tmp_path):
    made().save(tmp_path / "a.npz")
    made(complete=False).save(tmp_path / "a.npz")
    assert not Posterior.load(tmp_path / "a.npz").complete


def test_a_failed_save_leaves_the_older_file_and_nothing_else(tmp_path):
    made().save(tmp_path / "a.npz")
    with pytest.raises(TypeError):
        made(settings={"sampler": object()}).save(tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert Posterior.load(tmp_path / "a.npz").complete


def test_saving_into_no_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        made().save(tmp_path / "nowhere" / "a.npz")


# ------------------------------------------------------------------------ what is refused


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Posterior.load(tmp_path / "none.npz")


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_no_pickle_is_ever_opened(tmp_path):
    trace, path = tmp_path / "exploded", tmp_path / "a.npz"
    bomb = np.array([Bomb(trace)], dtype=object)
    for where in ("header", "mean"):
        np.savez(path, **{where: bomb})
        with pytest.raises(PosteriorFileError):
            Posterior.load(path)
    path.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(PosteriorFileError):
        Posterior.load(path)
    assert not trace.exists()


def spoil(how, path):
    whole = path.read_bytes()
    middle = len(whole) // 2
    if how == "cut":
        path.write_bytes(whole[:middle])
    elif how == "flipped":
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a posterior")
    elif how == "an array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif how == "other arrays":
        np.savez(path, mean=np.zeros(3))
    else:
        header = np.frombuffer(json.dumps({"format": 1}).encode(), np.uint8)
        np.savez(path, header=header, mean=np.zeros(3))


@pytest.mark.parametrize(
    "how", ["cut", "flipped", "empty", "text", "an array", "other arrays", "half a header"]
)
def test_a_damaged_or_other_file_is_refused_by_name(tmp_path, how):
    path = tmp_path / "answer.npz"
    made().save(path)
    spoil(how, path)
    with pytest.raises(PosteriorFileError, match="answer.npz is not a whole file saved by bdip"):
        Posterior.load(path)


def test_a_later_format_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "answer.npz"
    header = np.frombuffer(json.dumps({"format": 99}).encode(), np.uint8)
    np.savez(path, header=header)
    with pytest.raises(PosteriorFileError, match="format 99.*use the version of bdip"):
        Posterior.load(path)
