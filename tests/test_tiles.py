"""Large images in tiles: windows, what is blended by them, and sampling one tile after another."""

import math
import signal
from itertools import pairwise

import numpy as np
import pytest

import bdip
from bdip import api
from bdip.tiling import TileProgress, estimate_tiled
from bdip.tiling import blend as tiles
from bdip.tiling.record import trace_of
from bdip.tiling.sample import tile_seed
from tests.fakes import CountingPixels, Pixels

CASES = [(768, 256, 32), (100, 32, 8), (97, 32, 16), (33, 32, 16), (20, 32, 8), (64, 32, 0), (41, 8, 4)]  # fmt: skip


@pytest.mark.parametrize(("length", "tile", "overlap"), CASES)
def test_windows_have_the_sum_one_and_tiles_overlap_enough(length, tile, overlap):
    first, found = tiles.starts(length, tile, overlap), tiles.windows(length, tile, overlap)
    total = np.zeros(length)
    for begin, row in zip(first, found, strict=True):
        total[begin : begin + len(row)] += row
    # Each is a quotient by the sum: a few roundings of numbers of at most one.
    np.testing.assert_allclose(total, 1, atol=4 * np.finfo(float).eps)
    assert (found >= 0).all()
    assert first[-1] + found.shape[1] == length
    assert all(a + found.shape[1] - b >= overlap for a, b in pairwise(first))


def test_a_window_vanishes_at_its_own_edge_and_not_at_the_images():
    rows = tiles.windows(100, 40, 16)
    # The overlaps are 20 pixels long, a pixel is an angle of π/40, and the first pixel's middle is half of that.
    assert rows[1, 0] == pytest.approx(math.sin(math.pi / 80) ** 2, rel=1e-6)
    assert rows[0, 0] == rows[-1, -1] == 1


def answer(mean, std, draws):
    return tiles.Answer(*(np.asarray(each, np.float32) for each in (mean, std, draws)))


def blended(width, tile, overlap, make):
    grid = tiles.Grid((tile, width), tile, overlap)
    blend = tiles.Blend(grid.shape, tiles.Axes(None))
    for number, (place, window) in enumerate(zip(grid.places(), grid.windows(), strict=True)):
        blend.add(place, window, make(number, window.shape))
    return blend.answer()


def test_the_blend_is_the_windows_sum_of_means_and_of_variances():
    def make(number, shape):
        return answer(np.full(shape, number + 1), np.full(shape, 3 + number), np.zeros((1, 0, *shape)))  # fmt: skip

    found = blended(6, 4, 2, make)
    low = (
        np.sin(np.pi / 2 * np.array([0.25, 0.75])) ** 2
    )  # of the second tile, in the two pixels that both have
    second = np.array([0, 0, *low, 1, 1])
    # Float32 of numbers of at most 5: a rounding is 2.4e-7.
    np.testing.assert_allclose(found.mean[0], 1 + second, atol=1e-6)
    np.testing.assert_allclose(found.std[0] ** 2, 9 * (1 - second) + 16 * second, rtol=1e-6)


def test_blended_draws_have_the_mean_and_the_variance_of_the_blend():
    count, rng = 4000, np.random.default_rng(0)

    def make(number, shape):
        draws = rng.normal(number, 2, (1, count, *shape))
        return answer(np.full(shape, number), np.full(shape, 2.0), draws)

    found = blended(6, 4, 2, make)
    # Standard errors of mean and variance of n normal draws: s/√n and s²√(2/n); 24 pixels, five of them.
    np.testing.assert_allclose(found.draws[0].mean(0), found.mean, atol=5 * 2 / math.sqrt(count))
    np.testing.assert_allclose(found.draws[0].var(0), 4, atol=5 * 4 * math.sqrt(2 / count))


