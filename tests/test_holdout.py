"""Pixels hidden from the sampler: which, how many, and what is said of the answer there."""

import jax
import numpy as np
import pytest

import bdip
from bdip.holdout import hide
from bdip.samplers import Constant, Sgld
from tests.fakes import Pixels, unit_problem

KEY = jax.random.key(0)
COLOUR = np.random.default_rng(0).normal(0.5, 0.2, (3, 10, 12))


def run(image, mask=None, **options):
    plain = {"generator": Pixels(), "sampler": "sgld", "steps": 20, "noise_std": 0.2, "data_range": (0, 1),
             "progress": False, "holdout": 0.1}  # fmt: skip
    return bdip.sample(image, mask, **{**plain, **options})


def test_hidden_pixels_are_observed_ones_that_the_new_problem_does_not_hold():
    mask = np.random.default_rng(1).random((20, 30)) < 0.5
    problem = unit_problem((20, 30, 3), mask, channel_axis=-1)
    seen, measured = hide(problem, 0.1, KEY)
    hidden = np.isfinite(measured)
    assert (hidden == hidden[..., :1]).all()  # all channels of a pixel
    hidden = hidden[..., 0]
    assert hidden.sum() == round(0.1 * mask.sum())
    assert mask[hidden].all()
    np.testing.assert_array_equal(measured[hidden], np.asarray(problem.data)[hidden])
    np.testing.assert_array_equal(np.asarray(seen.mask)[..., 0], mask & ~hidden)
    assert not np.asarray(seen.data)[hidden].any()
    np.testing.assert_array_equal(np.asarray(seen.data)[~hidden], np.asarray(problem.data)[~hidden])
    assert seen.observed_count == problem.observed_count - 3 * hidden.sum()


def test_the_choice_is_the_seeds_and_spread_over_the_image():
    problem = unit_problem((40, 50))
    first, again, other = (
        np.isfinite(hide(problem, 0.2, jax.random.key(seed))[1][..., 0]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # Of 400 hidden pixels the mean row is (40 − 1)/2, to 40/√12/√400, and so for columns.
    for places, size in zip(np.nonzero(first), (40, 50), strict=True):
        assert abs(places.mean() - (size - 1) / 2) < 4 * size / np.sqrt(12 * 400)


def test_only_values_that_the_operator_leaves_as_they_are_can_be_hidden():
    weights = np.ones((6, 5, 1), np.float32)
    weights[:3], weights[3] = 0, 0.5
    problem = unit_problem(operator=bdip.Mask(weights) @ bdip.Identity())
    _, measured = hide(problem, 0.9, KEY)
    hidden = np.isfinite(measured[..., 0])
    assert not hidden[:4].any()
    assert hidden.sum() == 9  # of the 10 of weight 1


@pytest.mark.parametrize(
    "operator", [bdip.Downsample(2), bdip.Mask(np.ones((6, 5, 1), np.float32)) @ bdip.Downsample(2)]
)
def test_an_operator_that_mixes_pixels_is_refused(operator):
    with pytest.raises(bdip.ProblemError, match="mixes pixels: leave holdout out"):
        hide(unit_problem(operator=operator), 0.1, KEY)


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0, "holdout is 0: expected a share of the observed pixels, such as 0.02"),
        (1, "holdout is 1: expected a share"),
        (-0.1, "holdout is -0.1"),
        (np.nan, "holdout is nan"),
        (0.01, "holdout is 0.01: expected a share that hides some, but not all, of 30 observed"),
        (0.99, "holdout is 0.99: expected a share that hides some, but not all"),
    ],
)
def test_a_share_that_hides_none_or_all_is_refused(share, message):
    with pytest.raises(bdip.SettingsError, match=message):
        hide(unit_problem(), share, KEY)


def test_the_measured_values_come_back_in_the_images_axes_and_units():
    image = 50 + 200 * COLOUR
    posterior = run(image, channel_axis=0, data_range=(50, 250), noise_std=40)
    assert posterior.holdout.shape == posterior.mean.shape == (3, 10, 12)
    hidden = np.isfinite(posterior.holdout)
    assert hidden.sum() == 3 * 12
    # Two roundings to float32 of values up to 300.
    np.testing.assert_allclose(posterior.holdout[hidden], image[hidden], rtol=0, atol=300 * 2**-22)
    assert posterior.diagnostics["holdout_pixels"] == 12
    assert posterior.settings["holdout"] == 0.1
    assert posterior.settings["observed_values"] == 3 * (120 - 12)


def test_the_sampler_never_sees_the_hidden_values():
    image = COLOUR[0]
    first = run(image)
    hidden = np.isfinite(first.holdout)
    spoiled = np.where(hidden, image + 100, image)
    second = run(spoiled)
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.std, second.std)
    assert second.holdout[hidden].min() > 90


