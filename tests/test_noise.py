"""The noise estimate, on noise whose level is known."""

import numpy as np
import pytest
from skimage.restoration import estimate_sigma

from bdip.noise import estimate_noise_std

SIZE = 256
SEEDS = range(6)


def smooth(height=SIZE, width=SIZE, channels=1):
    """An image whose finest diagonal details are far below any noise used here."""
    rows, columns = np.mgrid[:height, :width]
    image = 0.5 + 0.3 * np.sin(rows / 40) * np.cos(columns / 30)
    return np.repeat(image[..., None], channels, axis=-1)


def noisy(std, seed, **shape):
    image = smooth(**shape)
    return image + np.random.default_rng(seed).normal(0, std, image.shape)


def estimates(std, mask=None, **shape):
    return np.array([estimate_noise_std(noisy(std, seed, **shape), mask) for seed in SEEDS])


# The median of |x| over n normal values has the standard error 1.17 σ/√n: 1/(2 f √n), f being the
# density 0.636/σ of |x| at its median 0.674 σ. Six seeds and n ≥ 4000 leave 0.8 %; four of them, 3 %.
@pytest.mark.parametrize("std", [5 / 255, 25 / 255, 0.5])
def test_the_noise_is_estimated_within_a_few_percent(std):
    assert abs(estimates(std).mean() / std - 1) < 0.03


@pytest.mark.parametrize("std", [5 / 255, 25 / 255, 0.5])
def test_half_the_pixels_missing_at_random_do_not_bias_the_estimate(std):
    mask = np.random.default_rng(9).random((SIZE, SIZE)) < 0.5  # 1/16 of the blocks are whole
    assert abs(estimates(std, mask).mean() / std - 1) < 0.03


def test_what_stands_in_missing_pixels_changes_nothing():
    mask = np.random.default_rng(9).random((SIZE, SIZE)) < 0.7
    image = noisy(0.1, 0)
    spoiled = np.where(mask[..., None], image, 1e6)
    assert estimate_noise_std(image, mask) == estimate_noise_std(spoiled, mask)


def test_colours_are_averaged():
    found = estimates(0.1, height=128, width=128, channels=3).mean()
    assert abs(found / 0.1 - 1) < 0.03  # 3 × 64² coefficients, as many as in the cases above


def test_a_mask_of_ones_is_no_mask():
    image = noisy(0.1, 0)
    assert estimate_noise_std(image, np.ones((SIZE, SIZE), bool)) == estimate_noise_std(image)


def test_a_small_image_is_estimated_from_all_its_blocks():
    found = np.array([estimate_noise_std(noisy(0.1, s, height=12, width=12)) for s in range(40)])
    # 121 overlapping blocks: each pixel is in four, so that they are worth at least a quarter: 1.17/√30/√40 = 3.4 %.
    assert abs(found.mean() / 0.1 - 1) < 4 * 0.034


def test_it_is_in_the_units_of_the_image():
    image = noisy(0.1, 0)
    assert estimate_noise_std(255 * image) == pytest.approx(255 * estimate_noise_std(image))


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1)], ids=str)
def test_without_a_whole_block_there_is_no_estimate(shape):
    assert np.isnan(estimate_noise_std(np.zeros((*shape, 1))))


def test_with_no_two_neighbours_observed_there_is_no_estimate():
    rows, columns = np.mgrid[:32, :32]
    assert np.isnan(
        estimate_noise_std(noisy(0.1, 0, height=32, width=32), (rows + columns) % 2 == 0)
    )


@pytest.mark.parametrize("shape", [(33, 48, 1), (17, 16, 3)])
def test_the_estimate_is_that_of_scikit_image(shape):
    image = np.random.default_rng(2).normal(0.5, 0.1, shape).clip(0.4, 0.6).astype(np.float32)
    found = estimate_noise_std(image)
    assert found == pytest.approx(
        estimate_sigma(image, channel_axis=-1, average_sigmas=True), rel=1e-6
    )
