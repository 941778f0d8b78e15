"""What theory says of a Langevin chain on a quadratic energy U = lθ²/2, and how well a run can tell.

Euler's chain θ' = aθ + √(εGT) ξ with a = 1 − εGl/2 is an AR(1) process, whose variance is
v = εGT/(1 − a²) = T/(l(1 − εGl/4)) and whose autocovariances are γ_k = v a^k.

With momentum c, the pair x = (θ, v) obeys x' = Mx + Nξ, its covariance S solves S = M S Mᵀ + N Nᵀ, and
γ_k = (M^k S)_00. For c = 0 it is θ' = aθ + √(εGT) (ξ_t + ξ_{t−1})/2, which can be solved by hand:
Cov(θ_t, ξ_{t−1}) = √(εGT)/2, hence v = a²v + εGT/2 + a εGT/2 = εGT/(2(1 − a)) = T/l exactly.

For a stationary Gaussian process of mean zero, Isserlis' theorem gives the standard errors of averages over n steps:
    n Var(mean of θ_t)         ≈ Σ_k γ_k
    n Var(mean of θ_t²)        ≈ Σ_k 2γ_k²
    n Var(mean of θ_t θ_{t+1}) ≈ Σ_k (γ_k² + γ_{k+1} γ_{k−1}),     the sums over all integers k.
"""

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

LAGS = 2000  # enough for |a| ≤ 0.99: a^2000 < 2e-9


def autocovariances(step_size, curvature, temperature=1.0, gain=1.0, momentum=None):
    """γ_0, γ_1, … up to LAGS, as float64."""
    if momentum is not None:
        return _with_momentum(step_size, curvature, temperature, gain, momentum)
    a = 1 - step_size * gain * curvature / 2
    variance = temperature / (curvature * (1 - step_size * gain * curvature / 4))
    return variance * a ** np.arange(LAGS)


def _with_momentum(step_size, curvature, temperature, gain, c):
    # Kick: u = v − hGlθ. Then v' = cu + sξ and θ' = θ + (h/2)(u + v').
    h, s = np.sqrt(step_size), np.sqrt((1 - c**2) * temperature * gain)
    kick = np.array([-h * gain * curvature, 1.0])
    moves = np.stack([[1.0, 0.0] + h / 2 * (1 + c) * kick, c * kick])
    noise = np.array([h / 2 * s, s])
    x = solve_discrete_lyapunov(moves, np.outer(noise, noise))[:, 0]
    gamma = []
    for _ in range(LAGS):
        gamma.append(x[0])
        x = moves @ x
    return np.array(gamma)


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
