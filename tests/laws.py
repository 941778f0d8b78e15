"""What theory says of a Langevin chain on a quadratic energy U = lθ²/2, and how well a run can tell.

Euler's chain θ' = aθ + √(εGT) ξ with a = 1 − εGl/2 is an AR(1) process, whose variance is
v = εGT/(1 − a²) = T/(l(1 − εGl/4)) and whose autocovariances are γ_k = v a^k.

Leimkuhler & Matthews' chain θ' = aθ + √(εGT) (ξ_t + ξ_{t−1})/2 has Cov(θ_t, ξ_{t−1}) = √(εGT)/2, hence
v = a²v + εGT/2 + a εGT/2 = εGT/(2(1 − a)) = T/l exactly, γ_1 = av + εGT/4 = v(1 + a)/2 and γ_k = a^{k−1} γ_1.

For a stationary Gaussian process of mean zero, Isserlis' theorem gives the standard errors of averages over n steps:
    n Var(mean of θ_t)         ≈ Σ_k γ_k
    n Var(mean of θ_t²)        ≈ Σ_k 2γ_k²
    n Var(mean of θ_t θ_{t+1}) ≈ Σ_k (γ_k² + γ_{k+1} γ_{k−1}),     the sums over all integers k.
"""

import numpy as np

LAGS = 2000  # enough for |a| ≤ 0.99: a^2000 < 2e-9


def autocovariances(step_size, curvature, temperature=1.0, gain=1.0, integrator="euler"):
    """γ_0, γ_1, … up to LAGS, as float64."""
    a = 1 - step_size * gain * curvature / 2
    powers = a ** np.arange(LAGS)
    if integrator == "euler":
        variance = temperature / (curvature * (1 - step_size * gain * curvature / 4))
        return variance * powers
    variance = temperature / curvature
    return variance * np.concatenate([[1.0], (1 + a) / 2 * powers[:-1]])


def two_sided(gamma):
    """γ_k for k from −LAGS + 1 to LAGS − 1."""
    return np.concatenate([gamma[:0:-1], gamma])


def error_of_mean(gamma, n):
    """Standard error of the mean of n steps."""
    return np.sqrt(two_sided(gamma).sum() / n)


def error_of_square(gamma, n, offset=0.0):
    """Standard error of the mean of (θ_t + offset)² over n steps."""
    both = two_sided(gamma)
    return np.sqrt((2 * both**2 + 4 * offset**2 * both).sum() / n)


def error_of_product(gamma, n):
    """Standard error of the mean of θ_t θ_{t+1} over n steps."""
    both = two_sided(gamma)
    return np.sqrt(((both**2).sum() + (both[2:] * both[:-2]).sum()) / n)
