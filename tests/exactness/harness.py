"""What the exactness tests share: scores, their bound, and standard errors from theory.

Every test turns what it measures into scores, standard normal if the sampler is right, and judges all
of them together: the largest must lie within the Bonferroni bound of m scores, z with
2m P(Z > z) = FALSE_ALARM. So a right sampler fails a test, whatever the number of its scores, with a
probability of at most FALSE_ALARM = 10⁻⁴.

Errors come from theory where the law of the chain is known. Of a stationary sequence whose
autocovariances are c_k, the mean over n terms has the variance (c_0 + 2 Σ_{0<k<n} (1 − k/n) c_k)/n, and
for products of Gaussian variables with covariances Γ_ij,k = Cov(x_i,t, x_j,t+k) Isserlis' theorem says

    c_k of x_i x_j           = Γ_ii,k Γ_jj,k + Γ_ij,k²        (Γ_ij,k = Γ_ij,−k, as of reversible chains)
    c_k of x_t x_{t+m}       = γ_k² + γ_{k+m} γ_{k−m},
and for the characteristic function, with ρ_k = γ_k/γ_0 (E cos(u x/√γ_0) = e^(−u²/2)),

    c_k of cos(u x_t/√γ_0)   = e^(−u²) (cosh(u² ρ_k) − 1).

Where it is not known they come from independent replicates, with Student's law. Averages are normal
only in the limit: a mean of squares of 2,000 independent terms, about the fewest here, has the skewness
√(8/2000), which makes its probability beyond 5 standard errors some five times that of a normal variable.

A new sampler is one row in `samplers.py`; what each column means is said there.
"""

import jax
import numpy as np
from scipy.stats import norm, t

from bdip import chain

FALSE_ALARM = 1e-4  # probability that a right sampler fails one test


def require_scores(**scores):
    """Fail unless all scores, of every kind together, are within the bound of their number."""
    count = sum(np.size(values) for values in scores.values())
    bound = norm.isf(FALSE_ALARM / (2 * count))
    worst = {kind: float(np.abs(values).max()) for kind, values in scores.items()}
    # Not `worst > bound`: a score that is not a number fails too.
    beyond = {kind: score for kind, score in worst.items() if not score <= bound}
    assert not beyond, f"scores of up to {beyond}: all {count} should be within {bound:.2f}"


def started(problem, generator, sampler, plan, steps, draws, seed):
    """The chain of these arguments and seed before its first step."""
    return chain.start(problem, generator, sampler, plan, steps, draws, jax.random.key(seed))


def finish(run):
    """The run at its end, in blocks as long as they may be."""
    while run.done < run.steps:
        run.advance(chain.BLOCK_CAPACITY)
    return run


def standard_error(autocovariances, n, spacing=1):
    """Standard error of the mean of n terms; `autocovariances` (..., k) at the lags 0, 1, …

    The terms are `spacing` lags apart. Lags beyond those given count as uncorrelated.
    """
    c = autocovariances[..., ::spacing][..., :n]
    weight = 2 * (1 - np.arange(c.shape[-1]) / n)
    weight[0] = 1
    return np.sqrt(c @ weight / n)


def of_products(gamma, other=None, cross=None):
    """c_k of x_i x_j, from Γ_ii, Γ_jj and Γ_ij (..., k); of x_i² with Γ_ii alone."""
    if other is None:
        return 2 * gamma**2
    return gamma * other + cross**2


def of_lagged_product(gamma, lag):
    """c_k of x_t x_{t+lag}, from γ_k of x (..., k)."""
    k = np.arange(gamma.shape[-1] - lag)
    return gamma[..., k] ** 2 + gamma[..., k + lag] * gamma[..., np.abs(k - lag)]


def of_cosine(gamma, u):
    """c_k of cos(u x_t/√γ_0), from γ_k of x (..., k)."""
    return np.exp(-(u**2)) * (np.cosh(u**2 * gamma / gamma[..., :1]) - 1)


def spread_scores(replicates, expected):
    """Scores of the mean of independent replicates (r, ...), with the error that they show themselves.

    Student's t with r − 1 degrees of freedom, as the standard normal score of the same probability.
    """
    replicates = np.asarray(replicates, np.float64)
    error = replicates.std(axis=0, ddof=1) / np.sqrt(len(replicates))
    return _as_normal((replicates.mean(axis=0) - expected) / error, len(replicates) - 1)


def difference_scores(first, second):
    """Scores of the difference of two means, each of independent replicates (r, ...).

    Welch's t, as the standard normal score of the same probability.
    """
    parts = [np.asarray(each, np.float64) for each in (first, second)]
    a, b = (each.var(axis=0, ddof=1) / len(each) for each in parts)
    freedom = (a + b) ** 2 / sum(v**2 / (len(p) - 1) for v, p in zip((a, b), parts, strict=True))
    difference = parts[0].mean(axis=0) - parts[1].mean(axis=0)
    return _as_normal(difference / np.sqrt(a + b), freedom)


def _as_normal(scores, freedom):
    return np.sign(scores) * norm.isf(t.sf(np.abs(scores), freedom))
