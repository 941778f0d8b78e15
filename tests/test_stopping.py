"""Chains that end by themselves: where the mean is known as well as asked, not before, and whatever the clock says."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import bdip
from bdip import chain, stopping
from bdip.diagnostics.chi2 import Blocks
from bdip.samplers import Constant, Cooling, Mclmc, Psgld, Sgld
from bdip.stopping import Converging, falls, settled
from tests.fakes import Pixels, unit_problem

SIGMA, PRECISION, SIZE = 0.5, 2.0, 16
# U = (θ − y)²/(2σ²) + λθ²/2 at each pixel.
CURVATURE = 1 / SIGMA**2 + PRECISION
IMAGE = np.random.default_rng(0).normal(0.5, 0.3, (SIZE, SIZE))
POSTERIOR_MEAN = IMAGE / SIGMA**2 / CURVATURE
# Every look compiles for its own number of draws: chains of which more is not asked take few.
SOON = {"target_mcse": 0.15}
AT_ONCE = {"settings": bdip.Settings(target_mcse=10, target_rhat=10)}


def run(**options):
    plain = {
        "generator": Pixels(), "sampler": Sgld(Constant(0.05)), "noise_std": SIGMA,
        "data_range": (0, 1), "weight_precision": PRECISION, "progress": False,
    }  # fmt: skip
    return bdip.sample(IMAGE, **{**plain, **options})


@pytest.fixture
def first_look(monkeypatch):
    """For a test of a chain that certainly needs as many kept steps: it spares the looks before."""
    return lambda kept: monkeypatch.setattr(stopping, "FIRST_LOOK", kept)


# Their first looks come where the error is 1.1 times as large as asked for.
@pytest.mark.parametrize(("target", "chains", "first"), [(0.15, 1, 432), (0.07, 4, 500)])
@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_the_mean_is_what_was_asked_for_where_chains_end(
    target, chains, first, seed, first_look
):
    first_look(first)
    found = run(target_mcse=target, chains=chains, seed=seed)
    assert found.settings["stopped"]["reached"]
    assert found.complete
    # 256 independent pixels: the root mean square of their errors is known to 1/√512, 4 %. The chain ends at the
    # first look, each 1.2 times as long as the last, at which a ratio estimated to some 10 % is low enough.
    error = np.sqrt(np.mean((found.mean - POSTERIOR_MEAN) ** 2) * CURVATURE)
    assert 0.6 * target < error < 1.3 * target
    # AR(1) with a = 1 − εl/2 = 0.85 has 2 (1 + a)/(2 (1 − a)) = 12.3 steps to an effective draw.
    steps = chains * (found.settings["steps"] - found.warmup) / 12.3
    assert 1.2**-2 * target**-2 < steps * 1.3


def test_blocks_and_the_clock_change_nothing():
    same = [run(**SOON, settings=bdip.Settings(block=block)) for block in (None, 7, 100)]
    for other in same[1:]:
        np.testing.assert_array_equal(same[0].mean, other.mean)
        np.testing.assert_array_equal(same[0].draws, other.draws)
        np.testing.assert_array_equal(same[0].probe, other.probe)
        assert same[0].settings == other.settings


def test_a_chain_that_begins_far_out_warms_up_for_longer_and_leaves_no_trace_of_it(first_look):
    first_look(7000)
    # From 300 standard deviations away, a slow chain: a = 1 − 0.001 · 6/2, a time constant of 333 steps.
    slow = {"sampler": Sgld(Constant(0.001)), "target_mcse": 0.3}
    near, far = (run(generator=Pixels(offset=offset), **slow) for offset in (0.5, 100.0))
    assert near.warmup < far.warmup
    # exp(−t/333) of 100 must be gone: less than a standard deviation of 0.4 after 1,840 steps.
    assert far.warmup > 1500
    assert abs(far.mean - POSTERIOR_MEAN).max() < 5 * 0.3 / np.sqrt(CURVATURE) + 0.05


def test_a_fall_of_chi2_after_the_warm_up_makes_the_chain_keep_from_there_on():
    found = run(generator=Pixels(offset=100.0), sampler=Sgld(Constant(0.001)), warmup=10, **AT_ONCE)
    assert found.warmup > 1000
    kept = found.trace["chi2"][0, found.warmup :]
    assert (
        kept.max() < 2
    )  # of 256 pixels: χ² is 0.2 to 1 where it is stationary, and 40,000 at the start


def test_what_is_kept_is_not_given_up_for_fewer_steps_than_it_has(monkeypatch):
    monkeypatch.setattr(stopping, "falls", lambda *_: True)
    monkeypatch.setattr(Converging, "_good_enough", lambda _: False)
    found = run(chains=1, max_steps=3000, warmup=100)
    # Looks are at 300, 360, 432, ... kept steps; each gives up what there is, as long as as many can follow.
    left = found.settings["steps"] - found.warmup
    assert found.warmup >= 100 + 4 * 300
    assert 300 <= left < 600


def test_a_budget_of_hardly_any_steps_is_spent_and_judges_nothing():
    found = run(max_steps=16)
    assert found.complete
    assert found.trace["chi2"].shape == (4, 4)
    assert found.draws.shape[:2] == (4, 0)
    assert found.settings["stopped"] == {"mcse": np.inf, "rhat": np.inf, "reached": False}


def test_where_the_budget_is_spent_first_it_is_said():
    found = run(max_steps=700, target_mcse=0.01)
    assert found.settings["steps"] == 175
    assert found.settings["max_steps"] == 700
    assert found.trace["chi2"].shape == (4, 175)
    assert found.complete
    assert not found.settings["stopped"]["reached"]
    assert "max_steps = 700 came first" in found.summary()
    assert "length    enough" in run(**SOON).summary()


def test_a_chain_that_is_interrupted_is_incomplete():
    found = run(max_steps=5000, target_mcse=1e-3, time_limit=1e-9)
    assert not found.complete
    assert "stopped after 1 of 1250 steps" in found.summary()


def test_a_run_that_is_interrupted_in_the_warm_up_has_the_mean_of_the_chains_last_images():
    last = {}

    def look(progress):
        last[progress.chain] = np.array(progress.image)[..., 0]
        if len(last) == 4:  # in threads all have moved before the first is looked at
            raise KeyboardInterrupt

    found = run(callback=look)
    assert not found.complete
    np.testing.assert_allclose(found.mean, np.mean(list(last.values()), axis=0), rtol=1e-5)
    assert np.isnan(found.std).all()


def test_several_chains_go_in_step_and_are_judged_together():
    one, four = run(**SOON, chains=1), run(**SOON)
    steps = four.trace["chi2"].shape
    assert steps[0] == 4
    assert np.isfinite(four.trace["chi2"]).all()
    assert steps[1] < one.trace["chi2"].shape[1]
    assert four.probe.shape[0] == four.draws.shape[0] == 4
    assert four.draws.shape[1] <= 25 < one.draws.shape[1] <= 100


# What a run resolves to: chains, steps of each, draws of each.
LENGTHS = {
    "by itself": ({}, (4, 15_000, 25)),
    "by itself, of one chain": ({"chains": 1}, (1, 60_000, 100)),
    "by itself, of six": ({"chains": 6, "max_steps": 50}, (6, 8, 17)),
    "fewer steps than chains": ({"max_steps": 3}, (3, 1, 34)),
    "draws asked for": ({"draws": 60}, (4, 15_000, 60)),
    "a fixed length": ({"steps": 90}, (1, 90, 100)),
    "a fixed length of three": ({"steps": 90, "chains": 3}, (3, 90, 100)),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_the_chains_share_the_budget_of_a_run_that_ends_by_itself(name):
    options, expected = LENGTHS[name]
    found = bdip.Settings(**options).resolve(exact=True, uncertain=True, input_jitter=0.0)
    assert (found.chains, found.steps, found.draws) == expected
    assert found.all_steps == found.chains * found.steps


def test_a_descent_is_one_chain():
    found = bdip.Settings().resolve(exact=False, uncertain=False, input_jitter=0.0)
    assert (found.chains, found.steps) == (1, 3000)


def test_a_length_or_a_warm_up_that_is_given_is_kept_to():
    assert run(steps=90).settings["steps"] == 90
    assert run(steps=90).settings["target_mcse"] is None
    assert run(**SOON, warmup=123).warmup == 123
    assert (
        run(sampler="sgd", max_steps=5).settings["steps"] == 3000
    )  # a descent cannot tell when to stop


def test_a_schedule_is_hot_until_the_chain_has_settled_and_cold_when_it_is_kept():
    found = run(sampler=Psgld(Cooling(0.02, 0.005), momentum=None), **AT_ONCE)
    step_size = found.trace["step_size"][0]
    hot, cold = np.isclose(step_size, 0.02, rtol=1e-6), np.isclose(step_size, 0.005, rtol=1e-6)
    settled_at, cooled_at = int(np.argmin(hot)), int(np.argmax(cold))
    assert cooled_at == pytest.approx(2 * settled_at, abs=2)
    assert (np.diff(step_size[settled_at:cooled_at]) < 0).all()
    assert cold[cooled_at:].all()
    assert cooled_at <= found.warmup


@pytest.mark.parametrize("store", ["draws", "probe"])
def test_a_store_that_is_full_is_thinned_to_every_second_and_filled_up_at_double_distance(
    store, monkeypatch
):
    monkeypatch.setattr(chain, "PROBE_DRAWS", 6)
    problem, sampler, key = unit_problem((8, 8)), Sgld(Constant(0.05)), jax.random.key(0)

    def begun(draws, **plan):
        return chain.start(problem, Pixels(), sampler, chain.Plan(10, **plan), 60, draws, key)

    every = begun(50, thin=1)
    every.advance(60)
    images = np.asarray(every.kept.draws)  # of steps 10 to 59
    thinned = begun(6, thin=3, probe_thin=3)
    while thinned.done < 60:
        full = thinned.full_at(store)
        for _ in thinned.blocks(until=full):
            pass
        if thinned.done == full:
            thinned.thin_out(store)
    # 3, 6, …, 18 are full; of them 6, 12, 18 remain; on to 24, 30, 36, of which 12, 24, 36; and then 48.
    kept = np.asarray(getattr(thinned.kept, store))[: thinned.stored(store)]
    np.testing.assert_array_equal(kept, images[[11, 23, 35, 47]])


def test_what_was_kept_is_forgotten_where_keeping_begins_anew():
    problem, sampler, key = unit_problem(), Sgld(Constant(0.05)), jax.random.key(0)

    def begun(warmup):
        return chain.start(problem, Pixels(), sampler, chain.Plan(warmup, 2), 40, 5, key)

    late, anew = begun(20), begun(5)
    late.advance(40)
    anew.advance(20)
    anew.keep_from_here()
    anew.advance(20)
    assert anew.plan == late.plan
    jax.tree.map(np.testing.assert_array_equal, anew.kept, late.kept)


@pytest.mark.parametrize(("step", "from_"), [(20, 21), (21, 21), (22, 25)])
def test_keeping_begins_anew_where_a_cycle_ends(step, from_):
    sampler = Mclmc(Constant(0.05), warmup=5, cycle=4, relaxing=1)
    plan, key = chain.Plan(5, 4), jax.random.key(0)
    run = chain.start(unit_problem(), Pixels(), sampler, plan, 60, 5, key)
    run.advance(step)
    run.keep_from_here()
    assert run.plan.warmup == from_


@pytest.mark.parametrize("seed", range(5))
def test_a_stationary_chain_has_settled_and_one_that_falls_has_not(seed):
    rng = np.random.default_rng(seed)
    # AR(1) with a time constant of 20 steps.
    noise = np.zeros((1, 1000))
    for t in range(1, 1000):
        noise[:, t] = 0.95 * noise[:, t - 1] + 0.005 * rng.standard_normal(1)
    flat = np.ones((1, 1000))
    assert settled(1000 * (flat + noise), 1 + noise)
    fall = np.linspace(0.2, 0, 1000)
    assert not settled(1000 * (flat + noise), 1 + noise + fall)
    # The energy may move by a tenth of itself, in the second half of the steps, and no more, either way.
    assert settled(1000 * (flat + noise + fall / 4), 1 + noise)
    assert not settled(1000 * (flat + noise + 3 * fall), 1 + noise)
    assert not settled(1000 * (flat + noise - 3 * fall + 1), 1 + noise)


def test_a_fall_counts_if_it_is_large_and_sure():
    def blocks(fall, error):
        return Blocks(np.array([1 + fall, 1, 1, 1.0]), np.full(4, error / np.sqrt(2)))

    assert falls(blocks(0.1, 0.03), 0.02)
    assert not falls(blocks(0.1, 0.04), 0.02)
    assert not falls(blocks(0.015, 0.001), 0.02)
    assert not falls(blocks(-0.1, 0.001), 0.02)


def test_too_few_draws_judge_nothing():
    course = Converging([], 0.1, 1.1, None)
    problem, key = unit_problem(), jax.random.key(0)
    begun = chain.start(problem, Pixels(), Sgld(Constant(0.05)), chain.Plan(0, 1), 30, 5, key)
    begun.advance(stopping.LEAST_DRAWS - 1)
    assert stopping.judge([begun]) == (np.inf, np.inf)
    begun.advance(1)
    assert np.isfinite(stopping.judge([begun])).all()
    assert course.judgement is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0: expected at least 1"),
        ({"target_mcse": 0.0}, "target_mcse is 0.0: expected above 0"),
        (
            {"settings": bdip.Settings(), "warmup": 60000},
            "warmup is 60000: expected from 0 to max_steps",
        ),
        (
            {"warmup": 15_000},
            "warmup is 15000: expected below 15000, the steps of each of 4 chains",
        ),
        ({"max_steps": 3, "chains": 4}, "max_steps is 3: expected at least 1 for each of 4 chains"),
        ({"chains": 0}, "chains is 0: expected at least 1"),
        ({"chains": 1.5}, "chains is 1.5: expected a whole number"),
    ],
)
def test_targets_out_of_range_are_refused(options, message):
    with pytest.raises(bdip.SettingsError, match=message):
        run(**options)
    with pytest.raises(bdip.SettingsError, match="target_rhat is 1.0: expected above 1"):
        replace(bdip.Settings(), target_rhat=1.0)
