"""The benchmarks of restoration and of one change at a time: what they take for granted, without a long run."""

import math

import jax
import numpy as np
import pytest

from bdip.samplers import Mclmc
from benchmarks import architectures, degrading, images, restoration
from benchmarks.architectures import BASE, VARIANTS, paired
from benchmarks.scoring import luminance, ssim


def row(variant, picture, psnr, seed=0):
    return {
        "variant": variant, "picture": picture, "seed": seed, "pixels": 8, "steps": 9,
        "task": "denoise", "method": "mclmc", "psnr": psnr,
    }  # fmt: skip


def test_gains_are_paired_by_picture_and_seed():
    rows = [
        row(BASE, "a", 20.0),
        row(BASE, "b", 30.0),
        row("relu", "a", 21.0),
        row("relu", "b", 33.0),
    ]
    gain = paired([*rows, row("relu", "c", 99.0)], "relu", "denoise", "mclmc")
    # differences 1 and 3: their mean is 2, their standard deviation √2, and that of the mean 1
    assert gain == pytest.approx((2.0, 1.0, 2))


def test_one_pair_has_no_standard_error():
    gain = paired([row(BASE, "a", 20.0), row("relu", "a", 21.0)], "relu", "denoise", "mclmc")
    assert gain.mean == 1.0
    assert math.isnan(gain.error)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_builds_a_generator_and_a_sampler(name):
    change = VARIANTS[name]
    generator = architectures.generator(change)
    shapes = jax.eval_shape(lambda key: generator.init(key, (48, 48, 1)), jax.random.key(0))
    assert jax.tree.leaves(shapes)
    for method in architectures.METHODS:
        assert architectures.sampler(method, change, 0.1, 1000, 0) is not None


def test_the_base_has_the_sampler_that_the_package_would_choose():
    std, values, kept = 0.1, 1000, 5000
    chosen = architectures.sampler("mclmc", VARIANTS[BASE], std, values, kept)
    assert chosen == Mclmc.default(values / std**2, values, kept)
    assert chosen != architectures.sampler("mclmc", VARIANTS[BASE], std / 2, values, kept)


def test_every_variant_is_a_change():
    base = (
        architectures.generator(VARIANTS[BASE]),
        architectures.sampler("mclmc", VARIANTS[BASE], 0.1, 1000, 0),
    )
    same = {
        name for name, change in VARIANTS.items()
        if (architectures.generator(change), architectures.sampler("mclmc", change, 0.1, 1000, 0)) == base
        and not change.options
    }  # fmt: skip
    assert same == {BASE}


def test_the_hole_is_a_quarter_of_the_width():
    assert (~architectures.seen("hole", (64, 64), 0)).sum() == 16**2


def test_what_is_under_the_text_is_not_seen():
    assert np.array_equal(~architectures.seen("text", (64, 48), 0), degrading.text(64, 48))


def test_rounding_of_steps_of_one_grey_level_is_uniform():
    # a value rounded to whole numbers is off by √(1/12) of one (uniform law)
    assert degrading.rounding_std([1] * 64) == pytest.approx(1 / math.sqrt(12) / 255)


def test_text_hides_some_pixels_and_leaves_most():
    assert 0.03 < degrading.text(64, 64).mean() < 0.5


@pytest.mark.parametrize(
    "name",
    [
        "denoise-25",
        "denoise-50-clipped",
        "levels-8",
        "inpaint-50",
        "superresolve-4",
        "jpeg-10",
        "text",
    ],
)
def test_what_is_done_to_a_picture_goes_by_the_seed_and_peers_answer_in_its_shape(name):
    clean = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    first, again = (degrading.TASKS[name].degrade(clean, 1) for _ in range(2))
    np.testing.assert_array_equal(first.data, again.data)
    assert first.noise_std > 0
    assert {np.shape(image) for image in first.peers.values()} == {clean.shape}


def test_the_rival_is_the_best_classical_method_on_average():
    rows = [
        {"run": "classical", "method": "TV", "psnr": 20.0},
        {"run": "classical", "method": "NLM", "psnr": 21.0},
        {"run": "dip", "method": restoration.ORACLE, "psnr": 99.0},
    ]
    assert restoration.rival(rows) == "NLM"