def test_tiles_with_fewer_draws_leave_as_few_of_all():
    def make(number, shape):
        count = (7, 3)[number]
        draws = np.broadcast_to(np.arange(1.0, count + 1)[:, None, None], (1, count, *shape)[1:])
        return answer(np.zeros(shape), np.ones(shape), draws[None])

    found = blended(6, 4, 2, make)
    # Every 7/3 of seven, the last among them: the second, fifth and seventh.
    assert found.draws[0, :, 0, 0].tolist() == [2, 5, 7]
    assert found.draws[0, :, 0, -1].tolist() == [1, 2, 3]


NOISY = np.random.default_rng(1).normal(0.5, 0.3, (20, 44)).astype(np.float32)
STD, PRECISION = 0.5, 2.0
LAW = {"data_range": (0, 1), "noise_std": STD, "weight_precision": PRECISION, "progress": False}
CURVATURE = 1 / STD**2 + PRECISION  # l of each pixel's energy
STEP = 0.4 / CURVATURE
EXACT = {**LAW, "generator": Pixels(), "sampler": "sgld", "step_size": STEP}
FEW = {**EXACT, "steps": 10}


def test_an_image_of_one_tile_is_sampled_as_a_whole():
    whole = bdip.sample(NOISY, seed=3, **FEW)
    tiled = bdip.sample_tiled(NOISY, tile=44, seed=3, **FEW)
    assert np.array_equal(whole.mean, tiled.mean)
    assert np.array_equal(whole.draws, tiled.draws)
    assert "tiles" not in tiled.settings


def test_outside_the_overlaps_the_answer_is_the_tiles_own():
    tiled = bdip.sample_tiled(NOISY, tile=24, overlap=4, seed=5, **FEW)
    assert tiled.settings["tiles"]["counts"] == [1, 2]
    first = bdip.sample(NOISY[:, :24], seed=tile_seed(5, 0), **FEW)
    assert np.array_equal(tiled.mean[:, :20], first.mean[:, :20])
    assert np.array_equal(tiled.std[:, :20], first.std[:, :20])
    # A draw is taken apart into mean and the rest, and put together again: two roundings.
    np.testing.assert_allclose(
        tiled.draws[..., :20], first.draws[..., :20], atol=4 * np.finfo(np.float32).eps
    )


def test_mean_and_std_have_the_law_of_each_pixel_in_the_overlaps_too():
    steps, kept = 3000, 2400
    noisy = np.clip(NOISY, 0.001, 0.999)  # at the ends of the range it would be taken as clipped
    tiled = bdip.sample_tiled(noisy, tile=24, overlap=8, steps=steps, warmup=steps - kept, **EXACT)
    # The chain's law: mean y/(1 + λσ²), variance 1/(l(1 − εl/4)); its memory is r = 1 − εl/2 a step, so that
    # kept steps are worth kept(1 − r)/(1 + r) for the mean and kept(1 − r²)/(1 + r²)/2 for the variance.
    variance = 1 / (CURVATURE * (1 - STEP * CURVATURE / 4))
    memory = 1 - STEP * CURVATURE / 2
    mean_error = math.sqrt(variance * (1 + memory) / (1 - memory) / kept)
    variance_error = variance * math.sqrt(2 * (1 + memory**2) / (1 - memory**2) / kept)
    np.testing.assert_allclose(tiled.mean, noisy / (1 + PRECISION * STD**2), atol=5 * mean_error)
    np.testing.assert_allclose(tiled.std**2, variance, atol=5 * variance_error)


def test_sigma_and_range_are_those_of_the_whole_image():
    levels = np.where(np.arange(44) < 22, 0.1, 0.9) + 0.1 * NOISY
    options = FEW | {"noise_std": None, "data_range": None}
    whole = bdip.sample(levels, **options)
    tiled = bdip.sample_tiled(levels, tile=24, overlap=4, **options)
    for name in ("noise_std", "data_range", "observed_values", "noise", "channel_axis", "steps"):
        assert tiled.settings[name] == whole.settings[name], name
    assert tiled.reported == whole.reported


