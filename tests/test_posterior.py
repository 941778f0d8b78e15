"""The answer: what it says of itself, and that a file gives back the whole of it."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from bdip.diagnostics import mixing_maps
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


def test_missing_pixels_are_filled_with_the_mean_and_observed_ones_left_alone():
    """Its standard deviation counts what is left of the observed ones: here (3² + 1) and (5² + 1), 18 on average."""
    given, mean = np.array([[7, 25, np.nan, 4]], np.float32), np.array([[10, 20, 30, 0]], np.float32)  # fmt: skip
    held = np.array([[np.nan, np.nan, np.nan, 4]], np.float32)  # not shown to the sampler
    std = np.array([[1, 1, 2, 9]], np.float32)
    image, spread = made(mean=mean, std=std, input=given, holdout=held).filled()
    assert image.tolist() == [[7, 25, 30, 4]]
    np.testing.assert_allclose(spread, [[0, 0, np.sqrt(2**2 + 18), 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "operator", "why"),
    [
        (None, "Identity", "not in this file"),
        (np.zeros((4, 6, 3)), "Blur", r"operator \(Blur\)"),
        (np.zeros((2, 3, 3)), "Downsample", r"operator \(Downsample\)"),
    ],
)
def test_where_data_are_no_pixels_of_the_image_there_is_nothing_to_fill_in(given, operator, why):
    answer = made(input=given, settings=SETTINGS | {"operator": operator})
    with pytest.raises(ValueError, match=f"{why}.*use posterior.mean"):
        answer.filled()


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
    values = [value for name, value in found.diagnostics.items() if name.startswith("chi2")]
    assert np.isnan(values).all()
    assert "nothing was kept after the warm-up" in found.summary()
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


def test_chi2_is_told_in_four_blocks_with_the_error_of_their_mean():
    # Kept, over the last 12 of 13 steps: 1 … 1, 2 … 2, 3 … 3, 4 … 4, a straight line but for its steps.
    chi2 = [[9, 9, 9, 7, *np.repeat([1, 2, 3, 4], 3)]]
    found = made(chi2, draws=np.zeros((1, 0, 4, 6, 3), np.float32)).diagnostics
    assert [found[f"chi2_block_{number}"] for number in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert found["chi2_fall"] == -3
    assert found["chi2_error"] == pytest.approx(found["chi2_block_1_error"] / 2)
    assert found["chi2_fall_error"] == pytest.approx(found["chi2_block_1_error"] * np.sqrt(2))


def test_the_maps_of_mixing_are_those_of_the_draws_in_the_images_axes():
    posterior = made()
    expected = mixing_maps(posterior.draws)
    for found, map_ in (
        (posterior.rhat, expected.rhat), (posterior.ess, expected.ess_bulk), (posterior.mcse, expected.mcse),
    ):  # fmt: skip
        assert found.shape == posterior.mean.shape
        np.testing.assert_array_equal(found, map_)
    assert posterior.mixing is posterior.mixing  # worked out once
    found = posterior.diagnostics
    assert found["rhat_median"] == pytest.approx(np.percentile(expected.rhat, 50), rel=0.02)
    ratio = np.sqrt(np.mean(expected.mcse**2) / np.mean(posterior.std**2))
    assert found["mcse_ratio"] == pytest.approx(ratio, rel=1e-5)


def test_the_numbers_of_mixing_are_those_of_the_probe_where_there_is_one():
    # 400 independent draws of 50 pixels: the error of their mean is 1/20 of their std, as Geyer's sums tell
    # to some 10 % a pixel; the 12 draws of `made` know nothing of it.
    probe = np.random.default_rng(3).normal(size=(1, 400, 5, 10)).astype(np.float32)
    found = replace(made(), probe=probe).diagnostics
    assert found["mcse_ratio"] == pytest.approx(1 / 20, rel=0.1)
    assert 0.99 < found["rhat_median"] < 1.02
    assert found["ess_median"] == pytest.approx(400, rel=0.15)


@pytest.mark.parametrize("draws", [0, 3])
def test_with_fewer_than_four_draws_nothing_is_said_of_mixing(draws):
    posterior = made(draws=np.zeros((2, draws, 4, 6, 3), np.float32))
    assert np.isnan(posterior.rhat).all()
    assert posterior.ess.shape == (4, 6, 3)
    assert np.isnan([posterior.diagnostics[name] for name in ("rhat_95", "mcse_ratio")]).all()
    assert "whether the chains have mixed is not known" in posterior.summary()
    assert "mixing    " not in posterior.summary()


@pytest.mark.parametrize(("more", "said"), [({"raised_from": 1.3}, True), ({}, False)])
def test_a_noise_that_was_raised_explains_a_small_chi2(more, said):
    settings = SETTINGS | {"noise": {"name": "Gaussian", "std": 5.0, **more}}
    text = made(np.full((1, 40), 0.3), settings=settings).summary()
    assert ("σ was assumed larger than the noise found" in text) is said


@pytest.mark.parametrize(("other", "said"), [(4.0, True), (5.0, False)])
def test_a_sampled_noise_that_goes_to_and_fro_between_two_values_is_told(other, said):
    # Ten steps at each, again and again: the mean of so few visits is not known to 1 %.
    noise_std = np.where(np.arange(40)[None] // 10 % 2, 5.0, other).astype(np.float32)
    chi2 = np.ones_like(noise_std)
    posterior = made(chi2)
    sampled = replace(posterior, trace={**posterior.trace, "noise_std": noise_std})
    assert ("it wanders" in sampled.summary()) is said


def test_held_out_pixels_are_judged_by_the_spread_of_answer_and_noise_together():
    settings = {**SETTINGS, "noise_std": 4.0, "channel_axis": 0}
    mean, holdout = np.zeros((3, 4, 6), np.float32), np.full((3, 4, 6), np.nan, np.float32)
    holdout[:, 1, 2] = holdout[:, 3, 5] = np.array([5.0, -10.0, 0.0])
    posterior = made(
        mean=mean, std=mean + 3, holdout=holdout, settings=settings, draws=np.zeros((1, 0, 3, 4, 6))
    )
    found = posterior.diagnostics
    # √(3² + 4²) = 5: z is 1, −2, 0 in each of the two pixels.
    assert found["holdout_pixels"] == 2
    assert found["holdout_z_mean"] == pytest.approx(-1 / 3)
    assert found["holdout_coverage_50"] == pytest.approx(1 / 3)
    assert found["holdout_coverage_90"] == pytest.approx(2 / 3)
    assert found["holdout_nll"] == pytest.approx(5 / 6 + np.log(5 * np.sqrt(2 * np.pi)))


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


def test_a_file_of_before_held_out_pixels_opens_and_says_the_same(tmp_path):
    saved = made()
    saved.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        assert "holdout" not in archive.files  # the file is as it was then
    loaded = Posterior.load(tmp_path / "a.npz")
    assert loaded.holdout is None
    assert loaded.verdict == saved.verdict


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
