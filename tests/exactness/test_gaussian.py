"""Every exact sampler on Gaussian targets U = θᵀHθ/2: its chain has the covariance that theory says.

Euler's step with gain G is θ' = (I − εGH/2)θ + √(εT) G^½ ξ. With φ = G^−½ θ and K = G^½ H G^½ it is
φ' = (I − εK/2)φ + √(εT) ξ. In the eigenvectors of K, with eigenvalues l, the components are independent
AR(1) processes with the variance T/(l(1 − εl/4)) and the autocorrelation (1 − εl/2)^k; back in θ,

    Cov θ = T G^½ (I − εK/4)⁻¹ K⁻¹ G^½ = T (H − εHGH/4)⁻¹.

A step with momentum (BAOAB) decouples in the same way, into the pairs of `tests/laws.py`, of which the
variance is T/l, so that Cov θ = T H⁻¹ exactly, whatever ε and G.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bdip.samplers import REGISTRY
from tests.exactness.harness import (
    of_cosine,
    of_lagged_product,
    of_products,
    require_scores,
    spread_scores,
    standard_error,
)
from tests.exactness.samplers import ELSEWHERE, ROWS, exact

# Steps: the slowest chain below has |a| < 0.99, so that 0.99^1200 < 1e-5 of its start is left.
BURN, STEPS, LONG_STEPS = 600, 500, 4000
COLUMNS, COLUMNS_ALONE = 400, 64  # independent chains
LAGS = (1, 2, 5)
FREQUENCY = 2.0  # of the characteristic function, in units of 1/standard deviation
# Dimension, ε times the largest curvature l (the limit of stability is 4), and temperature.
TARGETS = [(1, 2.0, 1.0), (3, 0.8, 2.5), (10, 0.5, 0.3), (10, 3.2, 1.0)]
DIMENSION_ALONE = 3  # a chain on its own is slow: one dimension shows it

EVERY_CASE = {
    f"{name}, d = {target[0]}, stiffness = {target[1]}, T = {target[2]}": (row, *target)
    for name, row in ROWS.items()
    for target in TARGETS
    if not row.alone or target[0] == DIMENSION_ALONE
}
every_case = pytest.mark.parametrize(
    ("row", "dimension", "stiffness", "temperature"), EVERY_CASE.values(), ids=EVERY_CASE
)


class Target(NamedTuple):
    """H (d, d), the diagonal of G (d,), and the modes: l (d,) and the map φ = Qᵀ G^−½ θ (d, d)."""

    precision: np.ndarray
    gains: np.ndarray
    curvatures: np.ndarray
    to_modes: np.ndarray


def target(row, dimension, seed):
    """H has eigenvalues from 0.5 to 3 in random directions; G is between 0.4 and 2.7."""
    rng = np.random.default_rng([dimension, seed])
    directions, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    H = directions * np.geomspace(0.5, 3, dimension) @ directions.T
    gains = np.exp(rng.uniform(-1, 1, dimension)) if row.freeze else np.ones(dimension)
    if row.gain_a_tensor:
        gains = np.concatenate([np.full(len(part), part[0]) for part in split(gains)])
    root = np.sqrt(gains)
    curvatures, vectors = np.linalg.eigh(root[:, None] * H * root)
    return Target(H, gains, curvatures, vectors.T / root)


def split(theta):
    """(d, ...) as two tensors of weights, or as one where d is small."""
    cut = len(theta) // 3
    return [theta] if cut == 0 else [theta[:cut], theta[cut:]]


def begun(row, sampler, gains, shape):
    """Weights of zero (d, ...) and the sampler's state, frozen with these gains."""
    params = split(jnp.zeros(shape))
    if row.freeze is None:
        return params, sampler.init(params)
    wide = np.broadcast_to(gains.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(np.float32)
    tree = [part.flat[0] if row.gain_a_tensor else part for part in split(wide)]
    return params, row.freeze(sampler, params, tree)


@partial(jax.jit, static_argnames="steps")
def trajectory(sampler, H, start, key, steps):
    """θ_t (t, d, ...) after the burn-in; where there are columns, they are weights of one chain."""

    def body(carry, key):
        params, state = carry
        theta = jnp.concatenate(params)
        force = H @ theta
        energy = jnp.sum(theta * force) / 2
        return sampler.step(key, params, split(force), state, energy), theta

    _, thetas = jax.lax.scan(body, start, jax.random.split(key, BURN + steps))
    return thetas[BURN:]


def modes_of_chains(row, sampler, target, seed, steps=STEPS):
    """φ_t (t, d, columns) as float64, of independent chains."""
    H, key = jnp.asarray(target.precision, jnp.float32), jax.random.key(seed)
    if row.alone:
        start = begun(row, sampler, target.gains, (len(H),))
        keys = jax.random.split(key, COLUMNS_ALONE)
        one_each = jax.vmap(partial(trajectory, sampler, H, start, steps=steps), out_axes=-1)
        thetas = one_each(keys)
    else:
        start = begun(row, sampler, target.gains, (len(H), COLUMNS))
        thetas = trajectory(sampler, H, start, key, steps)
    return np.einsum("ij,tjc->tic", target.to_modes, np.asarray(thetas, np.float64))


def pairs(modes):
    """Means over the steps of φ_i φ_j, i ≤ j (pairs, columns), and the places (i, j)."""
    i, j = np.triu_indices(modes.shape[1])
    products = np.einsum("tic,tjc->ijc", modes, modes) / len(modes)
    return products[i, j], i, j


def scores_by_theory(modes, gamma):
    """Scores of all means, covariances, lagged products and laws of the modes."""
    n, _, columns = modes.shape
    products, i, j = pairs(modes)
    same = (i == j)[:, None]
    error = standard_error(of_products(gamma[i], gamma[j], np.where(same, gamma[i], 0)), n)
    expected = np.where(i == j, gamma[i, 0], 0)
    scale = np.sqrt(columns)
    standard = modes / np.sqrt(gamma[:, :1])
    cosine = np.cos(FREQUENCY * standard).mean(axis=(0, 2))
    found = {
        "mean": modes.mean(axis=(0, 2)) / standard_error(gamma, n),
        "covariance": (products.mean(axis=1) - expected) / error,
        # Where the variances are right, this tells a normal law from others.
        "law": (cosine - np.exp(-(FREQUENCY**2) / 2))
        / standard_error(of_cosine(gamma, FREQUENCY), n),
    }
    for lag in LAGS:
        product = np.mean(modes[:-lag] * modes[lag:], axis=(0, 2))
        error = standard_error(of_lagged_product(gamma, lag), n - lag)
        found[f"lag {lag}"] = (product - gamma[:, lag]) / error
    return {kind: scale * values for kind, values in found.items()}


def scores_by_replicates(modes, variances):
    """Scores of all means and covariances of the modes, each chain a replicate."""
    products, i, j = pairs(modes)
    expected = np.where(i == j, variances[i], 0)
    return {
        "mean": spread_scores(modes.mean(axis=0).T, 0),
        "covariance": spread_scores(products.T, expected),
    }


def check(row, dimension, stiffness, temperature, seed, steps=STEPS):
    """Run the row's sampler on a target of this seed and require its law."""
    goal = target(row, dimension, seed)
    step_size = stiffness / goal.curvatures[-1]
    sampler = row.at(step_size, temperature)
    modes = modes_of_chains(row, sampler, goal, seed, steps)
    numbers = [(step_size, l, temperature) for l in goal.curvatures]
    if row.autocovariances is None:
        scores = scores_by_replicates(modes, np.array([row.variance(*each) for each in numbers]))
    else:
        scores = scores_by_theory(modes, np.stack([row.autocovariances(*each) for each in numbers]))
    require_scores(**scores)


@every_case
def test_the_chain_has_the_law_of_theory(row, dimension, stiffness, temperature, exactness_seed):
    check(row, dimension, stiffness, temperature, exactness_seed)


@pytest.mark.slow
@every_case
def test_the_chain_has_the_law_of_theory_over_a_long_run(
    row, dimension, stiffness, temperature, exactness_seed
):
    check(row, dimension, stiffness, temperature, exactness_seed, steps=LONG_STEPS)


def test_every_exact_sampler_has_a_row():
    held = {type(row.sampler) for row in ROWS.values()}
    exact_ones = {name: kind for name, kind in REGISTRY.items() if kind.exact}
    missing = [name for name, kind in exact_ones.items() if kind not in held]
    assert missing == list(ELSEWHERE), "add a row to tests/exactness/samplers.py"


@every_case
def test_the_law_in_the_modes_is_the_covariance_in_closed_form(
    row, dimension, stiffness, temperature
):
    # Theory against theory: T (H − εHGH/4)⁻¹ or T H⁻¹, and γ_0 of the modes, brought back to θ.
    H, gains, curvatures, to_modes = target(row, dimension, seed=0)
    step_size = stiffness / curvatures[-1]
    heat = 0 if row.variance is exact else step_size / 4 * H * gains @ H
    covariance = temperature * np.linalg.inv(H - heat)
    variances = np.array([row.variance(step_size, l, temperature) for l in curvatures])
    back = np.linalg.inv(to_modes)
    np.testing.assert_allclose(back * variances @ back.T, covariance, rtol=1e-9, atol=1e-12)
    if row.autocovariances is not None:
        gamma = np.stack([row.autocovariances(step_size, l, temperature) for l in curvatures])
        np.testing.assert_allclose(gamma[:, 0], variances, rtol=1e-9)
    if row.variance is not exact:  # Euler's lag-k autocorrelation
        for k in LAGS:
            correlation = (1 - step_size * curvatures / 2) ** k
            np.testing.assert_allclose(
                gamma[:, k] / gamma[:, 0], correlation, rtol=1e-9, atol=1e-12
            )
