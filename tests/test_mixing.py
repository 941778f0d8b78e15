"""R-hat, effective sample size and Monte Carlo error of each pixel, against ArviZ and theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats

from bdip.diagnostics import mixing, mixing_maps, series
from tests.test_chi2 import autoregressive

FOUND = ("rhat_split", "rhat_bulk", "rhat_tail", "rhat", "ess_bulk", "ess_tail", "ess_mean", "mcse")


def split(chains):
    """The halves of each of (pixels, chains, draws), as chains; an odd draw in the middle is dropped."""
    half = chains.shape[2] // 2
    return np.concatenate([chains[:, :, :half], chains[:, :, -half:]], axis=1)


def ranked(values):
    """Normal scores of the ranks among the values of each pixel."""
    flat = values.reshape(len(values), -1)
    ranks = stats.rankdata(flat, axis=1)
    return stats.norm.ppf((ranks - 3 / 8) / (flat.shape[1] + 1 / 4)).reshape(values.shape)


def by_arviz(draws):
    """What ArviZ says of draws (k, n, …), which for R-hat asks for several chains: of one, the halves."""
    chains = np.moveaxis(draws.astype(np.float64).reshape(*draws.shape[:2], -1), 2, 0)
    halves = split(chains)
    folded = np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True))
    several = {"rhat_split": "split", "rhat_bulk": "z_scale", "rhat_tail": "folded"}
    given = {"rhat_split": halves, "rhat_bulk": ranked(halves), "rhat_tail": ranked(folded)}
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            name: array_stats.rhat(chains, method=method)
            if len(draws) > 1
            else array_stats.rhat(given[name], method="identity")
            for name, method in several.items()
        }
        found |= {
            "ess_bulk": array_stats.ess(chains, method="bulk"),
            "ess_tail": array_stats.ess(chains, method="tail", prob=0.05),
            "ess_mean": array_stats.ess(chains, method="mean"),
            "mcse": array_stats.mcse(chains, method="mean"),
        }
    found["rhat"] = np.fmax(found["rhat_bulk"], found["rhat_tail"])
    return {name: values.reshape(draws.shape[2:]) for name, values in found.items()}


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def walking(chains, count, a, image=(5, 6)):
    """Draws of AR(1) processes; negative a makes them alternate."""
    return np.moveaxis(autoregressive(a, (chains, *image, count)), -1, 1).astype(np.float32)


CASES = {
    "several chains": walking(4, 50, 0.6),
    "one chain": walking(1, 100, 0.6),
    "odd draws": walking(3, 31, 0.6),
    "odd draws, one chain": walking(1, 31, 0.9),
    "antithetic": walking(2, 50, -0.7),
    "chains apart": walking(2, 50, 0.3) + np.array([0, 3], np.float32).reshape(2, 1, 1, 1),
    "of other widths": walking(2, 50, 0.3) * np.array([1, 4], np.float32).reshape(2, 1, 1, 1),
    "ties": np.round(walking(2, 50, 0.6)),
    "two values": (walking(3, 31, 0.6) > 0.3).astype(np.float32),
    "colour": walking(2, 50, 0.5, (4, 3, 3)),
    "grey levels": 20_000 + 5 * walking(2, 50, 0.6),
    "four draws": normal((2, 4, 5, 6)),
    "five draws": normal((2, 5, 5, 6)),
    "six draws": normal((2, 6, 5, 6)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_maps_are_those_of_arviz(name):
    found, expected = mixing_maps(CASES[name]), by_arviz(CASES[name])
    for each in FOUND:
        assert getattr(found, each).shape == CASES[name].shape[2:]
        assert getattr(found, each).dtype == np.float32
        np.testing.assert_allclose(getattr(found, each), expected[each], rtol=1e-3, err_msg=each)


def test_equal_draws_tell_nothing_and_have_no_error():
    draws = normal((3, 31, 3, 3))
    draws[:, :, 1, 2] = 0.3
    found = mixing_maps(draws)
    for each in (found.rhat_split, found.rhat_bulk, found.rhat_tail, found.rhat):
        assert np.isnan(each[1, 2])
        assert np.isnan(each).sum() == 1
    for each in (found.ess_bulk, found.ess_tail, found.ess_mean):
        assert each[1, 2] == 90  # 3 chains of 2 halves of 15 draws
    assert found.mcse[1, 2] == 0


def test_chains_stuck_at_different_values_disagree_without_bound():
    draws = np.full((2, 50, 2, 2), 0.1, np.float32)
    draws[1] = 0.7
    found = mixing_maps(draws)
    assert np.isinf(found.rhat_split).all()
    assert np.isinf(found.rhat).all()


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 0, 4, 5), (3, 1, 2, 2, 3)])
def test_fewer_than_four_draws_give_maps_of_nan(shape):
    for each in mixing_maps(np.zeros(shape, np.float32)):
        assert each.shape == shape[2:]
        assert np.isnan(each).all()


@pytest.mark.parametrize("a", [0.0, 0.7])
def test_effective_draws_are_those_of_an_autoregressive_chain(a):
    count, image = 2000, (16, 16)
    found = mixing_maps(walking(1, count, a, image))
    # τ = (1 + a)/(1 − a). A sum up to lag M has the relative variance 2(2M + 1)/n (Sokal
    # 1997); Geyer's sum ends where a pair is lost in the noise, a^2M ~ 1/n: M ~ log n/(2 |log a|).
    time = (1 + a) / (1 - a)
    lags = max(2, np.log(count) / (2 * abs(np.log(a)))) if a else 2
    spread = np.sqrt(2 * (2 * lags + 1) / count)
    # Mean over 256 pixels; the cut at a positive pair biases τ by about its own spread at worst.
    assert abs(np.mean(found.ess_mean) * time / count - 1) < 4 * spread / 16 + spread
    # The standard error of the mean of a process of variance 1/(1 − a²).
    expected = np.sqrt(time / (1 - a**2) / count)
    assert abs(np.mean(found.mcse) / expected - 1) < 4 * spread / 16 + spread


@pytest.mark.parametrize("pixels", [256, 600])
def test_neither_slabs_nor_the_device_change_anything(pixels, monkeypatch):
    draws = walking(2, 50, 0.5, (pixels, 1))
    whole = mixing_maps(draws)
    monkeypatch.setattr("bdip.diagnostics.mixing.SLAB_VALUES", 1)  # slabs of 256 pixels
    for given in (draws, jnp.asarray(draws)):
        for first, second in zip(whole, mixing_maps(given), strict=True):
            np.testing.assert_allclose(second, first, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_places_without_a_draw_change_nothing(name):
    draws = CASES[name]
    for full, padded in zip(mixing_maps(draws), mixing._maps(draws, 128), strict=True):
        np.testing.assert_allclose(padded, full, rtol=1e-5)


def test_a_chain_that_grows_is_looked_at_by_few_programs():
    draws, before = walking(1, 64, 0.5), series.described._cache_size()
    looks = [mixing.mixing_numbers(draws[:, :count]) for count in range(33, 65, 3)]
    assert series.described._cache_size() == before + 1
    assert looks[-1] == mixing_maps(draws[:, :63]).numbers(np.std(draws[:, :63], (0, 1), ddof=1))


def test_large_images_are_worked_through_in_slabs_that_fit_a_cache():
    chains_and_draws = 100
    program = series.described.lower(
        jax.ShapeDtypeStruct((1, chains_and_draws, mixing._slab_size(100, 2048**2)), jnp.float32),
        chains_and_draws,
    ).compile()
    # Nothing else grows with the image but the seven maps that are returned.
    assert program.memory_analysis().temp_size_in_bytes < 32 * 2**20


def test_the_numbers_of_the_maps_leave_out_pixels_that_cannot_tell():
    nan = np.float32(np.nan)
    row = np.array([1.0, nan, 1.2, 1.1], np.float32)
    ess = np.array([10, 40, 20, 30], np.float32)
    mcse = np.array([0.1, 0, 0.2, 0.2], np.float32)
    found = mixing.Mixing(row, row, row - 0.5, ess, ess, ess, mcse).numbers(np.full(4, 0.5))
    assert found["rhat_median"] == pytest.approx(1.1)
    assert found["rhat_95"] == pytest.approx(1.2)
    assert found["ess_median"] == 30  # of two middle ones the larger
    # √(((1 + 0 + 4 + 4)/4)/100 / 0.25) = √0.09
    assert found["mcse_ratio"] == pytest.approx(0.3)


def test_there_are_no_numbers_of_nothing():
    found = mixing_maps(np.zeros((1, 2, 3, 3))).numbers(np.full((3, 3), np.nan))
    assert np.isnan(list(found.values())).all()
