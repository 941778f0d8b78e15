"""Comparisons: the curves say of each step what `sample` says of the end."""

import numpy as np
import pytest

import bdip
from bdip.compare import compare
from bdip.diagnostics import psnr

TINY = bdip.Hourglass(scales=1, channels_down=4, channels_up=4, channels_skip=2, latent_channels=4)


@pytest.fixture(scope="module")
def comparison():
    clean = np.tile(np.linspace(50, 200, 16), (16, 1))
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    return clean, compare(
        noisy, clean=clean, noise_std=20, data_range=(0, 255), generator=TINY, steps=30, block=10,
        progress=False,
    )  # fmt: skip


def test_the_last_point_of_a_running_mean_is_the_posterior_mean(comparison):
    clean, result = comparison
    for name in ("adam", "mclmc"):
        expected = psnr(clean, result.posteriors[name].mean, 255)
        # float32 images: relative rounding 6e-8 of 255 against errors of some grey levels
        assert result.curves[name]["mean"][-1] == pytest.approx(expected, abs=1e-3)


def test_a_point_is_taken_after_each_block(comparison):
    _, result = comparison
    assert list(result.curves["mclmc"]["step"]) == [10, 20, 30]


def test_the_warm_up_has_no_mean(comparison):
    _, result = comparison
    assert np.isnan(result.curves["mclmc"]["mean"][0])


def test_the_table_names_every_sampler(comparison):
    _, result = comparison
    assert [line.split()[0] for line in result.table().splitlines()] == ["adam", "mclmc"]


def test_what_is_added_to_a_descent_is_named_after_it():
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16))
    found = compare(
        noisy, samplers=("adam+jitter+average", "adam+decay"), noise_std=0.1, data_range=(0, 1),
        generator=TINY, steps=4, block=2, progress=False,
    )  # fmt: skip
    first, second = (found.posteriors[name].settings for name in found.curves)
    assert (first["input_jitter"], first["output_average"]) == (1 / 30, 0.99)
    assert (second["weight_precision"], second["output_average"]) == (1.0, 0.0)


def test_what_cannot_be_added_is_refused_before_anything_runs():
    with pytest.raises(bdip.SettingsError, match="'adam\\+luck' adds 'luck'.*jitter"):
        compare(np.zeros((16, 16)), samplers=("mclmc", "adam+luck"))
