"""The energy U(θ), minus the log posterior of the weights: the only place its formula stands."""

from typing import NamedTuple

from bdip.networks.base import Generator, generate
from bdip.problem import Problem
from bdip.trees import squared_norm
from bdip.types import Image, Latent, Params, Scalar


class Terms(NamedTuple):
    """What the evaluation of U(θ) yields besides its value; `noise_std` where σ is sampled too."""

    image: Image
    misfit: Scalar
    chi2: Scalar
    noise_std: Scalar | None = None


def energy(
    params: Params, generator: Generator, latent: Latent, problem: Problem
) -> tuple[Scalar, Terms]:
    """U(θ) and its terms:

        U(θ) = −log p(y | A g_θ(z))  +  (λ/2) ‖θ‖²

        known σ:            −log p = Σ_i m_i (A g_θ(z) − y)_i² / (2σ_i²)
        sampled σ:          −log p = ((w + n)/2) log(ws² + Σ_i m_i (A g_θ(z) − y)_i²)
        Poisson–Gaussian:   −log p = ½ Σ_i m_i [(A g_θ(z) − y)_i² / v_i + log v_i],  v_i = v(A g_θ(z)_i)
        cut off at an end:  −log p = as above between the ends, −log P(A g_θ(z)_i and its noise are beyond) of each value at one
        rounding to steps:  −log p = −Σ_i m_i log P(A g_θ(z)_i and its noise are within half a step of y_i)

    each up to a constant: the *summed* misfit of the observed data, as `likelihood.py` derives it
    for each law of the noise, and a Gaussian prior of precision λ on θ, the weights (Cheng et al.,
    CVPR 2019, section 3) and, where a generator has latents among its params, those. `terms.chi2` is the mean square of the residuals in units of their
    standard deviation, whose posterior expectation is 1 under a right model.
    """
    image = generate(generator, params, latent, problem.image_shape)
    prediction = problem.operator(image)
    misfit, chi2, noise_std = problem.noise.misfit(prediction, problem.data, problem.mask)
    prior = problem.weight_precision / 2 * squared_norm(params)
    return misfit + prior, Terms(image, misfit, chi2, noise_std)
