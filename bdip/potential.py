"""The energy U(θ), minus the log posterior of the weights: the only place its formula stands."""

from typing import NamedTuple

import jax.numpy as jnp

from bdip.networks.base import Generator, generate
from bdip.problem import Problem
from bdip.trees import squared_norm
from bdip.types import Image, Latent, Params, Scalar


class Terms(NamedTuple):
    """What the evaluation of U(θ) yields besides its value."""

    image: Image
    misfit: Scalar
    chi2: Scalar


def energy(
    params: Params, generator: Generator, latent: Latent, problem: Problem
) -> tuple[Scalar, Terms]:
    """U(θ) and its terms:

        U(θ) = Σ_i m_i (A g_θ(z) − y)_i² / (2σ²)  +  (λ/2) ‖θ‖²

    the *summed* squared misfit of the observed data under Gaussian noise of standard deviation σ,
    and a Gaussian prior of precision λ on the weights (Cheng et al., CVPR 2019, section 3).
    `terms.chi2` is ‖m⊙(A g − y)‖² / (nσ²), whose posterior expectation is 1 under a right model.
    """
    image = generate(generator, params, latent, problem.image_shape)
    residual = problem.mask * (problem.operator(image) - problem.data)
    misfit = jnp.sum(residual**2) / (2 * problem.noise_std**2)
    prior = problem.weight_precision / 2 * squared_norm(params)
    return misfit + prior, Terms(image, misfit, 2 * misfit / problem.observed_count)
