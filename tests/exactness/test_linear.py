"""The chain on a linear generator with missing pixels has the posterior that `linear.py` derives."""

import jax.numpy as jnp
import numpy as np
import pytest

from bdip.chain import Plan
from tests.exactness.harness import finish, of_products, require_scores, standard_error, started
from tests.exactness.linear import GENERATOR, REPLICAS, law, pixels_of, posed, solved
from tests.exactness.samplers import ROWS, exact

NOISE_STD = 0.3  # σ
TEMPERATURE = 0.7
STIFFNESS = 2.0  # ε times the largest curvature; the limit of stability is 4
# Steps. The slowest mode keeps less than 0.99^600 = 0.2 % of its start, a draw of about the prior's spread.
WARMUP, KEPT, THIN = 600, 600, 10

KNOWN = {name: row for name, row in ROWS.items() if row.autocovariances}
every_row = pytest.mark.parametrize("row", KNOWN.values(), ids=KNOWN)


def frozen(row, run, gains):
    """The run with its preconditioner as if a warm-up had ended with these gains (p,)."""
    wide = jnp.broadcast_to(jnp.asarray(gains, jnp.float32), run.state.params["weights"].shape)
    tree = {"weights": wide[0, 0] if row.gain_a_tensor else wide}
    run.state = run.state._replace(sampler=row.freeze(run.sampler, run.state.params, tree))
    return run


def gains_of(row, case, seed):
    """Diagonal of G (p,), between 0.4 and 2.7 where the sampler has one."""
    count = 1 if row.gain_a_tensor else len(case.mean)
    gains = np.exp(np.random.default_rng([1, seed]).uniform(-1, 1, count))
    return gains * np.ones(len(case.mean)) if row.freeze else np.ones(len(case.mean))


def run_and_law(row, case, seed):
    """A finished run of the row's sampler, and what its law should be."""
    gains = gains_of(row, case, seed)
    step_size = STIFFNESS / case.modes(gains)[0][-1]
    sampler = row.at(step_size, TEMPERATURE)
    plan, steps = Plan(WARMUP, THIN), WARMUP + KEPT
    run = started(case.problem(), GENERATOR, sampler, plan, steps, KEPT // THIN, seed)
    run = finish(frozen(row, run, gains) if row.freeze else run)
    return run, law(row, case, gains, step_size, TEMPERATURE)


def scores_of(run, case, law):
    """Scores of means, variances, covariances of the draws, and energy, of all replicas together."""
    weight, mean, scatter = run.kept.moments
    mean, variance = pixels_of(mean) - case.image, pixels_of(scatter) / float(weight)
    square = (variance + mean**2).mean(axis=0)
    own = np.diagonal(law.pixels).T  # (P, k)
    i, j = np.triu_indices(len(own))
    draws = pixels_of(run.kept.draws) - case.image  # (n, r, P)
    products = np.einsum("nri,nrj->ij", draws, draws)[i, j] / len(draws) / REPLICAS
    c = of_products(own[i], own[j], law.pixels[i, j])
    energy = run.trace.energy[WARMUP:].astype(np.float64).mean() / REPLICAS
    found = {
        "mean": mean.mean(axis=0) / standard_error(own, KEPT),
        "variance": (square - own[:, 0]) / standard_error(of_products(own), KEPT),
        "covariance": (products - law.pixels[i, j, 0]) / standard_error(c, len(draws), THIN),
        "energy": (energy - law.mean_energy) / standard_error(law.energy, KEPT),
    }
    return {kind: np.sqrt(REPLICAS) * values for kind, values in found.items()}


@pytest.mark.parametrize("factor", [1, 2], ids=["identity", "downsample"])
@every_row
def test_mean_spread_and_draws_of_the_image_are_the_posteriors(row, factor, exactness_seed):
    case = posed(factor, NOISE_STD, exactness_seed)
    run, expected = run_and_law(row, case, exactness_seed)
    require_scores(**scores_of(run, case, expected))


@every_row
def test_noise_of_twice_the_size_widens_the_posterior_as_theory_says(row, exactness_seed):
    # The data are the same; only what is said of their noise differs. The run is held to the closed form
    # of its own σ, and is not taken for one of half of it.
    narrow = posed(1, NOISE_STD, exactness_seed)
    wide = solved(1, 2 * NOISE_STD, narrow.data, narrow.mask)
    run, expected = run_and_law(row, wide, exactness_seed)
    require_scores(**scores_of(run, wide, expected))
    assert (np.diag(wide.covariance()) > np.diag(narrow.covariance())).all()
    other = run_and_law(row, narrow, exactness_seed)[1]
    with pytest.raises(AssertionError, match="scores of up to"):
        require_scores(**scores_of(run, narrow, other))


@every_row
def test_the_law_of_the_pixels_is_the_covariance_in_closed_form(row):
    case, step_size = posed(2, NOISE_STD, seed=0), 0.01
    found = law(row, case, np.ones(len(case.mean)), step_size, TEMPERATURE).pixels[..., 0]
    heat = 0.0 if row.variance is exact else step_size
    np.testing.assert_allclose(found, case.covariance(TEMPERATURE, heat), rtol=1e-9, atol=1e-12)
