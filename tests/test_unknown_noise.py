"""Noise that is a map, sampled, or of photons: from the front door to the answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip.likelihood import Clipped, Gaussian, PoissonGaussian, Rounding, UnknownGaussian
from bdip.operators import Downsample
from bdip.potential import energy
from bdip.problem import ProblemError, pose
from bdip.samplers import Constant
from tests.fakes import Bars, CountingPixels, Perceptron, Pixels

RNG = np.random.default_rng(3)
NOISY = RNG.normal(0.5, 0.2, (10, 9))
HALF = RNG.random((10, 9)) < 0.5
STDS = RNG.uniform(0.05, 0.3, (10, 9))
PHOTONS = bdip.PoissonGaussian(gain=0.1, read_noise=0.05)
NOISES = {
    "sampled": {"noise_std": "sample"},
    "a map": {"noise_std": STDS},
    "photons": {"noise": PHOTONS},
}  # fmt: skip
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)


PLAIN = {"generator": Perceptron(), "sampler": "sgld", "steps": 40, "warmup": 10, "data_range": (0, 1)}  # fmt: skip


def run(image=NOISY, mask=None, **options):
    """A short quiet run, in the unit range."""
    return bdip.sample(image, mask, **PLAIN | {"progress": False} | options)


def assert_same(first, second):
    for name in ("mean", "std", "draws"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.trace.keys() == second.trace.keys()
    for name in first.trace:
        np.testing.assert_array_equal(first.trace[name], second.trace[name])


# --------------------------------------------------------------------------- the whole way


def every_noise_with(cheap, other, once):
    """Each noise with the sampler `cheap`; with the `other` only the noise `once`, the rest being slow."""
    pairs = [pytest.param(noise, cheap, id=f"{name}-{cheap}") for name, noise in NOISES.items()]
    pairs += [
        pytest.param(noise, other, id=f"{name}-{other}", marks=() if name == once else pytest.mark.slow)
        for name, noise in NOISES.items()
    ]  # fmt: skip
    return pytest.mark.parametrize(("noise", "sampler"), pairs)


@every_noise_with("sgld", "mclmc", once="sampled")
def test_the_length_of_blocks_changes_nothing(noise, sampler):
    whole = run(**noise, sampler=sampler, settings=bdip.Settings(block=40))
    assert_same(run(**noise, sampler=sampler, settings=bdip.Settings(block=1)), whole)
    assert_same(run(**noise, sampler=sampler, settings=bdip.Settings(block=7)), whole)


@every_noise
def test_a_run_is_saved_with_its_noise_in_json_types(noise, tmp_path):
    posterior = run(**noise, chains=2)
    posterior.save(tmp_path / "answer.npz")
    loaded = bdip.Posterior.load(tmp_path / "answer.npz")
    assert_same(loaded, posterior)
    assert loaded.settings == posterior.settings
    assert loaded.summary() == posterior.summary()
    assert loaded.noise_std == posterior.noise_std


@every_noise_with("sgld", "psgld", once="photons")
def test_colour_masks_and_operators_go_with_every_noise(noise, sampler):
    colour = np.stack([NOISY, NOISY, 0.9 * NOISY])
    posterior = run(
        colour, RNG.random((10, 9)) < 0.8, channel_axis=0, operator=Downsample(2), sampler=sampler, **noise
    )  # fmt: skip
    assert posterior.mean.shape == (3, 20, 18)
    assert np.isfinite(posterior.mean).all()
    assert posterior.std.min() > 0


@every_noise
def test_what_a_run_takes_is_told_beforehand(noise):
    found = bdip.estimate(NOISY, **PLAIN, **noise)
    assert found.fits
    assert found.bytes > 0


def test_one_program_serves_all_blocks_of_a_sampled_noise():
    CountingPixels.traces.clear()
    run(generator=CountingPixels(), noise_std="sample", settings=bdip.Settings(block=3))
    first = len(CountingPixels.traces)
    run(generator=CountingPixels(), noise_std="sample", seed=1)
    assert len(CountingPixels.traces) == first


# ------------------------------------------------------------------------------- sampled


def test_a_sampled_sigma_is_traced_and_summed_up_in_the_units_of_the_image():
    unit = run(noise_std="sample")
    wide = run(255 * NOISY, noise_std="sample", data_range=(0, 255))
    # The same numbers inside, but for the rounding of the data by 6e-8, which 40 steps of a chain
    # that contracts do not enlarge a thousandfold.
    np.testing.assert_allclose(wide.trace["noise_std"], 255 * unit.trace["noise_std"], rtol=1e-4)
    np.testing.assert_allclose(wide.mean, 255 * unit.mean, rtol=1e-4, atol=1e-2)
    kept = wide.trace["noise_std"][:, 10:].astype(float)
    weights = wide.trace["step_size"][:, 10:].astype(float)
    mean = (kept * weights).sum() / weights.sum()
    spread = np.sqrt((weights * (kept - mean) ** 2).sum() / weights.sum())
    assert wide.noise_std == pytest.approx((mean, spread))
    assert f"noise std {mean:.4g} ± {spread:.2g}, sampled (estimated: " in wide.summary()
    assert "σ goes with them" in wide.summary()
    assert wide.settings["noise"]["name"] == "UnknownGaussian"
    assert wide.settings["noise"]["start"] == wide.settings["noise_std"]


def test_chains_have_each_their_own_sigma():
    trace = run(noise_std="sample", chains=2).trace["noise_std"]
    assert trace.shape == (2, 40)
    assert (trace[0] != trace[1]).all()


def test_the_sigma_of_a_step_is_of_no_key_that_moves_the_weights():
    # At fixed weights (a step of nearly zero) the draws of σ are independent from step to step: the
    # correlation of 3,000 neighbours has the standard error 1/√3000, and so has that with the step's χ.
    still = {"sampler": "sgld", "step_size": 1e-20, "generator": Bars(), "steps": 3000, "warmup": 0}
    sigma = run(noise_std="sample", **still).trace["noise_std"][0].astype(float)
    assert abs(np.corrcoef(sigma[1:], sigma[:-1])[0, 1]) < 4 / np.sqrt(3000)
    # Of n + w = 91 values, σ has the relative spread 1/√(2 · 91), of relative standard error 1/√6000.
    spread = sigma.std() / sigma.mean() * np.sqrt(2 * 91)
    assert abs(spread - 1) < 4 / np.sqrt(6000) + 3 / 91  # the law is not quite normal: O(1/n)


def test_a_sigma_of_nothing_kept_is_none():
    posterior = run(noise_std="sample", time_limit=1e-9, settings=bdip.Settings(block=1))
    assert np.isnan(posterior.noise_std).all()
    assert "INCOMPLETE" in posterior.summary()


def test_a_known_sigma_is_what_it_was_and_has_no_trace():
    posterior = run(noise_std=0.2)
    assert posterior.noise_std == (0.2, 0.0)
    assert "noise_std" not in posterior.trace
    assert posterior.settings["noise"] == {"name": "Gaussian", "std": 0.2}


def share_of_step(posterior):
    """The step size after the warm-up, as a part of the usual one."""
    sizes = posterior.trace["step_size"][0]
    usual = bdip.samplers.REGISTRY["psgld"].default(1.0, 1, 0).step_size
    assert sizes[0] == np.float32(usual.hot)
    return sizes[-1] / usual.cold


@pytest.mark.parametrize("noise", ["given", "a pixel", "sample"])
@pytest.mark.parametrize("std", [5.0, 15.0, 60.0])
def test_the_step_after_the_warm_up_is_smaller_below_25_grey_levels_in_proportion_to_four_tenths(
    std, noise
):
    image = 128 + std * RNG.standard_normal((16, 16))
    noise_std = {"given": std, "a pixel": np.full((16, 16), std), "sample": "sample"}[noise]
    posterior = run(
        image, generator=Pixels(), sampler="psgld", noise_std=noise_std, data_range=(0, 255)
    )
    expected = min(1, max(0.4, posterior.settings["noise_std"] / 25))
    assert share_of_step(posterior) == pytest.approx(expected, rel=1e-5)
    assert (expected < 1) == (std < 25)
    assert (expected == 0.4) == (std < 10)


def test_the_step_after_the_warm_up_goes_with_what_an_operator_leaves_of_a_pixel():
    # A mean of 2 × 2 pixels has a row of norm ½: σ is 16 levels at a pixel where it is 8 in the data.
    image = RNG.normal(0.5, 0.05, (24, 24))
    posterior = run(
        image, generator=Pixels(), sampler="psgld", operator=Downsample(2), noise_std=8 / 255
    )
    # (Av)² of random signs v is 0, ¼ or 1 with chances ⅜, ½ and ⅛: mean ¼, variance 3/32. The relative standard
    # error of its mean over 576 is 0.051, and that of σ at a pixel, which goes as its −½th power, 0.026.
    assert share_of_step(posterior) == pytest.approx(16 / 25, rel=4 * 0.026)


@pytest.mark.parametrize("noise_std", [0.02, "sample"])
def test_a_step_size_that_is_given_stays(noise_std):
    samplers = ({"sampler": "mclmc", "step_size": 0.002}, {"sampler": bdip.samplers.Psgld(Constant(0.002))})  # fmt: skip
    for given in samplers:
        found = run(generator=Pixels(), noise_std=noise_std, **given)
        assert found.trace["step_size"][0, -1] == np.float32(0.002)


@pytest.mark.parametrize("sampler", ["adam", "sgd", "gp-dip"])
def test_a_descent_cannot_sample_its_noise(sampler):
    with pytest.raises(bdip.SettingsError, match="noise_std is sample: expected a number, unless"):
        run(noise_std="sample", sampler=sampler)


def test_the_published_recipe_takes_no_photon_noise_and_descents_do():
    with pytest.raises(bdip.SettingsError, match="noise is PoissonGaussian: expected noise_std"):
        run(noise=PHOTONS, sampler="gp-dip")
    energies = run(noise=PHOTONS, generator=Pixels(), sampler="adam").trace["energy"][0]
    assert energies[-1] < energies[0]


# ---------------------------------------------------------------------------------- maps


def test_a_map_of_one_value_gives_the_answer_of_that_value():
    one, many = run(noise_std=0.2), run(noise_std=np.full((10, 9), 0.2))
    # The sums are rounded in another order, 6e-8 of each; a contracting chain does not enlarge that.
    np.testing.assert_allclose(many.mean, one.mean, rtol=0, atol=1e-4)
    assert many.noise_std == pytest.approx((0.2, 0))


def test_a_map_follows_the_axes_and_the_units_of_the_image():
    image, stds = 10 * RNG.random((3, 4, 5)), RNG.uniform(1, 2, (3, 4, 5))
    problem, units = pose(image, noise_std=stds, channel_axis=0, data_range=(0, 10))
    np.testing.assert_allclose(problem.noise_std, np.moveaxis(stds, 0, -1) / 10, rtol=1e-6)
    assert problem.information == pytest.approx((100 / stds**2).sum(), rel=1e-5)
    assert units.noise_std == np.median(stds)
    assert units.noise == {
        "name": "Gaussian", "median": np.median(stds), "low": stds.min(), "high": stds.max(),
    }  # fmt: skip


def test_what_stands_in_a_map_where_nothing_is_observed_changes_nothing():
    answers = [
        run(mask=HALF, noise_std=np.where(HALF, STDS, filling))
        for filling in (1, 0, np.nan, -5, np.inf)
    ]
    for other in answers[1:]:
        assert_same(other, answers[0])


def test_pixels_are_known_as_well_as_the_map_says():
    # One weight a pixel and a prior of precision 4: variance 1/(1/σ² + 4). Nearly independent
    # draws: 1 − εl/2 is 0.2 to 0.96 for l = 4 + 1/σ² from 15 to 300 at ε = 0.005.
    posterior = run(
        generator=Pixels(), sampler="sgld", step_size=0.005, steps=20_000, warmup=2000,
        noise_std=STDS, weight_precision=4.0,
    )  # fmt: skip
    curvature = 4 + 1 / STDS**2
    expected = 1 / (curvature * (1 - 0.005 * curvature / 4))  # Euler's stationary law
    memory = 1 - 0.005 * curvature / 2
    independent = 18_000 * (1 - memory**2) / (1 + memory**2)
    errors = (posterior.std**2 / expected - 1) / np.sqrt(2 / independent)
    assert np.abs(errors).max() < 4.5


def test_the_summary_tells_median_and_range_of_a_map():
    text = run(noise_std=STDS).summary()
    assert f"noise std {np.median(STDS):.4g} (median; {STDS.min():.4g} to {STDS.max():.4g})" in text


# ------------------------------------------------------------------------------- photons


def test_the_variance_of_photons_is_that_of_what_the_operator_makes():
    # One box of mean 2.5 against the datum 1; v = 0.4 · 2.5 + 0.5² = 1.25; r²/2v = 0.9.
    noise = bdip.PoissonGaussian(gain=0.4, read_noise=0.5, offset=0.0)
    problem, _ = pose([[1.0]], noise=noise, data_range=(0, 1), operator=Downsample(2), weight_precision=2.0)  # fmt: skip
    image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
    value, terms = energy({"image": image}, Pixels(), jnp.zeros((1, 1, 1)), problem)
    assert terms.misfit == pytest.approx(0.9 + np.log(1.25) / 2, rel=1e-6)
    assert terms.chi2 == pytest.approx(1.8, rel=1e-6)
    assert value == pytest.approx(30 + float(terms.misfit), rel=1e-6)


def test_photons_are_counted_from_the_low_end_unless_an_offset_is_given_and_the_user_is_told():
    image = np.array([[100.0, 300.0]])
    problem, units = pose(image, noise=bdip.PoissonGaussian(2.0, 3.0), data_range=(100, 300))
    # At the data: √9 = 3 and √(2 · 200 + 9) = 20.22, of a range of 200.
    np.testing.assert_allclose(problem.noise_std[0, :, 0], [3 / 200, np.sqrt(409) / 200], rtol=1e-5)
    assert "no light at 100, the low end of the data range" in units.reported[-1]
    problem, units = pose(image, noise=bdip.PoissonGaussian(2.0, 3.0, 50.0), data_range=(100, 300))
    np.testing.assert_allclose(problem.noise_std[0, 0, 0], np.sqrt(109) / 200, rtol=1e-5)
    assert units.reported == ()
    assert units.noise["offset"] == 50


def test_the_summary_tells_the_numbers_of_the_photon_noise():
    text = run(noise=PHOTONS).summary()
    assert "noise     Poisson–Gaussian: gain 0.1, read noise 0.05, no light at 0; std" in text


# ------------------------------------------------------------------------------ rounding


def test_steps_are_in_the_units_of_the_data():
    image = np.array([[100.0, 150.0, np.nan]])
    problem, units = pose(image, noise=bdip.Rounding(10.0, 4.0), data_range=(100, 300))
    np.testing.assert_allclose([problem.noise.step, problem.noise.noise_std], [0.05, 0.02])
    assert units.noise_std == pytest.approx(np.sqrt(100 / 12 + 16))
    assert units.noise == {"name": "Rounding", "step": 10.0}
    steps = bdip.Rounding(np.array([[10.0, 20.0, np.nan]]))  # where nothing is observed, any
    problem, units = pose(image, noise=steps, data_range=(100, 300))
    np.testing.assert_allclose(problem.noise.step[0, :2, 0], [0.05, 0.1])
    assert np.isfinite(problem.noise.step).all()
    assert units.noise["step"] == 15.0
    assert units.noise["high"] == pytest.approx(20 * np.sqrt(1 / 12 + 0.01))


def test_a_picture_of_few_grey_levels_is_told_to_have_been_rounded():
    posterior = run(noise=bdip.Rounding(0.2))
    assert "noise     rounding to steps of 0.2, std 0.06" in posterior.summary()
    assert posterior.settings["rounded"]
    assert "input" in {axes.get_title() for axes in posterior.plot().axes}


def test_clipped_noise_ends_where_the_range_does_unless_it_is_said():
    image = np.array([[0, 3, 200, 255]], np.uint8)
    problem, units = pose(image, noise=bdip.Clipped(25))
    np.testing.assert_allclose(problem.noise.noise.std, 25 / 255, rtol=1e-6)
    at_ends = (problem.data <= problem.noise.low) | (problem.data >= problem.noise.high)
    assert np.asarray(at_ends[0, :, 0]).tolist() == [True, False, False, True]
    assert units.noise == {"name": "Gaussian", "std": 25, "clipped": [0, 255]}
    assert "clipped: 50.0 % of values" in units.reported


@pytest.mark.parametrize("high", [4095, 4094.999, 65535 / 7])
def test_a_detector_saturates_below_the_brightest_that_there_can_be(high):
    image = np.array([[100.0, high - 1, high, np.nan]])
    camera = bdip.Clipped(bdip.PoissonGaussian(2.0, 3.0, offset=50.0), high=high)
    problem, units = pose(image, noise=camera, data_range=(0, 30_000))
    above = np.asarray(problem.data >= problem.noise.high)[0, :, 0]
    assert above[:3].tolist() == [False, False, True]
    np.testing.assert_allclose(
        problem.noise.std_at(problem.data)[0, 0, 0], np.sqrt(109) / 30_000, rtol=1e-5
    )
    assert (units.noise["clipped"], units.noise["offset"]) == ([0, high], 50)


CUT_OFF = np.clip(
    np.rint(np.linspace(0, 255, 40) + np.random.default_rng(0).normal(0, 20, (40, 40))), 0, 255
).astype(np.uint8)


def test_noise_that_was_cut_off_at_the_ends_of_the_range_is_recognised():
    for noise_std in (20, None, np.full((40, 40), 20.0)):
        problem, units = pose(CUT_OFF, noise_std=noise_std)
        assert isinstance(problem.noise, Clipped)
        assert units.noise["clipped"] == [0, 255]
    problem, _ = pose(CUT_OFF, noise_std=20, recognise=False)
    assert problem.noise == Gaussian(20 / 255)


def test_a_clean_picture_whose_black_is_black_has_no_noise_that_was_cut_off():
    clean = np.clip(np.linspace(-60, 300, 40), 0, 255).astype(np.uint8) * np.ones((40, 1), np.uint8)
    problem, units = pose(clean)
    assert isinstance(problem.noise, Gaussian)
    assert units.noise["std"] == 5
    assert isinstance(pose(clean, noise_std=5)[0].noise, Clipped)  # who says there is some has it


BEYOND = CUT_OFF.astype(float)
BEYOND[20, 20] = 256
FEW = np.clip(CUT_OFF, 1, 254)
FEW.flat[:15] = 255  # of 1,600 less than 1 %
NORMAL = {
    "one value is beyond": {"image": BEYOND, "data_range": (0, 255)},
    "few are at the ends": {"image": FEW},
    "a small picture of floats has its extremes": {"image": np.random.default_rng(0).normal(100, 30, (16, 16))},
    "the range goes on": {"image": CUT_OFF, "data_range": (-1, 256)},
    "what is at the ends is not observed": {"image": CUT_OFF, "mask": (CUT_OFF > 0) & (CUT_OFF < 255)},
    "data of another unit": {
        "image": CUT_OFF, "operator": bdip.FromFunction(lambda x: 2 * x, lambda shape: shape), "data_range": (0, 127.5),
    },
}  # fmt: skip


@pytest.mark.parametrize("options", NORMAL.values(), ids=NORMAL)
def test_noise_is_normal_where_nothing_says_that_it_was_cut_off(options):
    assert isinstance(pose(noise_std=20, **options)[0].noise, Gaussian)


def test_a_sampled_sigma_and_a_descent_take_values_at_the_ends_as_they_are():
    assert isinstance(pose(CUT_OFF, noise_std="sample")[0].noise, UnknownGaussian)
    few = {"generator": Perceptron(), "steps": 4, "progress": False, "noise_std": 20}
    for sampler, clipped in (("sgd", False), ("sgld", True)):
        for options in ({}, {"tile": 32, "overlap": 8}):
            solve = bdip.sample_tiled if options else bdip.sample
            posterior = solve(CUT_OFF, sampler=sampler, **few, **options)
            assert ("clipped" in posterior.settings["noise"]) == clipped


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [20, 50])
def test_the_sigma_of_clipped_noise_is_estimated_far_from_the_ends(seed, levels):
    clean = np.where(np.arange(256) < 128, 250.0, 100.0) * np.ones((256, 1))
    unclipped = clean + np.random.default_rng(seed).normal(0, levels, clean.shape)
    noisy = np.clip(np.rint(unclipped), 0, 255).astype(np.uint8)
    found, as_it_is = (pose(noisy, recognise=each)[1].noise_std for each in (True, False))
    assert as_it_is < 0.85 * levels  # half of the picture is cut off
    # The median of 30,000 |d|, four of which share a pixel, has a standard error of 1.2 % at most; one σ
    # from an end 4 % of the pixels of a block are still cut off, which takes 2 % of σ at most.
    assert found == pytest.approx(levels, rel=0.05)


def test_clipped_noise_is_told_and_kept_with_the_answer(tmp_path):
    posterior = run(noise=bdip.Clipped(0.1, 0.2, 0.8), holdout=0.1)
    assert "noise std 0.1, clipped at 0.2 and 0.8" in posterior.summary()
    assert len(posterior.held_out()[0]) == 9
    posterior.save(tmp_path / "answer.npz")
    assert bdip.Posterior.load(tmp_path / "answer.npz").settings["noise"]["clipped"] == [0.2, 0.8]


# -------------------------------------------------------------------------------- errors

ERRORS = {
    "noise and noise_std": ({"noise": PHOTONS, "noise_std": 0.1}, "both given.*pass one"),
    "a word": ({"noise_std": "sampel"}, "noise_std is 'sampel': expected a positive.*\"sample\""),
    "a map of another size": (
        {"noise_std": STDS[:-1]}, r"shape \(9, 9\) but image has shape \(10, 9\): expected one",
    ),
    "a map with zeros": ({"noise_std": np.where(HALF, STDS, 0)}, "values that are no positive"),
    "a map with NaN": ({"noise_std": np.where(HALF, STDS, np.nan)}, "mark those pixels as missing"),
    "a map of truths": ({"noise_std": HALF}, "dtype bool"),
    "a number as noise": ({"noise": 0.1}, "noise is 0.1: expected a bdip.PoissonGaussian"),
    "no gain": ({"noise": bdip.PoissonGaussian(0.0)}, "gain is 0.0: expected a number above 0"),
    "a gain of NaN": ({"noise": bdip.PoissonGaussian(np.nan)}, "gain is nan"),
    "a negative read noise": ({"noise": bdip.PoissonGaussian(1.0, -1.0)}, "read_noise is -1.0"),
    "no step": ({"noise": bdip.Rounding(0.0)}, "step is 0.0: expected a number above 0"),
    "steps of another size": ({"noise": bdip.Rounding(STDS[:-1])}, r"step has dtype float64 and shape \(9, 9\)"),
    "steps of which some are none": ({"noise": bdip.Rounding(np.where(HALF, STDS, 0))}, "step is not above 0 everywhere"),
    "less than no noise before rounding": ({"noise": bdip.Rounding(1.0, -1.0)}, "noise_std is -1.0: expected a number of at least 0"),
    "clipped and sampled": ({"noise": bdip.Clipped("sample")}, "of clipped noise σ is not sampled"),
    "clipped rounding": ({"noise": bdip.Clipped(bdip.Rounding(1.0))}, "noise_std is Rounding.*expected a positive"),
    "clipped at no number": ({"noise": bdip.Clipped(0.1, low=np.nan)}, "low is nan: expected a number"),
    "clipped the other way round": ({"noise": bdip.Clipped(0.1, 1.0, 0.0)}, "clipped at 1 and 0: expected the low end first"),
    "a map of clipped noise and pixels held out": (
        {"noise": bdip.Clipped(STDS), "holdout": 0.1}, "holdout needs one σ",
    ),
    "an offset of words": ({"noise": bdip.PoissonGaussian(1.0, 0.0, "dark")}, "offset is dark"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), ERRORS.values(), ids=ERRORS)
def test_what_is_no_noise_is_refused_with_the_remedy(options, message):
    with pytest.raises(ProblemError, match=message) as caught:
        run(**options)
    assert "\n" not in str(caught.value)


def test_the_laws_are_pytrees_whose_numbers_are_leaves():
    laws = (Gaussian(1.0), UnknownGaussian(1.0), PoissonGaussian(1.0, 1.0, 1.0), Rounding(1.0, 1.0))
    assert [len(jax.tree.leaves(law)) for law in laws] == [1, 2, 3, 2]
    assert len(jax.tree.leaves(Clipped(Gaussian(1.0), 0.0, 1.0))) == 3
