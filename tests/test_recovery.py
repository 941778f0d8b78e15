"""Chains that diverge: back to where they were well, on with half the step, and said aloud."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bdip
from bdip import memory
from bdip.chain import BLOCK_CAPACITY, run_block
from bdip.recovery import DivergedWarning
from bdip.samplers import Adam, Constant, Cooling, GpDip, Mclmc, Polynomial, Psgld, Sgd, Sgld
from bdip.samplers.base import halved
from bdip.samplers.schedules import Scaled, scaled
from bdip.trees import frozen_pytree
from tests.fakes import Pixels

SIGMA, PRECISION = 0.5, 4.0
# U = (x − y)²/(2σ²) + λx²/2 at each pixel. Euler's step multiplies x by 1 − εl/2, which is stable below ε = 4/l.
CURVATURE = 1 / SIGMA**2 + PRECISION
LIMIT = 4 / CURVATURE
NOISY = np.random.default_rng(0).normal(0.5, 0.3, (8, 8))


def run(**options):
    plain = {
        "generator": Pixels(), "noise_std": SIGMA, "data_range": (0, 1), "weight_precision": PRECISION,
        "steps": 900, "progress": False,
    }  # fmt: skip
    return bdip.sample(NOISY, **{**plain, **options})


@frozen_pytree()
class Bursts:
    """ε = `calm`, but `wild` from step `start` on for as long as ε is at least `limit`: a number to be scaled."""

    calm: float
    start: int

    def __call__(self, step, warmup):
        return jnp.where(step >= self.start, 40 * self.calm, self.calm)


@pytest.mark.parametrize("times", [1, 3])
def test_a_chain_that_diverges_goes_on_with_half_the_step_as_often_as_is_allowed(times):
    # Stable after so many halvings and not before: |1 − εl/2| is 1 at ε = 4/l.
    step = LIMIT * 2**times * 0.5
    step *= 1.4
    with pytest.warns(DivergedWarning) as said:
        found = run(sampler=Sgld(Constant(step)))
    assert len(said) == len(found.settings["went_back"]) == times
    assert found.complete
    np.testing.assert_allclose(found.trace["step_size"][0, -1], step / 2**times, rtol=1e-6)
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.trace["energy"]).all()
    assert found.summary().count("and on with half the step size") == times
    assert run(sampler=Sgld(Constant(0.1))).settings["went_back"] == []


def test_it_gives_up_with_what_to_do_where_that_does_not_help():
    with pytest.warns(DivergedWarning), pytest.raises(bdip.DivergedError) as refusal:
        run(step_size=1e9, sampler="sgld")
    assert "use a smaller step_size. It was halved 3 times already" in str(refusal.value)
    with pytest.raises(bdip.DivergedError, match="smaller step_size.$"):
        run(step_size=1e9, sampler="sgld", settings=bdip.Settings(step_halvings=0))


def test_what_was_kept_before_is_forgotten_and_the_answer_is_of_one_step_size():
    # Calm until step 600, then 40 times the step, εl/2 = 4.8: x grows 3.8-fold a step, past float32 in 34 steps. Two
    # halvings make it 1.2, which is stable. The older of two copies is of step 256 or 512.
    calm = Bursts(0.03, 600)
    with pytest.warns(DivergedWarning):
        found = run(sampler=Sgld(calm), warmup=100)
    (first, second) = found.settings["went_back"]
    assert first["diverged_at"] > 600
    assert first["back_to"] % BLOCK_CAPACITY == 0
    assert first["back_to"] <= 600
    assert found.warmup == second["back_to"]
    sizes = found.trace["step_size"][0, found.warmup :]
    np.testing.assert_allclose(np.unique(sizes), [0.03 / 4, 40 * 0.03 / 4], rtol=1e-6)
    # Kept steps are weighted by their sizes, as ever.
    assert found.draws.shape[1] > 0
    assert abs(found.mean - NOISY / SIGMA**2 / CURVATURE).max() < 6 / np.sqrt(CURVATURE) / np.sqrt(
        50
    )


def test_the_clock_does_not_change_where_a_chain_goes_back_to():
    with pytest.warns(DivergedWarning):
        first, second = (run(sampler=Sgld(Bursts(0.03, 600)), warmup=100) for _ in range(2))
    assert first.settings == second.settings
    np.testing.assert_array_equal(first.mean, second.mean)


def test_a_run_that_goes_back_after_it_was_resumed_goes_back_as_far(tmp_path):
    def stop(progress):
        if progress.step >= 560:
            raise KeyboardInterrupt

    options = {
        "sampler": Sgld(Bursts(0.03, 600)),
        "warmup": 100,
        "chains": 2,
        "settings": bdip.Settings(block=40, step_halvings=4),
    }
    run(checkpoint=tmp_path / "run.ckpt", callback=stop, **options)
    with pytest.warns(DivergedWarning):
        resumed, whole = run(checkpoint=tmp_path / "run.ckpt", **options), run(**options)
    assert resumed.settings == whole.settings
    np.testing.assert_array_equal(resumed.mean, whole.mean)
    np.testing.assert_array_equal(resumed.trace["chi2"], whole.trace["chi2"])


def test_chains_that_end_by_themselves_go_back_and_still_end():
    options = {"steps": None, "max_steps": 4000, "target_mcse": 0.05, "warmup": 100, "chains": 2}
    with pytest.warns(DivergedWarning):
        found = run(sampler=Sgld(Bursts(0.03, 470)), **options, seed=1)
    assert found.settings["stopped"]["reached"]
    # Both diverge before the next look, and go back together, and so once more: two halvings, as of one chain.
    assert [event["chain"] for event in found.settings["went_back"]] == [0, 1, 0, 1]
    assert found.warmup >= found.settings["went_back"][-1]["back_to"] > 100
    assert abs(found.mean - NOISY / SIGMA**2 / CURVATURE).max() < 6 * 0.05 / np.sqrt(CURVATURE)
    assert found.trace["chi2"].shape[0] == 2


def test_halving_compiles_nothing_again():
    sampler = Psgld(Cooling(0.02, 0.01), momentum=None)
    run(sampler=sampler)
    compiled = run_block.jitted._cache_size()
    run(sampler=halved(sampler))
    assert run_block.jitted._cache_size() == compiled


@pytest.mark.parametrize(
    "schedule", [Constant(0.3), Polynomial(0.3, 2.0, 0.6), Cooling(0.3, 0.1), Bursts(0.3, 5)]
)
def test_every_schedule_can_be_scaled(schedule):
    for step in (0, 3, 7, 20):
        half, quarter = scaled(schedule, 0.5), scaled(scaled(schedule, 0.5), 0.5)
        np.testing.assert_allclose(half(step, 10), 0.5 * schedule(step, 10), rtol=1e-6)
        np.testing.assert_allclose(quarter(step, 10), 0.25 * schedule(step, 10), rtol=1e-6)
    assert isinstance(half, Scaled) == isinstance(schedule, Bursts)


@pytest.mark.parametrize(
    "sampler",
    [Sgld(Constant(0.5)), Psgld(Constant(0.5)), Mclmc(Constant(0.5)), Sgd(Constant(0.5)), Adam(Constant(0.5)),
     GpDip(Constant(0.5), 1.0)],
    ids=lambda sampler: type(sampler).__name__,
)  # fmt: skip
def test_every_sampler_can_be_halved(sampler):
    assert halved(sampler).step_size == Constant(0.25)


def test_memory_that_runs_out_is_told_with_what_to_do():
    with (
        pytest.raises(
            bdip.TooLargeError,
            match=r"memory ran out: the run needs 1.0 KiB or more.*fewer channels",
        ),
        memory.exhaustion_told(1024, None),
    ):
        jnp.zeros(2**50).block_until_ready()
    with (
        pytest.raises(jax.errors.JaxRuntimeError, match=re.escape("no such")),
        memory.exhaustion_told(1, 1),
    ):
        raise jax.errors.JaxRuntimeError("no such device")
