"""Chains in threads of one processor: the same bits as in turns, whatever diverges and whatever else is set."""

import threading

import jax
import numpy as np
import pytest

import bdip
from bdip import abreast, api, cache, chain
from bdip.chain import DivergedError
from bdip.samplers import Constant, Sgld
from tests.fakes import CountingPixels, Perceptron, Pixels, unit_problem

IMAGE = np.random.default_rng(0).normal(0.5, 0.3, (12, 12))
CPU = jax.devices("cpu")[0]


@pytest.fixture
def cores(monkeypatch):
    """Let there be so many cores."""
    return lambda count: monkeypatch.setattr(abreast, "cores", lambda: count)


def run(**options):
    plain = {
        "generator": Pixels(), "sampler": Sgld(Constant(0.01)), "noise_std": 0.3,
        "data_range": (0, 1), "max_steps": 2000, "target_mcse": 1e-3, "progress": False,
    }  # fmt: skip
    return bdip.sample(IMAGE, **{**plain, **options})


def test_cores_are_those_that_the_process_may_use():
    assert cache.cores() >= 1


@pytest.mark.parametrize(
    ("count", "chains", "threads"), [(1, 4, 1), (2, 4, 2), (8, 4, 4), (8, 1, 1)]
)
def test_a_thread_a_core_for_as_many_chains_as_there_are(cores, count, chains, threads):
    cores(count)
    assert abreast.most(chains, CPU) == threads


def test_no_more_chains_go_at_once_than_xla_may_have_threads(monkeypatch):
    monkeypatch.setenv("NPROC", "1")
    assert abreast.most(4, CPU) == 1
    monkeypatch.setenv("NPROC", "3")
    assert abreast.most(4, CPU) == 3


def test_within_what_other_threads_do_not_see_chains_take_turns(cores):
    cores(4)
    with jax.default_matmul_precision("float32"):
        assert abreast.most(4, CPU) == 1
    assert abreast.most(4, CPU) == 4


def test_threads_change_no_bit_and_compile_nothing_again(cores):
    answers = []
    for count in (1, 2, 4):
        cores(count)
        answers.append(run(generator=CountingPixels(), max_steps=1200))
        if count == 1:
            traces = len(CountingPixels.traces)
    assert len(CountingPixels.traces) == traces
    for other in answers[1:]:
        for name in ("mean", "std", "draws", "probe"):
            np.testing.assert_array_equal(getattr(answers[0], name), getattr(other, name))
        np.testing.assert_array_equal(answers[0].trace["chi2"], other.trace["chi2"])
        assert answers[0].settings == other.settings


def test_chains_do_go_at_once(monkeypatch, cores):
    cores(2)
    meeting = threading.Barrier(2, timeout=60)  # which none passes alone
    advance = chain.Run.advance

    def met(self, length):
        meeting.wait()
        return advance(self, length)

    monkeypatch.setattr(chain.Run, "advance", met)
    assert run(max_steps=80).complete


def test_the_callback_is_called_in_the_users_thread_for_each_chain(cores):
    cores(2)
    seen = []
    run(max_steps=400, callback=lambda found: seen.append((threading.current_thread(), found.chain)))  # fmt: skip
    assert {thread for thread, _ in seen} == {threading.current_thread()}
    assert {number for _, number in seen} == {0, 1, 2, 3}


def broken(monkeypatch, at):
    """Let chain k's energy be NaN in the block in which it passes step `at[k]` first."""
    move, told = chain.Run._move, set()

    def moved(self, length):
        before = self.done
        trace = move(self, length)
        step = at.get(self.chain, np.inf)
        if before < step <= before + length and self.chain not in told:
            told.add(self.chain)
            energy = np.array(trace.energy)
            energy[step - before - 1 :] = np.nan
            trace = trace._replace(energy=energy)
        return trace

    monkeypatch.setattr(chain.Run, "_move", moved)


@pytest.mark.filterwarnings("ignore::bdip.recovery.DivergedWarning")
@pytest.mark.parametrize("at", [{1: 430}, {0: 300, 2: 310}, {3: 90}])
def test_chains_that_diverge_go_back_alike_in_threads_and_in_turns(monkeypatch, cores, at):
    answers = []
    for count in (1, 2, 4):
        with monkeypatch.context() as patch:
            cores(count)
            broken(patch, at)
            answers.append(run())
    assert len(answers[0].settings["went_back"]) == len(at)
    for other in answers[1:]:
        assert answers[0].settings["went_back"] == other.settings["went_back"]
        np.testing.assert_array_equal(answers[0].mean, other.mean)


def test_one_that_diverges_lets_the_others_come_as_far_as_they_were_to(monkeypatch):
    broken(monkeypatch, {0: 7, 2: 9})
    problem, key = unit_problem(), jax.random.key(0)
    runs = [
        chain.start(problem, Pixels(), Sgld(Constant(0.05)), chain.Plan(0, 1), 30, 5, key, number)
        for number in range(4)
    ]
    with pytest.raises(DivergedError, match="chain 0 became infinite or NaN at step 6"):
        list(abreast.blocks(runs, 2, 5, 20))
    assert [each.done for each in runs] == [10, 20, 10, 20]


@pytest.mark.filterwarnings("ignore::bdip.recovery.DivergedWarning")
def test_all_chains_that_diverge_before_they_are_looked_at_take_one_halving(monkeypatch, cores):
    cores(2)
    broken(monkeypatch, dict.fromkeys(range(4), 250))
    found = run(settings=bdip.Settings(step_halvings=1))
    assert found.complete
    assert [event["chain"] for event in found.settings["went_back"]] == [0, 1, 2, 3]
    np.testing.assert_allclose(found.trace["step_size"][:, -1], 0.01 / 2, rtol=1e-6)


def test_memory_that_is_short_is_for_fewer_chains_at_once(cores, monkeypatch):
    monkeypatch.setattr(api, "_answer_bytes", lambda *_: 0)  # of an image so small it is more
    cores(4)
    options = {"generator": Perceptron(), "noise_std": 0.3, "data_range": (0, 1)}

    def started(limit=None):
        return api._start(api.job_of(IMAGE, **options, memory_limit=limit))

    plenty = started()
    assert plenty.threads == 4
    cores(1)
    least = started().needed
    cores(4)
    assert least < plenty.needed
    assert started(least).threads == 1
    assert started(plenty.needed - 1).threads == 3
    with pytest.raises(bdip.TooLargeError):
        started(least - 1)


def test_an_estimate_is_of_as_many_chains_at_once(cores, monkeypatch):
    cores(2)
    seen = []
    monkeypatch.setattr(abreast, "advance", lambda runs, length: seen.append(len(runs)))
    bdip.estimate(IMAGE, generator=Perceptron(), noise_std=0.3)
    assert seen == [2, 2]
