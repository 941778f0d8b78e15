"""The energy against numbers worked out by hand, and its gradient where nothing is observed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bdip.operators import Downsample
from bdip.potential import energy
from bdip.problem import pose
from tests.fakes import PaddedPixels, Perceptron, Pixels, unit_problem

LATENT = jnp.zeros((1, 1, 1))
IMAGE = np.array([[[1.0, 2.0], [3.0, 5.0]]], np.float32)  # (1, 2, 2)


def by_hand(mask=None, noise_std=0.5, weight_precision=3.0, image=IMAGE):
    problem, _ = pose(
        np.array([[[0.5, 1.0], [7.0, 9.0]]]), mask, noise_std=noise_std, data_range=(0, 1),
        weight_precision=weight_precision,
    )  # fmt: skip
    return energy({"image": jnp.asarray(image)}, Pixels(), LATENT, problem)


def test_the_energy_is_the_sum_of_the_squares_over_twice_the_variance_and_the_prior():
    # Residuals 0.5, 1, −4, −4: squares sum to 33.25; 2σ² = 0.5; misfit 66.5.
    # ‖θ‖² = 1 + 4 + 9 + 25 = 39; λ/2 = 1.5; prior 58.5. n = 4: χ² = 33.25/(4 · 0.25) = 33.25.
    value, terms = by_hand()
    assert (value, terms.misfit, terms.chi2) == (125.0, 66.5, 33.25)
    np.testing.assert_array_equal(terms.image, IMAGE)


def test_only_observed_pixels_count_in_the_misfit_and_in_the_chi2():
    # Only the first pixel: squares sum to 1.25, misfit 2.5; n = 2 values: χ² = 1.25/(2 · 0.25).
    value, terms = by_hand(mask=[[1, 0]])
    assert (value, terms.misfit, terms.chi2) == (61.0, 2.5, 2.5)


def test_noise_and_prior_scale_their_own_terms():
    value, terms = by_hand(noise_std=1.0, weight_precision=1.0)  # 33.25/2 + 39/2
    assert (value, terms.misfit, terms.chi2) == (36.125, 16.625, 8.3125)
    assert by_hand(weight_precision=0.0)[0] == 66.5


def test_the_energy_is_a_sum_and_not_a_mean():
    # Twice the same pixels: twice the energy, the same χ².
    small, large = (
        energy(
            {"image": jnp.tile(jnp.asarray(IMAGE), (n, 1, 1))},
            Pixels(),
            LATENT,
            pose(np.tile([[[0.5, 1.0], [7.0, 9.0]]], (n, 1, 1)), noise_std=0.5, data_range=(0, 1))[
                0
            ],
        )
        for n in (1, 2)
    )
    assert large[0] == 2 * small[0]
    assert large[1].misfit == 2 * small[1].misfit
    assert large[1].chi2 == small[1].chi2


def test_the_operator_stands_between_image_and_data():
    # One box of 2 × 2 with mean 2.5 against datum 1: misfit 1.5²/(2 · 0.25) = 4.5, χ² = 9.
    problem, _ = pose(
        [[1.0]], noise_std=0.5, data_range=(0, 1), operator=Downsample(2), weight_precision=2.0
    )
    image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
    value, terms = energy({"image": image}, Pixels(), LATENT, problem)
    assert (value, terms.misfit, terms.chi2) == (4.5 + 30.0, 4.5, 9.0)


gradient_of = jax.jit(jax.grad(energy, has_aux=True), static_argnums=1)


def gradient(problem, generator=Pixels(), seed=0):  # noqa: B008 -- frozen
    params, latent = generator.init(jax.random.key(seed), problem.image_shape)
    return params, gradient_of(params, generator, latent, problem)[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_unobserved_pixels_have_zero_gradient_and_observed_ones_the_residuals(seed, shape):
    mask = np.random.default_rng(seed).random(shape[:2]) < 0.5
    problem = unit_problem(shape, mask, weight_precision=0.0, seed=seed)
    params, grad = gradient(problem, seed=seed)
    assert not grad["image"][~mask].any()
    # dU/dx = (x − y)/σ², three roundings.
    residual = (np.asarray(params["image"], np.float64) - problem.data)[mask] / 0.5**2
    np.testing.assert_allclose(grad["image"][mask], residual, rtol=1e-6, atol=1e-6)


def test_the_prior_alone_acts_on_unobserved_pixels():
    mask = np.eye(6, 5, dtype=bool)
    params, grad = gradient(unit_problem(mask=mask, weight_precision=3.0))
    np.testing.assert_allclose(grad["image"][~mask], 3 * params["image"][~mask], rtol=1e-6)


def test_what_stands_in_the_data_of_unobserved_pixels_changes_nothing():
    mask = np.random.default_rng(1).random((6, 5)) < 0.5
    image = np.random.default_rng(2).random((6, 5))
    results = []
    for filling in (0.0, 1e6, np.nan, np.inf):
        filled = np.where(mask, image, filling)
        problem, _ = pose(filled, mask, noise_std=0.1, data_range=(0, 1))
        params, latent = Perceptron().init(jax.random.key(0), problem.image_shape)
        results.append(jax.tree.leaves(gradient_of(params, Perceptron(), latent, problem)))
    for other in results[1:]:
        for got, wanted in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_data_where_the_mask_is_zero_cannot_act_even_if_they_are_not_zero():
    problem = unit_problem(mask=np.eye(6, 5, dtype=bool))
    spoiled = replace(problem, data=problem.data + 100 * (1 - problem.mask))
    (_, clean), (_, dirty) = gradient(problem), gradient(spoiled)
    np.testing.assert_array_equal(clean["image"], dirty["image"])


@pytest.mark.parametrize("shape", [(5, 7), (8, 8), (9, 17), (1, 1)], ids=str)
def test_the_padding_is_unobserved_and_the_image_is_the_middle_of_the_grid(shape):
    problem = unit_problem(shape, weight_precision=0.0)
    params, grad = gradient(problem, PaddedPixels())
    height, width = shape
    rows, columns, _ = params["image"].shape
    assert rows % 8 == columns % 8 == 0
    top, left = (rows - height) // 2, (columns - width) // 2
    inside = np.zeros((rows, columns), bool)
    inside[top : top + height, left : left + width] = True
    assert not grad["image"][~inside].any()
    assert grad["image"][inside].all()
    image = energy(params, PaddedPixels(), LATENT, problem)[1].image
    np.testing.assert_array_equal(
        image, jax.nn.sigmoid(params["image"])[top : top + height, left : left + width]
    )