def test_without_holdout_nothing_is_said_of_it():
    posterior = run(COLOUR[0], holdout=None)
    assert posterior.holdout is None
    assert not any(name.startswith("holdout") for name in posterior.diagnostics)
    assert "held out" not in posterior.summary()


def test_held_out_data_of_the_model_itself_are_covered_as_they_should_be():
    # Pixels have the prior N(0, 1/λ), also where hidden, and the data are drawn from the model: so the
    # prediction N(mean, std² + σ²) is right but for Euler's ε l/4 of the variance, 0.1 · 4/4 of 1/λ.
    precision, sigma = 4.0, 0.5
    rng = np.random.default_rng(3)
    y = rng.normal(0, precision**-0.5, (60, 60)) + rng.normal(0, sigma, (60, 60))
    posterior = run(
        y, sampler=Sgld(Constant(0.1)), steps=800, warmup=100, noise_std=sigma, holdout=0.5,
        weight_precision=precision, draws=10,
    )  # fmt: skip
    found = posterior.diagnostics
    assert found["holdout_pixels"] == 1800
    # The predictive variance is 1/λ/(1 − 0.1) + σ² for 1/λ + σ²: std larger by 2.7 %. The mean, which is
    # 0, has the Monte Carlo error √(τ/700/λ), τ = 2/(ε λ/2): 6 % of 1/λ more error.
    excess = np.sqrt((1 / (1 - 0.1) / precision + sigma**2) / (1 / precision + sigma**2)) - 1
    noise = (
        np.sqrt((2 / (0.1 * precision / 2) / 700 / precision) / (1 / precision + sigma**2) + 1) - 1
    )
    allowed = excess + noise
    for level in (50, 90, 95):
        # dP/d log std = 2 z φ(z) < 0.49 for every level.
        name = f"holdout_coverage_{level}"
        assert abs(found[name] - level / 100) < 4 * found[f"{name}_error"] + 0.49 * allowed
    assert abs(found["holdout_z_std"] - 1) < 4 * found["holdout_z_std_error"] + allowed
    assert abs(found["holdout_z_mean"]) < 4 * found["holdout_z_mean_error"]
    std = np.sqrt(1 / precision + sigma**2)
    assert (
        abs(found["holdout_crps"] - std / np.sqrt(np.pi))
        < 4 * found["holdout_crps_error"] + std * allowed
    )


def test_answer_and_file_say_the_same_of_what_was_held_out(tmp_path):
    posterior = run(COLOUR, channel_axis=0)
    posterior.save(tmp_path / "answer.npz")
    loaded = bdip.Posterior.load(tmp_path / "answer.npz")
    np.testing.assert_array_equal(loaded.holdout, posterior.holdout)
    assert loaded.trace.keys() == posterior.trace.keys()
    assert loaded.diagnostics == posterior.diagnostics
    assert loaded.summary() == posterior.summary()
    assert "held out  12 pixels: 90 % intervals cover" in loaded.summary()


def test_a_descent_has_no_held_out_coverage_and_says_why():
    posterior = run(COLOUR[0], sampler="adam")
    assert np.isnan(posterior.diagnostics["holdout_coverage_90"])
    assert "no uncertainty" in posterior.summary()


def test_a_map_of_sigma_is_refused():
    with pytest.raises(bdip.ProblemError, match="needs one σ.*leave holdout out"):
        run(COLOUR[0], noise_std=np.full(COLOUR[0].shape, 0.2))


def test_the_predictive_std_is_that_of_the_noise_at_hand():
    # Nothing is learned in one step of size ~0, so that mean and std are the start's: the std is 0.
    small = {
        "sampler": Sgld(Constant(1e-12)),
        "steps": 2,
        "warmup": 1,
        "generator": Pixels(0.0, 0.5),
    }
    image = np.random.default_rng(2).normal(50, 20, (20, 20))
    units = {"data_range": (0, 100), "holdout": 0.5}
    photons = bdip.PoissonGaussian(gain=2.0, read_noise=3.0, offset=10.0)
    found = run(image, noise_std=None, noise=photons, **small, **units)
    hidden = np.isfinite(found.holdout)
    z = (image[hidden] - 50) / np.sqrt(2 * (50 - 10) + 3**2)
    assert found.diagnostics["holdout_z_mean"] == pytest.approx(z.mean(), rel=1e-4)
    found = run(image, **{**small, **units, "noise_std": "sample"})
    z = (image[np.isfinite(found.holdout)] - 50) / found.noise_std[0]
    assert found.diagnostics["holdout_z_mean"] == pytest.approx(z.mean(), rel=1e-4)