def test_margins_are_between_runs_of_one_picture_and_seed():
    rows = [
        {
            "protocol": "cpu", "task": "text", "pixels": 64, "picture": picture, "seed": seed, "method": method,
            "psnr": psnr, **more,
        }
        for picture, seed, method, psnr, more in [
            ("a", 0, "bdip", 30.0, {"psnr_filled": 36.0}), ("a", 0, "TV", 29.0, {"psnr_filled": 31.0}),
            ("a", 1, "bdip", 34.0, {"psnr_filled": 38.0}), ("a", 1, "TV", 31.0, {}),
            ("b", 0, "bdip", 10.0, {}), ("b", 1, "TV", 50.0, {}),
        ]
    ]  # fmt: skip
    assert restoration.gains(rows, "bdip", "TV") == [1, 3]
    # the mean of 1 and 3, and √2 over √2, its standard error
    assert "| text, cpu 64 | bdip | TV | +2.00 ± 1.00 | +1.00 | +3.00 |" in restoration.margins(
        rows
    )
    # rows of before do not have it
    assert restoration.gains(rows, "bdip", "TV", "psnr_filled") == [5]
    assert "| text, cpu 64, data put back | bdip | TV | +5.00 " in restoration.margins(rows)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_observed_pixels_are_put_back_in_every_channel(shape):
    clean = np.random.default_rng(0).random(shape).astype(np.float32)
    degraded = degrading.TASKS["inpaint-50"].degrade(clean, 0)
    filled = degrading.put_back(degraded.mask, degraded.data, np.full(shape, 9.0))
    np.testing.assert_array_equal(filled[degraded.mask], clean[degraded.mask])
    assert (filled[~degraded.mask] == 9).all()


def test_classical_rows_of_missing_pixels_have_both_scores_and_those_of_noise_one(monkeypatch):
    monkeypatch.setattr(restoration, "keep", lambda *arguments: None)
    picture = images.names("set11")[0]
    rows = restoration.measure("quick", 32, "inpaint-50", picture, 0, "classical")
    scores = {row["method"]: (row["psnr"], row["psnr_filled"]) for row in rows}
    assert all(filled >= plain for plain, filled in scores.values())
    assert scores["biharmonic"][0] == pytest.approx(scores["biharmonic"][1])  # it keeps them itself
    (row, *_) = restoration.measure("quick", 32, "denoise-25", picture, 0, "classical")
    assert "psnr_filled" not in row


def test_kept_pictures_are_scored_with_the_data_put_back_if_they_are_of_that_row(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(restoration.record, "RESULTS", tmp_path / "benchmarks" / "results")
    picture = images.names("set11")[0]
    rows = restoration.measure("quick", 32, "inpaint-50", picture, 0, "classical")
    scored = [row.pop("psnr_filled") for row in rows]
    assert "psnr_filled" not in restoration.put_back(rows, ["text"])[0]
    again = restoration.put_back(rows, ["inpaint-50"])
    np.testing.assert_allclose([row["psnr_filled"] for row in again], scored, atol=1e-3)
    restoration.keep(np.zeros((32, 32)), rows[0], rows[0]["method"])  # of another run
    again = restoration.put_back(rows, ["inpaint-50"])
    assert ["psnr_filled" in row for row in again] == [False] + [True] * (len(rows) - 1)


def test_crops_are_pixels_of_the_picture_and_the_cpu_protocol_averages():
    name = images.names("set11")[0]
    whole = images.load(name)
    crop, small = (restoration.PROTOCOLS[protocol].clean(name, 32) for protocol in ("crops", "cpu"))
    assert crop.shape == small.shape == (32, 32)
    assert np.isin(crop, whole).all()
    assert not np.isin(small, whole).all()


def test_margins_keep_protocols_apart():
    rows = [
        {"protocol": protocol, "task": "text", "pixels": 64, "picture": "a", "seed": 0, "method": method, "psnr": psnr}
        for protocol, method, psnr in [("cpu", "bdip", 30.0), ("crops", "TV", 20.0)]
    ]  # fmt: skip
    assert "TV" not in restoration.margins(rows)


def test_scores_of_the_truth_itself():
    picture = np.random.default_rng(0).random((16, 16, 3))
    assert ssim(picture, picture) == pytest.approx(1)
    # white has 219/255 of the range, without BT.601's offset of 16
    assert luminance(np.ones((1, 1, 3))) == pytest.approx(219 / 255, abs=1e-6)
