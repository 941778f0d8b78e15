"""The front door, end to end: any image, any sampler, and every way out."""

import os
import signal
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip.api import job_of
from bdip.chain import run_block
from bdip.samplers import REGISTRY, Constant, Cooling, Polynomial, Psgld, Sgd, Sgld
from tests import laws
from tests.fakes import CountingPixels, JitteredPixels, PaddedPixels, Pixels

TINY = bdip.Hourglass(scales=1, channels_down=4, channels_up=4, channels_skip=2, latent_channels=4)
NOISY = np.random.default_rng(0).normal(0.5, 0.2, (8, 8))


def run(image=NOISY, mask=None, **options):
    """A short quiet run on pixels, in the unit range."""
    plain = {
        "generator": Pixels(), "sampler": "sgld", "steps": 20, "noise_std": 0.2, "data_range": (0, 1),
        "progress": False,
    }  # fmt: skip
    return bdip.sample(image, mask, **{**plain, **options})


def assert_same(first, second):
    for name in ("mean", "std", "draws"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in first.trace:
        np.testing.assert_array_equal(first.trace[name], second.trace[name])


# ----------------------------------------------------------------- any image, any sampler

IMAGES = {
    "odd grey": (RNG := np.random.default_rng(1)).normal(0.5, 0.1, (17, 23)),
    "grey uint16": RNG.integers(1000, 60_000, (17, 23), np.uint16),
    "colour uint8": RNG.integers(0, 256, (16, 15, 3), np.uint8),
    "channels first": RNG.normal(-100, 5, (3, 16, 15)).astype(np.float32),
    "one pixel": np.array([[7]], np.uint8),
}
OPTIONS = {"channels first": {"channel_axis": 0}, "one pixel": {"noise_std": 2.0}}


def check_answer(image, posterior, steps=20):
    """Shapes, types and ranges that hold for every image and sampler whose output is a sigmoid."""
    whole = np.iinfo(image.dtype) if image.dtype.kind in "ui" else None
    low, high = (whole.min, whole.max) if whole else (image.min(), image.max())
    slack = 1e-6 * (high - low)
    for found in (posterior.mean, *posterior.draws.reshape(-1, *image.shape)):
        assert found.shape == image.shape
        assert found.dtype == np.float32
        assert low - slack <= found.min()
        assert found.max() <= high + slack
    assert posterior.std.shape == image.shape
    assert posterior.std.dtype == posterior.draws.dtype == np.float32
    assert posterior.complete
    for column in posterior.trace.values():
        assert column.shape == (1, steps)
        assert column.dtype == np.float32
        assert np.isfinite(column).all()
    text = posterior.summary()
    assert " × ".join(str(n) for n in image.shape) in text


@pytest.mark.parametrize("name", IMAGES)
def test_any_image_comes_back_in_its_own_shape_and_range(name):
    image = IMAGES[name]
    posterior = bdip.sample(
        image, generator=PaddedPixels(), steps=20, progress=False, **OPTIONS.get(name, {})
    )
    check_answer(image, posterior)
    assert (posterior.std > 0).all()


@pytest.mark.parametrize("name", REGISTRY)
def test_any_sampler_answers_and_only_descents_leave_out_the_uncertainty(name):
    posterior = bdip.sample(
        IMAGES["odd grey"], generator=PaddedPixels(), sampler=name, steps=20, progress=False
    )
    check_answer(IMAGES["odd grey"], posterior)
    uncertain = REGISTRY[name].uncertain
    # 20 steps, 8 of them warm-up.
    assert posterior.draws.shape == (1, 12 if uncertain else 0, 17, 23)
    assert np.isfinite(posterior.std).all() if uncertain else np.isnan(posterior.std).all()
    assert ("none: this run gives no uncertainty" in posterior.summary()) != uncertain
    assert posterior.settings["sampler"]["name"] == REGISTRY[name].__name__


def test_a_real_network_restores_an_odd_image_with_a_hole():
    image = np.random.default_rng(2).normal(0.5, 0.1, (15, 17))
    image[3:6, 4:9] = np.nan
    posterior = bdip.sample(image, generator=TINY, steps=20, progress=False)
    check_answer(np.nan_to_num(image, nan=0.5), posterior)
    assert np.isfinite(posterior.mean).all()
    assert (posterior.std > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", REGISTRY)
@pytest.mark.parametrize("name", ["odd grey", "colour uint8", "grey uint16", "channels first"])
def test_a_real_network_restores_any_image_with_any_sampler(name, sampler):
    image = IMAGES[name]
    posterior = bdip.sample(
        image, generator=TINY, sampler=sampler, steps=20, progress=False, **OPTIONS.get(name, {})
    )
    check_answer(image, posterior)


@pytest.mark.slow
def test_a_real_network_at_temperature_zero_descends_bit_for_bit_in_blocks_of_any_length():
    def final(sampler, block):
        return run(
            IMAGES["odd grey"], generator=TINY, sampler=sampler, steps=100, warmup=0,
            weight_precision=1.0, settings=bdip.Settings(block=block, output_average=0.0),
        )  # fmt: skip

    descent = final(Sgd(Constant(1e-6)), 50)
    for block in (1, 50):
        cold = final(Sgld(Constant(1e-6), temperature=0.0), block)
        np.testing.assert_array_equal(cold.mean, descent.mean)
        for name in cold.trace:
            np.testing.assert_array_equal(cold.trace[name], descent.trace[name])


# -------------------------------------------------------------------- exact reproducibility


def test_the_length_of_blocks_changes_nothing():
    once = run(settings=bdip.Settings(block=50))
    assert_same(once, run(settings=bdip.Settings(block=1)))
    assert_same(once, run())


def test_the_same_seed_gives_the_same_answer_and_another_another():
    first = run(seed=3)
    assert_same(first, run(seed=3))
    assert (first.mean != run(seed=4).mean).all()


def test_adding_chains_does_not_change_the_first():
    one, three = run(), run(chains=3)
    np.testing.assert_array_equal(three.draws[:1], one.draws)
    for name in one.trace:
        np.testing.assert_array_equal(three.trace[name][:1], one.trace[name])
    assert (three.draws[0] != three.draws[1]).any()
    assert three.draws.shape == (3, 12, 8, 8)


def test_chains_are_averaged_together():
    # thin = 1 and a constant step size: mean and std are those of all stored draws.
    posterior = run(chains=3)
    every = posterior.draws.astype(np.float64).reshape(-1, 8, 8)
    np.testing.assert_allclose(posterior.mean, every.mean(0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(posterior.std, every.std(0), rtol=1e-4)


def test_changing_a_number_does_not_compile_again():
    options = {"generator": CountingPixels(), "draws": 5}
    run(sampler="sgld", **options)
    traces, compiled = len(CountingPixels.traces), run_block.jitted._cache_size()
    changes = [
        {"noise_std": 0.1}, {"temperature": 0.5}, {"temperature": 2}, {"step_size": 1e-4},
        {"step_size": 1}, {"step_size": np.float32(1e-4)}, {"weight_precision": 3}, {"seed": 9},
        {"steps": 40}, {"warmup": 3}, {"image": 1 - NOISY}, {"mask": np.eye(8)}, {"chains": 2},
        {"data_range": (0, 2)}, {"settings": bdip.Settings(output_average=0.9)},
    ]  # fmt: skip
    for change in changes:
        run(sampler="sgld", **options, **{"noise_std": 0.5, **change})
    assert len(CountingPixels.traces) == traces
    assert run_block.jitted._cache_size() == compiled


def test_the_input_is_left_as_it_was():
    image = NOISY.copy()
    run(image)
    np.testing.assert_array_equal(image, NOISY)


# ------------------------------------------------------------------- posteriors in closed form

SIGMA, PRECISION, STEPS, WARMUP, EPSILON = 0.5, 4.0, 3000, 200, 0.1


def closed_form(y, observed, low, span, operator_gain=1.0):
    """Mean (in the user's units) and autocovariances (unit range) of pixels, seen or not.

    U = (gx − y)²/(2σ²) + λx²/2 has the curvature l = g²/σ² + λ and the minimum gy/(g² + λσ²).
    """
    g = operator_gain
    mean = np.where(observed, g * y / (g**2 + PRECISION * SIGMA**2), 0.0)
    seen = laws.autocovariances(EPSILON, g**2 / SIGMA**2 + PRECISION)
    unseen = laws.autocovariances(EPSILON, PRECISION)
    return low + span * mean, seen, unseen


def long_run(image, low, span, **options):
    return run(
        image, sampler=Sgld(Constant(EPSILON)), steps=STEPS, warmup=WARMUP, noise_std=SIGMA * span,
        weight_precision=PRECISION, data_range=(low, low + span), **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "span", "seed", "chains"), [(0, 1, 0, 1), (0, 1, 1, 2), (-20, 255, 2, 1)]
)
def test_the_posterior_of_pixels_is_the_normal_one_in_closed_form(low, span, seed, chains):
    rng = np.random.default_rng(seed)
    observed = rng.random((40, 40)) < 0.5
    # Data from the model itself: x ~ N(0, 1/λ), y = x + N(0, σ²).
    truth = rng.normal(0, PRECISION**-0.5, (40, 40))
    y = truth + rng.normal(0, SIGMA, (40, 40))
    posterior = long_run(low + span * y, low, span, mask=observed, seed=seed, chains=chains)

    mean, seen, unseen = closed_form(y, observed, low, span)
    n = chains * (STEPS - WARMUP)
    for where, gamma in ((observed, seen), (~observed, unseen)):
        pixels = where.sum()
        error = laws.error_of_mean(gamma, n)
        z = (posterior.mean - mean)[where] / (span * error)
        # Means of many steps are normal: Σz² is χ² with `pixels` degrees of freedom.
        assert abs(z.mean()) < 4 / np.sqrt(pixels)
        assert abs(np.mean(z**2) - 1) < 4 * np.sqrt(2 / pixels)
        # The variance about the run's own mean is smaller by the error of that mean, squared.
        variance = np.mean((posterior.std[where] / span) ** 2)
        expected = gamma[0] - error**2
        assert abs(variance - expected) < 4 * laws.error_of_square(gamma, n * pixels)

    # χ² of the draws: E(x − y)²/σ², x = mean + a normal of the variance above, given these y.
    offset = ((mean - low) / span - y)[observed]
    expected = (seen[0] + np.mean(offset**2)) / SIGMA**2
    rms = np.sqrt(np.mean(offset**2))
    error = laws.error_of_square(seen, n * observed.sum(), rms) / SIGMA**2
    assert abs(posterior.diagnostics["chi2"] - expected) < 4 * error


def test_super_resolution_of_pixels_is_the_normal_one_in_closed_form():
    # A = mean over f² pixels. Along the unit vector (1/f, …, 1/f) of a box, coordinate u = f·(box
    # mean), A = u/f: gain g = 1/f. Across it the prior alone acts.
    y, f = np.random.default_rng(5).normal(0, 1, (20, 20)), 2
    posterior = long_run(y, 0, 1, operator=bdip.Downsample(f))
    mean, along, across = closed_form(y, True, 0, 1, 1 / f)
    boxes = posterior.mean.reshape(20, f, 20, f).mean(axis=(1, 3))
    n = STEPS - WARMUP
    z = (f * boxes - mean) / laws.error_of_mean(along, n)
    assert abs(np.mean(z**2) - 1) < 4 * np.sqrt(2 / y.size)
    # A pixel's variance is that along over f² and that across times 1 − 1/f². The sum over a box
    # is the sum over its f² independent directions.
    expected, square_error = 0.0, 0.0
    for gamma, directions in ((along, 1), (across, f**2 - 1)):
        expected += directions / f**2 * (gamma[0] - laws.error_of_mean(gamma, n) ** 2)
        error = laws.error_of_square(gamma, n * y.size * directions)
        square_error += (directions / f**2 * error) ** 2
    assert abs(np.mean(posterior.std**2) - expected) < 4 * np.sqrt(square_error)


# -------------------------------------------------------------------------------- ways out


def stopping(at, how):
    """A callback that stops at step `at`, and the list of what it was shown."""
    seen = []

    def callback(progress):
        seen.append(progress)
        if progress.step >= at:
            how()

    return callback, seen


def raise_interrupt():
    raise KeyboardInterrupt


def press_control_c():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("how", [raise_interrupt, press_control_c])
def test_control_c_returns_what_there_is_marked_incomplete(how):
    callback, _ = stopping(12, how)
    before = signal.getsignal(signal.SIGINT)
    posterior = run(callback=callback, settings=bdip.Settings(block=4))
    assert signal.getsignal(signal.SIGINT) is before
    assert not posterior.complete
    assert posterior.trace["chi2"].shape == (1, 12)
    assert posterior.draws.shape == (1, 4, 8, 8)  # of steps 8 to 11
    assert "INCOMPLETE: stopped after 12 of 20 steps" in posterior.summary()
    # It equals the whole run as far as that went.
    whole = run()
    np.testing.assert_array_equal(posterior.draws, whole.draws[:, :4])
    every = posterior.draws[0].astype(np.float64)
    np.testing.assert_allclose(posterior.mean, every.mean(0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(posterior.std, every.std(0), rtol=1e-4)


@pytest.mark.parametrize("how", [raise_interrupt, press_control_c])
def test_control_c_in_the_warm_up_returns_the_last_image_without_uncertainty(how):
    callback, seen = stopping(4, lambda: (images.append(np.array(seen[-1].image)), how()))
    images = []
    posterior = run(callback=callback, settings=bdip.Settings(block=4))
    assert not posterior.complete
    np.testing.assert_array_equal(posterior.mean, images[0][..., 0])
    assert np.isnan(posterior.std).all()
    assert posterior.draws.shape == (1, 0, 8, 8)
    assert "INCOMPLETE" in posterior.summary()


def test_a_second_chain_stopped_in_its_warm_up_takes_nothing_from_the_first():
    def callback(progress):
        if progress.chain == 1:
            raise KeyboardInterrupt

    posterior = run(chains=3, callback=callback, settings=bdip.Settings(block=4))
    assert not posterior.complete
    whole = run()
    np.testing.assert_array_equal(posterior.mean, whole.mean)
    np.testing.assert_array_equal(posterior.std, whole.std)
    np.testing.assert_array_equal(posterior.draws[0], whole.draws[0])
    assert np.isfinite(posterior.diagnostics["chi2"])


def test_a_second_chain_stopped_while_sampling_counts_as_far_as_it_came():
    def callback(progress):
        if progress.chain == 1 and progress.step >= 12:
            raise KeyboardInterrupt

    posterior = run(chains=3, callback=callback, settings=bdip.Settings(block=4))
    whole = run(chains=2)
    every = np.concatenate([whole.draws[0], whole.draws[1, :4]]).astype(np.float64)
    np.testing.assert_allclose(posterior.mean, every.mean(0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(posterior.std, every.std(0), rtol=1e-4)
    chi2 = np.concatenate([whole.trace["chi2"][0, 8:], whole.trace["chi2"][1, 8:12]])
    assert posterior.diagnostics["chi2"] == pytest.approx(chi2.mean(), rel=1e-5)


def test_another_error_in_the_callback_is_the_users_own():
    def callback(progress):
        raise ZeroDivisionError

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        run(callback=callback)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_time_limit_ends_the_run_after_the_block_that_passes_it():
    posterior = run(time_limit=1e-9, settings=bdip.Settings(block=10))
    assert not posterior.complete
    assert posterior.trace["chi2"].shape == (1, 10)


def test_a_run_that_ends_with_its_time_is_complete():
    assert run(time_limit=1e-9, settings=bdip.Settings(block=20)).complete
    assert run(time_limit=1e9).complete


def test_a_run_that_diverges_says_what_to_do():
    with pytest.raises(bdip.DivergedError, match="use a smaller step_size"):
        run(step_size=1e9, settings=bdip.Settings(step_halvings=0))


# ---------------------------------------------------------------------- callback, draws, settings


def test_the_callback_sees_every_block_of_every_chain():
    seen = []

    def callback(progress):
        seen.append((progress, np.array(progress.image), np.array(progress.mean)))

    posterior = run(chains=2, callback=callback, settings=bdip.Settings(block=5))
    assert [(p.chain, p.step, p.steps) for p, _, _ in seen] == [
        (chain, step, 20) for chain in (0, 1) for step in (5, 10, 15, 20)
    ]
    for progress, image, mean in seen:
        assert isinstance(progress, bdip.Progress)
        assert image.shape == mean.shape == (8, 8, 1)
        assert progress.warming_up == (progress.step <= 8)
        assert mean.any() != progress.warming_up
        assert progress.steps_per_second > 0
        block = posterior.trace["chi2"][progress.chain, progress.step - 5 : progress.step]
        assert progress.chi2 == pytest.approx(block.mean(), rel=1e-6)
    for chain in (0, 1):
        np.testing.assert_array_equal(posterior.draws[chain, -1], seen[4 * chain + 3][1][..., 0])


def test_draws_are_spread_over_all_kept_steps():
    # 12 kept steps and 7 draws asked for: every second, 6 in all.
    every, few = run(), run(draws=7)
    np.testing.assert_array_equal(few.draws, every.draws[:, 1::2])
    np.testing.assert_array_equal(few.mean, every.mean)  # which uses every step all the same
    np.testing.assert_array_equal(run(draws=1).draws, every.draws[:, -1:])


@pytest.mark.parametrize(("bytes_allowed", "stored"), [(2**28, 12), (7 * 256, 6)])
def test_draws_stay_within_the_memory_given(bytes_allowed, stored):
    posterior = run(settings=bdip.Settings(draws_memory=bytes_allowed))
    assert posterior.draws.shape == (1, stored, 8, 8)
    assert posterior.draws.nbytes <= bytes_allowed


def test_without_room_for_draws_mean_and_std_are_the_same():
    whole = run()
    for settings in (bdip.Settings(draws=0), bdip.Settings(draws_memory=100)):
        posterior = run(settings=settings)
        assert posterior.draws.shape == (1, 0, 8, 8)
        np.testing.assert_array_equal(posterior.mean, whole.mean)
        np.testing.assert_array_equal(posterior.std, whole.std)


def test_the_memory_bound_is_for_all_chains_together():
    posterior = run(chains=2, settings=bdip.Settings(draws_memory=14 * 256))
    assert posterior.draws.shape == (2, 6, 8, 8)  # 7 affordable each, of 12: every second


def images_seen(**options):
    images = []
    posterior = run(
        callback=lambda progress: images.append(np.array(progress.image)[..., 0]),
        settings=bdip.Settings(block=1, **options.pop("settings", {})), **options,
    )  # fmt: skip
    return posterior, np.stack(images)


def test_a_descent_returns_its_last_image():
    posterior, images = images_seen(sampler=Sgd(Constant(0.01)))
    np.testing.assert_allclose(posterior.mean, images[-1], rtol=0, atol=1e-6)


def test_output_average_is_an_exponential_average_of_the_outputs():
    posterior, images = images_seen(sampler=Sgd(Constant(0.01)), settings={"output_average": 0.9})
    mean = np.average(images.astype(np.float64), axis=0, weights=0.9 ** np.arange(20)[::-1])
    np.testing.assert_allclose(posterior.mean, mean, rtol=0, atol=1e-6)
    assert np.isnan(posterior.std).all()


def test_input_jitter_shakes_the_latent():
    options = {"generator": JitteredPixels(scale=0.0), "sampler": Sgd(Constant(1e-12))}
    _, still = images_seen(**options)
    assert np.abs(still).max() < 1e-9
    _, shaken = images_seen(**options, settings={"input_jitter": 0.25})
    # 20 × 64 normal values: the standard deviation has a relative error of 1/√(2 · 1280).
    assert abs(shaken.std() / 0.25 - 1) < 4 / np.sqrt(2 * shaken.size)


def test_gp_dip_jitters_by_a_thirtieth_unless_told_otherwise():
    options = {"sampler": "gp-dip", "generator": JitteredPixels()}
    assert run(**options).settings["input_jitter"] == pytest.approx(1 / 30)
    assert run(**options, settings=bdip.Settings(input_jitter=0.0)).settings["input_jitter"] == 0


@pytest.mark.parametrize(
    ("sampler", "warmup", "weight_precision"),
    [
        ("psgld", 8, 1.0),
        ("mclmc", 8, 1.0),
        ("sgld", 8, 1.0),
        ("gp-dip", 8, 0.0),
        ("adam", 0, 0.0),
        ("sgd", 0, 0.0),
    ],
)
def test_the_record_says_which_defaults_were_taken(sampler, warmup, weight_precision):
    settings = run(sampler=sampler).settings
    assert settings["warmup"] == settings["sampler"]["warmup"] == warmup
    assert settings["weight_precision"] == weight_precision
    assert bool(settings["input_jitter"]) == (sampler == "gp-dip")
    assert settings["steps"] == 20
    assert settings["noise_std"] == pytest.approx(0.2)
    assert settings["versions"]["bdip"] == bdip.__version__


def test_shortcuts_replace_what_stands_in_the_settings():
    settings = bdip.Settings(steps=50, warmup=40, draws=9, weight_precision=3.0)
    found = run(
        settings=settings, steps=10, warmup=4, draws=2, weight_precision=5.0, step_size=1e-3,
        temperature=0.5,
    )  # fmt: skip
    assert found.trace["chi2"].shape == (1, 10)
    assert found.draws.shape == (1, 2, 8, 8)
    assert found.settings["warmup"] == 4
    assert found.settings["weight_precision"] == 5.0
    assert found.settings["sampler"]["temperature"] == 0.5
    np.testing.assert_array_equal(found.trace["step_size"], np.float32(1e-3))
    assert run(settings=settings, steps=None).settings["steps"] == 50


def test_a_sampler_object_and_a_schedule_are_taken_as_they_are():
    posterior = run(sampler=Psgld(Cooling(0.01, 0.002), damping=0.5, granularity="tensor"))
    assert posterior.settings["sampler"] | {"step_size": None} == posterior.settings["sampler"] | {
        "name": "Psgld", "damping": 0.5, "granularity": "tensor", "step_size": None,
    }  # fmt: skip
    assert posterior.trace["step_size"][0, [0, -1]] == pytest.approx([0.01, 0.002], rel=1e-5)
    slowing = run(step_size=Polynomial(0.01, 2.0, 0.5))
    expected = 0.01 * (2 + np.arange(20)) ** -0.5
    np.testing.assert_allclose(slowing.trace["step_size"][0], expected, rtol=1e-5)


@dataclass(frozen=True)
class Described(Pixels):
    """A generator of the user's own, with fields that are not JSON."""

    widths: tuple = (1, 2)
    inner: Constant = Constant(0.5)  # noqa: RUF009 -- frozen


class Undescribed:
    """A generator of the user's own that is no dataclass."""

    def init(self, key, image_shape):
        return Pixels().init(key, image_shape)

    def apply(self, params, latent):
        return params["image"]


@pytest.mark.parametrize("generator", [Described(), Undescribed()], ids=["dataclass", "class"])
def test_any_run_can_be_saved_and_summarised(generator, tmp_path):
    posterior = run(
        generator=generator, seed=np.int64(3), noise_std=np.float32(0.2), chains=2,
        step_size=np.float32(1e-3), temperature=np.float64(0.5), steps=np.int64(20),
        sampler=Sgld(Constant(jnp.float32(0.1)), temperature=jnp.float32(1)),
        settings=bdip.Settings(weight_precision=np.float32(2)),
    )  # fmt: skip
    posterior.save(tmp_path / "answer.npz")
    loaded = bdip.Posterior.load(tmp_path / "answer.npz")
    assert_same(loaded, posterior)
    assert loaded.settings == posterior.settings
    assert loaded.summary() == posterior.summary()
    assert f"Sgld on {type(generator).__name__}" in loaded.summary()


def test_the_summary_says_whether_the_noise_was_estimated():
    noisy = np.random.default_rng(0).normal(0.5, 0.2, (16, 16))
    assert "(estimated)" in run(noisy, noise_std=None).summary()
    assert "(estimated)" not in run(noisy).summary()


def test_progress_goes_to_standard_error_with_what_was_inferred(capsys):
    run(noise_std=None, data_range=None, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    for part in ("data range:", "noise std:", "estimated", "20/20 steps", "steps/s", "χ²"):
        assert part in err
    run()
    assert capsys.readouterr() == ("", "")


# --------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "sgdl"}, "sampler 'sgdl' is not known: choose from sgld, psgld,"),
        ({"generator": "unit"}, "generator 'unit' is not known: choose from pyramid"),
        ({"steps": 0}, "steps is 0: expected at least 1"),
        ({"warmup": 20}, "warmup is 20: expected from 0 to steps − 1 = 19"),
        ({"warmup": -1}, "warmup is -1: expected from 0"),
        ({"draws": -1}, "draws is -1: expected 0 or more"),
        ({"chains": 0}, "chains is 0: expected at least 1"),
        ({"time_limit": 0}, "time_limit is 0: expected above 0"),
        ({"step_size": 0}, "step_size is 0: expected a number above 0"),
        ({"step_size": np.nan}, "step_size is nan: expected a number above 0"),
        ({"temperature": -1}, "temperature is -1: expected a number of at least 0"),
        ({"temperature": 1, "sampler": "adam"}, "temperature is given but Adam has none: leave it"),
    ],
    ids=str,
)
def test_an_argument_out_of_range_is_refused_with_what_was_expected(options, message):
    with pytest.raises(bdip.SettingsError, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -3}, "steps is -3"),
        ({"steps": 10, "warmup": 10}, "warmup is 10: expected from 0 to steps − 1 = 9"),
        ({"output_average": 1.5}, "output_average is 1.5: expected from 0 to 1"),
        ({"output_average": np.nan}, "output_average is nan"),
        ({"input_jitter": -0.1}, "input_jitter is -0.1: expected 0 or more"),
        ({"block": 0}, "block is 0: expected at least 1"),
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused_with_what_was_expected(options, message):
    with pytest.raises(bdip.SettingsError, match=message):
        bdip.Settings(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"mask": np.ones((4, 4))},
        {"missing": np.ones((8, 8))},
        {"noise_std": 0},
        {"image": NOISY[None, None]},
    ],
    ids=["mask", "missing", "noise", "image"],
)
def test_wrong_arrays_are_refused_at_the_front_door(options):
    with pytest.raises(bdip.ProblemError):
        run(**options)


# ------------------------------------------------------------------------- the default generator


def chosen(**options):
    """The generator of a run that is not started."""
    return job_of(NOISY, **options).network


@pytest.mark.parametrize("sampler", REGISTRY)
def test_samplers_of_the_posterior_take_the_pyramid_and_published_recipes_the_hourglass(sampler):
    published = sampler in ("sgd", "adam", "gp-dip")
    assert chosen(sampler=sampler) == (bdip.Hourglass() if published else bdip.Pyramid())
    assert chosen(sampler=sampler, generator="unet") == bdip.UNet()
    assert chosen(sampler=sampler, generator=TINY) == TINY
