"""Chains side by side: the same answer on any number of devices, in one compiled program."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import bdip
from bdip import fleet
from tests.fakes import Pixels
from tests.on_eight_devices import BLOCK, CHAINS, DEVICES, STEPS, WARMUP

PARTS = ("mean", "std", "draws", "energy", "chi2", "step_size")
NOISY = np.random.default_rng(0).normal(0.5, 0.2, (8, 8))


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """All that `on_eight_devices.py` found: arrays by name, and "facts"."""
    output = tmp_path_factory.mktemp("devices") / "found.npz"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    result = subprocess.run(
        [sys.executable, "-m", "tests.on_eight_devices", str(output)],
        cwd=Path(__file__).resolve().parents[1],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    with np.load(output) as archive:
        found = dict(archive)
    found["facts"] = json.loads(str(found["facts"]))
    assert found["facts"]["devices"] == 8
    return found


# ------------------------------------------------------------------------------------- rounds


@pytest.mark.parametrize(
    ("chains", "devices", "sizes"),
    [
        (1, 1, [1]),
        (1, 8, [1]),
        (3, 1, [1, 1, 1]),
        (3, 2, [2, 1]),
        (3, 8, [3]),
        (4, 4, [4]),
        (5, 4, [3, 2]),
        (8, 8, [8]),
        (9, 8, [5, 4]),
        (10, 4, [4, 4, 2]),
        (10, 8, [5, 5]),
        (16, 8, [8, 8]),
        (17, 8, [6, 6, 5]),
    ],
)
def test_chains_are_dealt_in_order_to_as_few_rounds_and_devices_as_will_do(chains, devices, sizes):
    found = fleet.rounds(chains, devices)
    assert [len(turn) for turn in found] == sizes
    assert [number for turn in found for number in turn] == list(range(chains))


@pytest.mark.parametrize("devices", range(1, 10))
def test_no_round_is_one_too_many_and_only_the_last_may_be_incomplete(devices):
    for chains in range(1, 40):
        sizes = [len(turn) for turn in fleet.rounds(chains, devices)]
        assert sum(sizes) == chains
        assert max(sizes) <= devices
        assert len(sizes) == -(-chains // devices)
        assert set(sizes[:-1]) <= {sizes[0]}
        assert 1 <= sizes[-1] <= sizes[0]


# --------------------------------------------------------------------------- the same answer


def assert_same(found, first, second):
    # Bit for bit: each device runs the instructions that one device alone would.
    for part in PARTS:
        np.testing.assert_array_equal(found[f"{first}/{part}"], found[f"{second}/{part}"])


@pytest.mark.parametrize("devices", DEVICES[1:])
@pytest.mark.parametrize("chains", CHAINS)
def test_the_answer_is_the_same_on_any_number_of_devices(eight, chains, devices):
    assert_same(eight, f"{chains} on {devices}", f"{chains} on 1")
    assert eight[f"{chains} on {devices}/draws"].shape == (chains, STEPS - WARMUP, 8, 7)


def test_a_convolutional_network_gives_the_same_answer_on_two_devices_as_on_one(eight):
    assert_same(eight, "resnet on 2", "resnet on 1")


def test_the_sampler_with_a_momentum_gives_the_same_answer_on_two_devices_as_on_one(eight):
    assert_same(eight, "mclmc on 2", "mclmc on 1")


def test_a_sampled_noise_is_the_same_on_two_devices_as_on_one(eight):
    assert_same(eight, "sampled noise on 2", "sampled noise on 1")
    sigma = [eight[f"sampled noise on {devices}/noise_std"] for devices in (1, 2)]
    assert sigma[0].shape == (3, STEPS)
    np.testing.assert_array_equal(*sigma)


def test_all_devices_are_used_by_default_and_their_order_does_not_matter(eight):
    assert_same(eight, "10 on all", "10 on 8")
    assert_same(eight, "3 on reversed", "3 on 8")


def test_the_length_of_blocks_changes_nothing_on_several_devices(eight):
    assert_same(eight, "3 on 2 in ones", "3 on 1")
    assert_same(eight, "3 on 2 by the clock", "3 on 1")


def test_each_chain_has_its_own_draws_and_counts_once(eight):
    draws = eight["10 on 8/draws"].astype(np.float64)
    for first in range(10):
        for second in range(first):
            assert (draws[first] != draws[second]).any()
    # Every kept step is stored, and those of all chains have the same step size: no weights.
    sizes = eight["10 on 8/step_size"]
    weights = np.broadcast_to(sizes[:, WARMUP:, None, None], draws.shape).astype(np.float64)
    mean = np.average(draws, axis=(0, 1), weights=weights)
    std = np.sqrt(np.average((draws - mean) ** 2, axis=(0, 1), weights=weights))
    # Rounding of 180 running updates of values near 1, each of 6e-8 at most: 1e-5.
    np.testing.assert_allclose(eight["10 on 8/mean"], mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(eight["10 on 8/std"], std, rtol=1e-4)


# ------------------------------------------------------------------------ devices and programs


def test_each_of_eight_devices_holds_one_chain_before_and_after_a_block(eight):
    places = eight["facts"]["places"]
    expected = [list(range(8))] * places["leaves"]
    assert places["leaves"] > 10
    assert places["places before"] == expected
    assert places["places after"] == expected


def test_a_block_gives_its_buffers_to_the_next(eight):
    assert eight["facts"]["places"]["given away"]


def test_one_chain_or_one_device_does_without_a_fleet(eight):
    assert eight["facts"]["places"]["one chain alone"] == ["Run"]
    assert eight["facts"]["places"]["one device alone"] == ["Run", "Run", "Run"]


def test_all_blocks_of_all_rounds_share_one_program_the_incomplete_last_one_too(eight):
    found = eight["facts"]["compilations"]
    assert found["widths"] == [3, 2]
    assert found["idle"] == [0, 1]
    assert found["first"] == 1
    assert found["later"] == found["later traces"] == 0


def test_an_idle_device_does_no_steps(eight):
    assert eight["facts"]["compilations"]["idle steps"] == [STEPS, STEPS, 0]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("all", [[0], [1]]),
        ("one", [[0], [0]]),
        ("one named", [[3], [3]]),
        ("two named", [[6], [2]]),
        ("default set", [[5], [5]]),
    ],
)
def test_chains_run_on_the_devices_that_were_asked_for(eight, given, used):
    assert eight["facts"]["used"][given] == used


# --------------------------------------------------------------------- progress, and the ways out


def test_the_callback_sees_every_block_of_every_chain_those_of_a_round_in_turn(eight):
    steps = range(BLOCK, STEPS + 1, BLOCK)
    expected = [(chain, step) for step in steps for chain in (0, 1)] + [(2, step) for step in steps]
    seen = eight["facts"]["seen"]
    assert [(chain, step) for chain, step, _, _ in seen] == expected
    for _, step, of, warming_up in seen:
        assert of == STEPS
        assert warming_up == (step <= WARMUP)


def test_the_callback_sees_the_images_and_means_of_the_chain_it_names(eight):
    draws = eight["seen/draws"]  # every kept image
    sizes = eight["seen/step_size"]
    for (chain, step, _, warming_up), image, mean in zip(
        eight["facts"]["seen"], eight["seen/images"], eight["seen/means"], strict=True
    ):
        if warming_up:
            assert not mean.any()
            continue
        kept = step - WARMUP
        np.testing.assert_array_equal(image, draws[chain, kept - 1])
        expected = np.average(draws[chain, :kept], axis=0, weights=sizes[chain, WARMUP:step])
        np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-5)


def test_the_progress_bar_counts_the_steps_of_all_chains(eight):
    counts = [int(n) for n in re.findall(r"(\d+)/90 steps", eight["facts"]["bar"])]
    assert set(counts) >= {20, 40, 60, 70, 80, 90}
    assert counts == sorted(counts)


def check_stopped(found, name, steps):
    """A valid incomplete answer from chains of so many `steps`, equal to the whole as far as it goes."""
    whole, facts = "10 on 1" if name.startswith("time") else "3 on 1", found["facts"]["stops"]
    assert not facts["complete"][name]
    assert "INCOMPLETE" in facts["summaries"][name]
    stored = max(0, min(steps) - WARMUP)
    chains = len(steps)
    np.testing.assert_array_equal(found[f"{name}/draws"], found[f"{whole}/draws"][:chains, :stored])
    for part in ("energy", "chi2", "step_size"):
        expected = found[f"{whole}/{part}"][:chains, : max(steps)].copy()
        for row, done in zip(expected, steps, strict=True):
            row[done:] = np.nan
        np.testing.assert_array_equal(found[f"{name}/{part}"], expected)
    every = [
        image
        for chain, done in enumerate(steps)
        for image in found[f"{whole}/draws"][chain, : max(0, done - WARMUP)]
    ]
    weights = [
        size
        for chain, done in enumerate(steps)
        for size in found[f"{whole}/step_size"][chain, WARMUP:done]
    ]
    if every:
        mean = np.average(every, axis=0, weights=weights)
        np.testing.assert_allclose(found[f"{name}/mean"], mean, rtol=0, atol=1e-5)
        variance = np.average((every - mean) ** 2, axis=0, weights=weights)
        np.testing.assert_allclose(found[f"{name}/std"], np.sqrt(variance), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("time limit", [10] * 5),
        ("time limit, kept", [17] * 5),
        ("first round", [20, 20]),
        ("second round", [30, 30, 20]),
        ("second round, raised", [30, 30, 20]),
    ],
)
def test_a_run_that_is_stopped_returns_what_its_chains_have(eight, name, steps):
    check_stopped(eight, name, steps)


def test_a_run_stopped_in_the_warm_up_returns_the_first_chains_last_image(eight):
    assert np.isnan(eight["time limit/std"]).all()
    assert np.isfinite(eight["time limit/mean"]).all()


def test_a_chain_that_diverges_among_others_is_named_with_its_step(eight):
    # Curvature l = 1/σ² + λ = 2 and ε = 11: each step multiplies θ by 1 − εl/2 = −10. From θ = 10¹⁰
    # on 56 pixels U = 56 · 10²⁰ · 100^t, over 3.4 · 10³⁸ from t = 9 on (5.6 · 10³⁹; 5.6 · 10³⁷ at
    # 8). A chain from 0 is at 10¹⁵ or so by the last step, 13.
    named = {chain for chain, _ in eight["facts"]["diverged"]}
    assert named == {0, 1, 2, 3}
    for chain, message in eight["facts"]["diverged"]:
        assert message.startswith(f"the energy of chain {chain} became infinite or NaN at step 9:")


# --------------------------------------------------------------------------------- errors


HERE = jax.local_devices()


@pytest.mark.parametrize(
    "devices",
    [0, -1, len(HERE) + 1, 1.5, "cpu", [], HERE[0], [HERE[0], HERE[0]], [0]],
    ids=str,
)
def test_devices_that_are_not_there_are_refused_with_what_was_expected(devices):
    with pytest.raises(bdip.SettingsError) as caught:
        bdip.sample(NOISY, generator=Pixels(), devices=devices)
    message = str(caught.value)
    assert message.startswith(f"devices is {devices}: expected ")
    assert message.count(". ") == 0
    assert message.endswith(".")


@pytest.mark.parametrize("devices", [None, 1, HERE[:1]], ids=["default", "number", "sequence"])
def test_devices_that_are_there_are_taken(devices):
    posterior = bdip.sample(
        NOISY, generator=Pixels(), devices=devices, steps=5, noise_std=0.2, data_range=(0, 1),
        progress=False,
    )  # fmt: skip
    assert posterior.complete
    assert posterior.settings["device"] == HERE[0].device_kind


@pytest.mark.parametrize("devices", [2, 1])
@pytest.mark.parametrize("name", ["first", "second"])
def test_a_fleet_that_was_cut_short_goes_on_on_as_many_devices_or_on_one(eight, name, devices):
    assert eight["facts"]["resumed"] == 4 * [[False, True]]
    for part in PARTS:
        np.testing.assert_array_equal(
            eight[f"resumed {name} on {devices}/{part}"], eight[f"3 on 2/{part}"]
        )


def test_a_fleet_that_ends_by_itself_ends_the_same_when_it_was_cut_short(eight):
    for part in PARTS:
        np.testing.assert_array_equal(eight[f"resumed endless/{part}"], eight[f"endless/{part}"])