def test_a_map_of_sigma_a_mask_and_colours_are_cut_with_their_tile():
    colour = np.stack([NOISY, 1 - NOISY, NOISY / 2])
    stds = np.full(colour.shape, 0.1, np.float32)
    stds[1, :, 30:] = 0.4
    known = np.random.default_rng(2).random(NOISY.shape) < 0.7
    options = {**FEW, "tile": 16, "overlap": 4, "steps": 30}
    first = bdip.sample_tiled(colour, known, channel_axis=0, **options | {"noise_std": stds})
    last = bdip.sample_tiled(
        np.moveaxis(colour, 0, -1), missing=~known, channel_axis=-1,
        **options | {"noise_std": np.moveaxis(stds, 0, -1)},
    )  # fmt: skip
    assert first.mean.shape == first.std.shape == (3, 20, 44)
    assert first.draws.shape[2:] == (3, 20, 44)
    assert np.array_equal(first.mean, np.moveaxis(last.mean, -1, 0))
    assert np.array_equal(first.draws, np.moveaxis(last.draws, -1, 2))
    assert first.probe.shape[2] == 3
    assert first.settings["observed_values"] == 3 * known.sum()


def test_pixels_held_out_are_hidden_from_every_tile_that_has_them():
    tiled = bdip.sample_tiled(
        NOISY, tile=24, overlap=12, holdout=0.1, steps=1500,
        **EXACT | {"noise_std": 0.1, "step_size": 0.002},
    )  # fmt: skip
    hidden = np.isfinite(tiled.holdout)
    assert hidden.sum() == round(0.1 * NOISY.size)
    assert tiled.settings["holdout"] == 0.1
    assert np.array_equal(tiled.holdout[hidden], NOISY[hidden])
    # Seen pixels have a standard deviation of about 0.1, hidden ones the prior's, 0.7, of which even a chain
    # too short for it reaches more than that: its steps of √ε = 0.045 make 0.045·√600 = 1.1 of a free walk.
    assert tiled.std[hidden].min() > 0.15 > tiled.std[~hidden].max()


def test_all_tiles_share_one_program():
    options = FEW | {"generator": CountingPixels()}
    bdip.sample_tiled(NOISY[:, :32], tile=20, overlap=8, **options)
    traced = len(CountingPixels.traces)
    bdip.sample_tiled(NOISY, tile=20, overlap=8, **options)
    assert len(CountingPixels.traces) == traced > 0


def test_ctrl_c_ends_it_and_what_was_not_begun_is_nan():
    def press(progress):
        assert isinstance(progress, TileProgress)
        if progress.tile == 1 and progress.step >= 5:
            signal.raise_signal(signal.SIGINT)

    options = {**FEW, "settings": bdip.Settings(block=1)}
    tiled = bdip.sample_tiled(NOISY, tile=16, overlap=4, callback=press, **options)
    assert not tiled.complete
    assert [each["complete"] for each in tiled.settings["tiles"]["each"]] == [True, False]
    assert np.isfinite(tiled.mean[:16, :16]).all()
    assert np.isnan(tiled.mean[:, -1]).all()
    assert "2 of 2 × 4 of 16 × 16 pixels" in tiled.summary()


def test_every_tile_has_its_share_of_the_time():
    options = {**FEW, "settings": bdip.Settings(block=1)} | {"steps": 10**6}
    tiled = bdip.sample_tiled(NOISY, tile=24, overlap=4, time_limit=0.4, **options)
    assert not tiled.complete
    assert len(tiled.settings["tiles"]["each"]) == 2
    assert np.isfinite(tiled.mean).all()


def test_tiles_that_end_by_themselves_are_joined_where_their_warm_ups_end():
    def tile(chi2, warmup, values):
        chi2 = np.array([chi2], np.float32)
        trace = {"energy": 10 * chi2, "chi2": chi2}
        settings = {"warmup": warmup, "observed_values": values}
        return bdip.Posterior(*3 * [np.zeros((1, 1), np.float32)], trace, settings)

    found = trace_of([tile([9, 8, 1, 2], 2, 30), tile([7, 3, 4, 5], 1, 10)])
    # The second starts a step later and goes on a step longer; weights are 3 and 1.
    np.testing.assert_allclose(found["chi2"], [[9, 31 / 4, 6 / 4, 10 / 4, 5]], rtol=1e-6)
    np.testing.assert_allclose(found["energy"], [[90, 150, 40, 60, 50]], rtol=1e-6)


