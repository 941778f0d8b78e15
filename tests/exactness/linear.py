"""A linear generator with missing data: the posterior in closed form, and the law of a chain on it.

With the image x = Bθ, data y = A x + noise and mask D the posterior of the weights is normal, with the
precision H = (AB)ᵀD(AB)/σ² + λI and the mean μ = H⁻¹(AB)ᵀDy/σ². At temperature T, x has the mean Bμ and
the covariance T B H⁻¹ Bᵀ; for Euler's step with gain G, T B (H − εHGH/4)⁻¹ Bᵀ.

In the modes of K = G^½ H G^½ (eigenvalues l, eigenvectors Q) the autocovariances of pixels i and j are
Γ_ij,k = Σ_l R_il R_jl γ_l,k with R = B G^½ Q, and the energy is U(μ) + Σ_l l φ_l²/2: on average
U(μ) + Σ_l l γ_l,0/2, with the autocovariances Σ_l (l/2)² 2γ_l,k².
"""

from typing import NamedTuple

import numpy as np

from bdip.operators import Downsample
from bdip.problem import pose
from tests.exactness.generators import Linear, Replicas, unstacked
from tests.exactness.harness import of_products

SIDE = 4  # pixels, of one replica's image
REPLICAS = 256
GENERATOR = Replicas(Linear(), REPLICAS)
PRECISION = 0.8  # λ
MISSING = 1 / 3  # of the data


class Case(NamedTuple):
    """Data and mask (h, w) of one replica, and its posterior: B (P, p), H (p, p), μ (p,), U(μ)."""

    factor: int
    noise_std: float
    data: np.ndarray
    mask: np.ndarray
    basis: np.ndarray
    precision: np.ndarray
    mean: np.ndarray
    least_energy: float

    @property
    def image(self):
        """Posterior mean of the image, (P,)."""
        return self.basis @ self.mean

    def covariance(self, temperature=1.0, euler_step=0.0):
        """Covariance of the image (P, P); of Euler's chain with gain 1 where its ε is given."""
        H = self.precision
        return temperature * self.basis @ np.linalg.inv(H - euler_step / 4 * H @ H) @ self.basis.T

    def modes(self, gains):
        """Curvatures l (p,) of K and the basis R (P, p)."""
        root = np.sqrt(gains)
        curvatures, vectors = np.linalg.eigh(root[:, None] * self.precision * root)
        return curvatures, self.basis * root @ vectors

    def tiled(self):
        """Data and mask of all replicas, stacked."""
        return [np.tile(each, (REPLICAS, 1)) for each in (self.data, self.mask)]

    def problem(self):
        """The problem of all replicas, in the unit range."""
        data, mask = self.tiled()
        return pose(
            data, mask, operator=Downsample(self.factor), noise_std=self.noise_std,
            data_range=(0, 1), weight_precision=PRECISION,
        )[0]  # fmt: skip


def averages(factor):
    """A as a matrix (data, pixels): means over boxes of factor × factor pixels; with 1 the identity."""
    one_axis = np.kron(np.eye(SIDE // factor), np.full(factor, 1 / factor))
    return np.kron(one_axis, one_axis)


def posed(factor, noise_std, seed):
    """Data of an image from the prior, a third of them missing, and what theory makes of them."""
    rng = np.random.default_rng([factor, seed])
    A, B = averages(factor), Linear().matrix((SIDE, SIDE, 1))
    truth = B @ rng.normal(size=B.shape[1]) / np.sqrt(PRECISION)
    data = A @ truth + noise_std * rng.normal(size=len(A))
    mask = rng.permutation(len(A)) >= int(MISSING * len(A))
    grid = (SIDE // factor, SIDE // factor)
    return solved(factor, noise_std, data.reshape(grid), mask.reshape(grid))


def solved(factor, noise_std, data, mask):
    """The posterior of these data, were σ this."""
    B = Linear().matrix((SIDE, SIDE, 1))
    seen, known = averages(factor)[mask.ravel()] @ B, data[mask]
    H = seen.T @ seen / noise_std**2 + PRECISION * np.eye(B.shape[1])
    mean = np.linalg.solve(H, seen.T @ known / noise_std**2)
    misfit = np.sum((seen @ mean - known) ** 2) / (2 * noise_std**2)
    least_energy = misfit + PRECISION / 2 * mean @ mean
    return Case(factor, noise_std, data, mask, B, H, mean, least_energy)


class Law(NamedTuple):
    """Stationary autocovariances of pairs of pixels (P, P, k) and of the energy (k,), and its mean."""

    pixels: np.ndarray
    energy: np.ndarray
    mean_energy: float


def law(row, case, gains, step_size, temperature):
    """The law of one replica under the row's sampler with these gains (p,)."""
    curvatures, basis = case.modes(gains)
    gamma = np.stack([row.autocovariances(step_size, l, temperature) for l in curvatures])
    return Law(
        np.einsum("il,jl,lk->ijk", basis, basis, gamma),
        np.einsum("l,lk->k", (curvatures / 2) ** 2, of_products(gamma)),
        case.least_energy + curvatures @ gamma[:, 0] / 2,
    )


def pixels_of(images):
    """Images of the chain (..., r · H, W, 1) as (..., r, P), in float64."""
    images = unstacked(images, REPLICAS)
    return images.reshape(*images.shape[:-3], -1)
