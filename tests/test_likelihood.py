"""The laws of the noise against numbers worked out by hand, and against quadrature."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import invgamma, kstest, logistic, norm, truncnorm

from bdip.likelihood import Clipped, Gaussian, PoissonGaussian, Rounding, UnknownGaussian
from bdip.samplers import Constant, Psgld, Sgld
from tests.fakes import Bars, Pixels, chain_of, unit_problem

DATA = np.array([[[0.5], [1.0], [7.0]]], np.float32)  # (1, 3, 1)
PREDICTION = np.array([[[1.0], [3.0], [9.0]]], np.float32)  # residuals 0.5, 2, 2
MASK = np.array([[[1.0], [1.0], [0.0]]], np.float32)  # the last is not observed: n = 2


# --------------------------------------------------------------------------------- formulas


def test_each_residual_is_measured_in_its_own_standard_deviation():
    # (0.5/0.25)² + (2/4)² = 4.25: half of it, and by n = 2.
    stds = jnp.array([[[0.25], [4.0], [1e-3]]])
    found = Gaussian(stds).misfit(PREDICTION, DATA, MASK)
    assert (found.energy, found.chi2, found.noise_std) == (2.125, 2.125, None)


def test_a_map_of_one_value_is_that_value():
    one, many = Gaussian(jnp.float32(0.3)), Gaussian(jnp.full((1, 3, 1), 0.3))
    for first, second in zip(one.misfit(PREDICTION, DATA, MASK), many.misfit(PREDICTION, DATA, MASK), strict=True):  # fmt: skip
        assert first == second or first == pytest.approx(float(second), rel=1e-6)


@pytest.mark.parametrize("noise_std", [0.1, 0.4, 2.0])
@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 2.2])
def test_the_whole_numbers_that_a_value_may_be_rounded_to_have_probability_one(noise_std, value):
    numbers = jnp.arange(-40.0, 41.0)[None, :, None]
    law, every = Rounding(1.0, noise_std), jnp.ones((1, 1, 1))
    energies = jax.vmap(
        lambda number: law.misfit(jnp.full((1, 1, 1), value), number[None, None], every).energy,
        in_axes=1,
    )(numbers)
    assert jnp.exp(-energies).sum() == pytest.approx(1, abs=1e-6)


def test_a_rounded_value_is_as_likely_as_its_noise_brings_it_into_its_step():
    steps, stds = np.array([[[2.0], [1.0], [1.0]]]), np.array([[[0.5], [0.25], [1.0]]])
    law = Rounding(jnp.asarray(steps), jnp.asarray(stds))
    found = law.misfit(PREDICTION, DATA, MASK)
    before = logistic(scale=np.array([0.5, 0.25]) * np.sqrt(3) / np.pi)
    np.testing.assert_allclose(before.std(), [0.5, 0.25])
    off, half = np.array([0.5, 2.0]), np.array([1.0, 0.5])
    within = before.cdf(half - off) - before.cdf(-half - off)
    assert found.energy == pytest.approx(-np.log(within).sum(), rel=1e-5)
    # 0.5² / (2²/12 + 0.5²) and 2² / (1/12 + 0.25²), and by n = 2.
    assert found.chi2 == pytest.approx((0.25 / (7 / 12) + 4 / (7 / 48)) / 2, rel=1e-6)


@pytest.mark.parametrize("off", [2.0, 30.0, 1e6])
def test_the_force_back_into_a_step_is_no_harder_however_far_off(off):
    one = jnp.ones((1, 1, 1))
    force = jax.grad(lambda x: Rounding(1.0, 0.1).misfit(x * one, 0 * one, one).energy)(off)
    assert force == pytest.approx(np.pi / np.sqrt(3) / 0.1, rel=1e-5)  # 1/s


def test_a_sampler_is_not_told_of_walls_harder_than_a_tenth_of_a_step():
    one = jnp.ones((1, 1, 1))
    soft, hard = (Rounding(4.0, std).misfit(3 * one, 0 * one, one) for std in (0.4, 0.0))
    assert soft == hard


# A normal law of σ = 0.5 and 2, cut off at 0 and 2: the values 0.5 and 1 are between, 0 and 2 at an end.
CUT = Clipped(Gaussian(jnp.float32(0.5)), jnp.float32(0.0), jnp.float32(2.0))
CUT_DATA = np.array([[[0.5], [1.0], [0.0], [2.0], [7.0]]], np.float32)
CUT_PREDICTION = np.array([[[1.0], [3.0], [0.7], [1.8], [-9.0]]], np.float32)
CUT_MASK = np.array([[[1.0], [1.0], [1.0], [1.0], [0.0]]], np.float32)


def test_a_clipped_value_is_as_likely_as_noise_that_goes_beyond_its_end():
    found = CUT.misfit(CUT_PREDICTION, CUT_DATA, CUT_MASK)
    within = ((0.5 / 0.5) ** 2 + (2 / 0.5) ** 2) / 2
    # At 0 from 0.7: noise below −1.4 σ; at 2 from 1.8: above 0.4 σ.
    beyond = norm.logcdf(-1.4) + norm.logsf(0.4)
    assert found.energy == pytest.approx(within - beyond, rel=1e-5)
    squares = 1 + 16 + truncnorm(-np.inf, -1.4).moment(2) + truncnorm(0.4, np.inf).moment(2)
    assert found.chi2 == pytest.approx(squares / 4, rel=1e-5)


def test_the_variance_of_photons_that_saturate_goes_with_the_generated_image():
    law = Clipped(PoissonGaussian(gain=2.0, read_noise=1.0, offset=0.5), -9.0, 2.0)
    at_end, between = np.array([[[2.0]]], np.float32), np.array([[[1.0]]], np.float32)
    one, three = jnp.ones((1, 1, 1)), jnp.full((1, 1, 1), 3.0)  # σ² = 2 and 6
    found = law.misfit(three, at_end, one)
    assert found.energy == pytest.approx(-norm.logsf((2 - 3) / np.sqrt(6)), rel=1e-5)
    first, second = (law.misfit(x, between, one).energy for x in (one, three))
    logs = [norm.logpdf(1, 1, np.sqrt(2)), norm.logpdf(1, 3, np.sqrt(6))]
    assert first - second == pytest.approx(logs[1] - logs[0], rel=1e-5)


@pytest.mark.parametrize("value", [-0.4, 0.1, 1.2, 2.9])
def test_what_lies_between_the_ends_and_at_them_has_probability_one(value):
    between = np.linspace(0, 2, 4003)[1:-1]
    numbers = jnp.asarray([0.0, *between, 2.0], jnp.float32)[:, None, None, None]
    every, prediction = jnp.ones((1, 1, 1)), jnp.full((1, 1, 1), value)
    energies = jax.vmap(lambda number: CUT.misfit(prediction, number, every).energy)(numbers)
    likelihood = np.exp(-np.asarray(energies, np.float64))
    density = likelihood[1:-1] / (0.5 * np.sqrt(2 * np.pi))
    total = likelihood[0] + likelihood[-1] + density.sum() * (between[1] - between[0])
    assert total == pytest.approx(1, abs=1e-3)  # half a cell at each end, of density 0.8 at most


@pytest.mark.parametrize("seed", range(3))
def test_chi2_of_clipped_noise_is_one_where_all_is_right(seed):
    rng = np.random.default_rng(seed)
    clean = rng.uniform(0, 2, (100, 300, 1))
    noisy = np.clip(clean + rng.normal(0, 0.5, clean.shape), 0, 2)
    assert 0.1 < np.mean((noisy == 0) | (noisy == 2)) < 0.3
    found = CUT.misfit(*(jnp.asarray(x, jnp.float32) for x in (clean, noisy, np.ones(clean.shape))))
    # Squares have variance 2, conditional means of them less.
    assert abs(found.chi2 - 1) < 4 * np.sqrt(2 / clean.size)


@pytest.mark.parametrize("off", [-100.0, -20.0, 0.0, 5.0, 1000.0])
def test_the_force_towards_an_end_is_that_of_the_normal_law_far_off(off):
    one = jnp.ones((1, 1, 1))
    force = jax.grad(lambda x: CUT.misfit((2 + x) * one, 2 * one, one).energy)(off)
    # d/dx of −log Φ(x/σ): −φ/Φ over σ, from norm's logs; nothing above the end.
    expected = -np.exp(norm.logpdf(off / 0.5) - norm.logcdf(off / 0.5)) / 0.5
    assert force == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_a_map_for_each_pixel_holds_for_all_its_channels():
    problem = unit_problem((2, 3, 3), noise_std=np.arange(1.0, 7.0).reshape(2, 3))
    assert problem.noise_std.shape == (2, 3, 1)
    # Σ 3/σ² over 1 … 6: 3 · 5369/3600 (harmonic sum of order 2).
    assert problem.information == pytest.approx(3 * 5369 / 3600, rel=1e-6)


def test_an_unknown_noise_is_integrated_out():
    # S = 0.25 + 4 = 4.25, n = 2, w = 3, s = 0.5: α = (3 + 2)/2, β = (0.75 + 4.25)/2 = 2.5.
    found = UnknownGaussian(jnp.float32(0.5), prior_count=3.0).misfit(PREDICTION, DATA, MASK)
    assert found.energy == pytest.approx(2.5 * np.log(2.5), rel=1e-6)
    assert found.noise_std == 1.0  # √(β/α)
    assert found.chi2 == 4.25 / 2


def test_the_force_of_an_unknown_noise_is_that_of_the_known_one_it_stands_at():
    law = UnknownGaussian(jnp.float32(0.5), prior_count=3.0)

    def force(law):
        return jax.grad(lambda image: law.misfit(image, DATA, MASK).energy)(PREDICTION)

    np.testing.assert_allclose(force(law), force(Gaussian(jnp.float32(1.0))), rtol=1e-6)


def test_the_photon_noise_grows_with_the_generated_image_and_has_its_determinant():
    # offset 0.5, gain 2, read noise 1: v(1) = 2, v(3) = 6; squares 0.25/2 + 4/6 = 19/24.
    law = PoissonGaussian(gain=2.0, read_noise=1.0, offset=0.5)
    found = law.misfit(PREDICTION, DATA, MASK)
    assert found.energy == pytest.approx((19 / 24 + np.log(12)) / 2, rel=1e-6)
    assert found.chi2 == pytest.approx(19 / 48, rel=1e-6)
    np.testing.assert_allclose(law.std_at(PREDICTION)[0, :2, 0] ** 2, [2, 6], rtol=1e-6)


def test_the_gradient_of_the_photon_noise_moves_the_variance_too():
    # d/dx [r²/(2v) + ½ log v] with v' = 2: r/v − r²/v² + 1/v; at r = 0.5, v = 2 and r = 2, v = 6.
    law = PoissonGaussian(gain=2.0, read_noise=1.0, offset=0.5)
    grad = jax.grad(lambda image: law.misfit(image, DATA, MASK).energy)(PREDICTION)
    expected = [0.25 - 1 / 16 + 1 / 2, 1 / 3 - 1 / 9 + 1 / 6, 0]
    np.testing.assert_allclose(grad[0, :, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("read_noise", [0.0, 0.3])
@pytest.mark.parametrize("value", [0.0, 1e-30, -0.0, -1.0, -1e6])
def test_in_the_dark_the_variance_is_bounded_below_and_the_gradient_finite(value, read_noise):
    law = PoissonGaussian(gain=0.8, read_noise=read_noise, offset=0.0)
    dark = jnp.full((1, 3, 1), value)
    grad = jax.grad(lambda image: law.misfit(image, DATA, MASK).energy)(dark)
    assert np.isfinite(grad).all()
    # max(read_noise², gain²/4) = 0.16 with either read noise (0.09 < 0.16); at x = 1e-30 as at 0.
    np.testing.assert_allclose(law.std_at(dark), 0.4, rtol=1e-6)


def test_another_unit_changes_the_energy_of_photons_by_the_unit_alone():
    # In units a span k times as wide, log v falls by 2 log k for each of the n = 2 values.
    law = PoissonGaussian(gain=2.0, read_noise=1.0, offset=0.5)
    low, span = -1.5, 20.0
    found = law.scaled(low, span).misfit((PREDICTION - low) / span, (DATA - low) / span, MASK)
    there = law.misfit(PREDICTION, DATA, MASK)
    assert found.energy == pytest.approx(float(there.energy) - 2 * np.log(span), rel=1e-5)
    assert found.chi2 == pytest.approx(float(there.chi2), rel=1e-5)


# ------------------------------------------------------------------------- the laws, sampled


@pytest.mark.parametrize("observed", [2.0, 40.0])
@pytest.mark.parametrize("seed", range(3))
def test_sigma_given_the_weights_has_an_inverse_gamma_variance(seed, observed):
    law = UnknownGaussian(jnp.float32(0.5), prior_count=3.0)
    keys = jax.random.split(jax.random.key(seed), 2000)
    draws = jax.vmap(lambda key: law.draw(key, jnp.float32(0.7), observed))(keys)
    alpha = (3 + observed) / 2
    wanted = invgamma(alpha, scale=alpha * 0.7**2)
    assert kstest(np.asarray(draws, np.float64) ** 2, wanted.cdf).pvalue > 1e-4


def z_scores(values, expected):
    """Distance of the mean of values (t, ...) from `expected` in standard errors, by 20 batch means."""
    batches = values.reshape(20, -1, *values.shape[1:]).mean(axis=1)
    return (batches.mean(axis=0) - expected) / (batches.std(axis=0, ddof=1) / np.sqrt(20))


# Student's t with 19 degrees of freedom exceeds this once in 4,000 times; about 200 are looked at.
FAR = 4.5
STEPS, WARMUP = 22_000, 2_000
LAW = UnknownGaussian(jnp.float32(0.6), prior_count=3.0)
ROWS, COLUMNS, PRECISION = 5, 8, 2.0
# Curvature 8/σ² + λ ≈ 34: Euler's εl/4 is 0.9 %, below the standard errors; the velocity has none.
KERNELS = {
    "sgld": Sgld(Constant(0.001), warmup=WARMUP),
    "psgld with a velocity": Psgld(Constant(0.05), momentum=0.9, warmup=WARMUP),
}


def joint_law(data):
    """Moments of σ and of the rows' weights θ under the joint posterior, by integration over σ.

    Row i has the data θ_i + noise, m of them. Given σ², θ_i is normal of precision m/σ² + λ and
    mean (mȳ_i/σ²)/(m/σ² + λ); without θ the row has the covariance σ²I + 11ᵀ/λ, of eigenvalues
    σ² + m/λ along 1 and σ² across it.
    """
    means, m = data.mean(axis=1), data.shape[1]
    within = ((data - means[:, None]) ** 2).sum()
    tau = np.linspace(-4, 3, 20_001)  # log σ², in which the prior of σ² has the density σ² p(σ²)
    variance = np.exp(tau)
    along = variance + m / PRECISION
    count, start = float(LAW.prior_count), float(LAW.start)
    logs = (
        -count / 2 * tau - count * start**2 / (2 * variance)
        - len(data) * (m - 1) / 2 * tau - within / (2 * variance)
        - len(data) / 2 * np.log(along) - m * (means**2).sum() / (2 * along)
    )  # fmt: skip
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    precision = m / variance + PRECISION
    centre = (m * means[:, None] / variance) / precision  # (rows, grid)
    sigma = np.sqrt(variance)
    return {
        "sigma": weights @ sigma,
        "sigma²": weights @ variance,
        "theta": centre @ weights,
        "theta²": (centre**2 + 1 / precision) @ weights,
        "sigma theta²": ((centre**2 + 1 / precision) * sigma) @ weights,
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_weights_and_sigma_have_their_joint_posterior_of_a_linear_generator(kernel, seed):
    problem = unit_problem((ROWS, COLUMNS), weight_precision=PRECISION, seed=seed)
    problem = replace(problem, noise=LAW)
    run = chain_of(problem, Bars(), kernel, STEPS, STEPS - WARMUP, seed)
    theta = np.asarray(run.kept.draws[:, :, 0, 0], np.float64)
    sigma = run.trace.noise_std[WARMUP:].astype(np.float64)
    wanted = joint_law(np.asarray(problem.data[..., 0], np.float64))
    found = {
        "sigma": sigma, "sigma²": sigma**2, "theta": theta, "theta²": theta**2,
        "sigma theta²": sigma[:, None] * theta**2,
    }  # fmt: skip
    for name, values in found.items():
        assert np.abs(z_scores(values, wanted[name])).max() < FAR, name


def photons_log(x, data):
    """Log likelihood of PHOTON_NOISE, in double precision."""
    variance = np.maximum(0.2 * x + 0.15**2, 0.15**2)
    return -((x - data) ** 2) / (2 * variance) - np.log(variance) / 2


def rounding_log(x, data):
    """Log likelihood of COARSE, likewise."""
    before = logistic(scale=0.12 * np.sqrt(3) / np.pi)
    off = np.abs(x - data)
    return np.log(before.sf(off - 0.3) - before.sf(off + 0.3))


def clipped_log(x, data):
    """Log likelihood of ENDS, likewise."""
    below, above = norm.logcdf((0.3 - x) / 0.4), norm.logcdf((x - 0.7) / 0.4)
    within = -(((x - data) / 0.4) ** 2) / 2
    return np.where(data <= 0.3, below, np.where(data >= 0.7, above, within))


PHOTON_NOISE = PoissonGaussian(jnp.float32(0.2), jnp.float32(0.15), jnp.float32(0.0))
COARSE = Rounding(jnp.float32(0.6), jnp.float32(0.12))
ENDS = Clipped(Gaussian(jnp.float32(0.4)), jnp.float32(0.3), jnp.float32(0.7))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("law", "log"),
    [(PHOTON_NOISE, photons_log), (COARSE, rounding_log), (ENDS, clipped_log)],
    ids=["photons", "rounding", "clipped"],
)
def test_pixels_have_their_posterior_by_quadrature(law, log, seed):
    problem = replace(unit_problem((3, 4), weight_precision=PRECISION, seed=seed), noise=law)
    kernel = Psgld(Constant(0.02), momentum=0.5, warmup=WARMUP)
    run = chain_of(problem, Pixels(), kernel, STEPS, STEPS - WARMUP, seed)
    draws = np.asarray(run.kept.draws[..., 0], np.float64).reshape(-1, 12)
    x = np.linspace(-2, 4, 6001)[:, None]
    data = np.asarray(problem.data, np.float64).reshape(12)
    logs = log(x, data) - PRECISION / 2 * x**2
    weights = np.exp(logs - logs.max(axis=0))
    weights /= weights.sum(axis=0)
    for power in (1, 2):
        assert np.abs(z_scores(draws**power, (weights * x**power).sum(axis=0))).max() < FAR


# ------------------------------------------------------------- what photon noise is worth

PHOTONS, EXPOSURES = 600, np.linspace(0.1, 2, 24)
NEARLY_FLAT = 1e-6  # precision of the prior


def restored(law, seed=0):
    """Truth (rows,), posterior mean and std of each row's brightness, and χ²; data are Poisson.

    Row i shows its brightness θ_i, 10 to 60 photons, at 24 exposures e_j from 0.1 to 2.
    """
    rng = np.random.default_rng(seed)
    truth = rng.uniform(10, 60, PHOTONS)
    counts = rng.poisson(truth[:, None] * EXPOSURES)
    problem = unit_problem((PHOTONS, len(EXPOSURES)), weight_precision=NEARLY_FLAT)
    problem = replace(problem, data=jnp.asarray(counts[..., None], jnp.float32), noise=law)
    # Curvature Σe²/v: 0.4 to 1.3 a row. The step leaves a bias of εl/4 = 0.6 % in the variance.
    kernel = Psgld(Constant(0.2), momentum=0.9, warmup=1000)
    generator = Bars(tuple(EXPOSURES), offset=30.0)
    run = chain_of(problem, generator, kernel, 6000, 0, seed)
    mean = np.asarray(run.kept.moments.mean[:, -1, 0], np.float64) / EXPOSURES[-1]
    variance = run.kept.moments.scatter / run.kept.moments.weight
    std = np.sqrt(np.asarray(variance[:, -1, 0], np.float64)) / EXPOSURES[-1]
    return truth, mean, std, run.trace.chi2[1000:].mean()


def test_photon_noise_fits_and_covers_where_one_sigma_for_all_does_not():
    truth, mean, std, chi2 = restored(
        PoissonGaussian(jnp.float32(1), jnp.float32(0), jnp.float32(0))
    )
    one_sigma = Gaussian(jnp.float32(np.sqrt((truth[:, None] * EXPOSURES).mean())))
    _, plain_mean, plain_std, _ = restored(one_sigma)
    # χ² of n values whose squares have the relative variance 2 + 1/(mean count), here below 2.3.
    assert abs(chi2 - 1) < 4 * np.sqrt(2.3 / (PHOTONS * len(EXPOSURES)))
    # 90 % of the rows of each half.
    bright = truth > np.median(truth)
    covered = np.abs(mean - truth) <= 1.6449 * std
    for half in (bright, ~bright):
        assert abs(covered[half].mean() - 0.9) < 4 * np.sqrt(0.9 * 0.1 / half.sum())
    # The error of a row goes as √θ, on average by √(47.5/22.5) = 1.45 from half to half; one σ for
    # all says 1, within the scatter of the rows' own estimates.
    assert std[bright].mean() > 1.3 * std[~bright].mean()
    scatter = 4 * plain_std.std() * np.sqrt(2 / bright.sum())
    assert abs(plain_std[bright].mean() - plain_std[~bright].mean()) < scatter
    # Least squares without the right weights cost Σe³ Σe / (Σe²)² = 1.12 in mean square: the
    # independent part they add makes the ratio 1.12 ± √(4 · 0.12/600) = 1.12 ± 0.03.
    ratio = ((plain_mean - truth) ** 2).mean() / ((mean - truth) ** 2).mean()
    assert ratio > 1