def test_chains_end_by_themselves_tile_by_tile(tmp_path):
    options = {**EXACT, "max_steps": 600, "target_mcse": 10.0}
    tiled = bdip.sample_tiled(NOISY, tile=24, overlap=4, **options)
    assert tiled.settings["stopped"]["reached"]  # in the first look: ten is no precision at all
    assert tiled.trace["chi2"].shape[1] == tiled.settings["steps"]
    tiled.save(tmp_path / "tiled.npz")
    assert bdip.Posterior.load(tmp_path / "tiled.npz").summary() == tiled.summary()


def test_chi2_of_the_blended_draws_is_told():
    tiled = bdip.sample_tiled(NOISY, tile=24, overlap=4, **FEW)
    residuals = (tiled.draws[0] - NOISY) / STD
    # Sums of 880 squares in float32.
    assert tiled.settings["tiles"]["chi2"] == pytest.approx((residuals**2).mean(), rel=1e-5)


def test_an_estimate_is_of_one_tiles_memory_and_of_all_tiles_time():
    one = bdip.estimate(NOISY[:16, :16], **{k: v for k, v in FEW.items() if k != "progress"})
    all_tiles = estimate_tiled(
        NOISY, tile=16, overlap=4, **{k: v for k, v in FEW.items() if k != "progress"}
    )
    assert all_tiles.steps == 8 * one.steps
    assert all_tiles.bytes <= one.bytes  # fewer draws: there is one room for those of all tiles


@pytest.mark.parametrize(("rows", "last"), [(6, None), (9, "softsign")])
def test_all_tiles_have_the_generator_of_the_whole_pictures_holes(monkeypatch, rows, last):
    mask = np.ones(NOISY.shape, bool)
    mask[2 : 2 + rows, 2:10] = False  # in the first tile
    seen = []
    monkeypatch.setattr(api, "estimate", lambda *_, generator, **__: seen.append(generator) or bdip.Estimate(1, 2))  # fmt: skip
    estimate_tiled(NOISY, mask, tile=16, overlap=4, noise_std=0.1)
    assert seen == [bdip.Pyramid(last_activation=last)]


HOLE = np.ones(NOISY.shape, bool)
HOLE[:, 20:] = False
WRONG = {
    "an overlap of more than half": ({"overlap": 13}, "from 0 to 12, half a tile"),
    "no tile": ({"tile": 0}, "tile is 0"),
    "a hole as large as a tile": ({"mask": HOLE}, "which is a whole tile"),
    "a step for each pixel": (
        {"noise_std": None, "noise": bdip.Rounding(np.ones(NOISY.shape))},
        "give numbers",
    ),
    "a map of clipped noise": (
        {"noise_std": None, "noise": bdip.Clipped(np.ones(NOISY.shape))},
        "of clipped noise tiles take one σ",
    ),
    "an operator": ({"operator": bdip.Downsample(2)}, "operator is Downsample"),
    "a mask of another shape": ({"mask": np.ones((3, 3), bool)}, "mask has shape"),
    "no time": ({"time_limit": 0}, "time_limit is 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_said_before_any_work(name):
    changes, expected = WRONG[name]
    with pytest.raises((bdip.ProblemError, bdip.SettingsError), match=expected):
        bdip.sample_tiled(NOISY, **{"tile": 24, "overlap": 4} | FEW | changes)


def test_a_divergence_says_in_which_tile():
    with pytest.raises(bdip.DivergedError, match="tile 1 of 2: the energy of chain 0"):
        bdip.sample_tiled(
            NOISY,
            tile=24,
            overlap=4,
            **FEW | {"step_size": 1e30, "settings": bdip.Settings(step_halvings=0)},
        )
