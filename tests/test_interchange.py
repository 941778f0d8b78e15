"""xarray and ArviZ: the same numbers under the names that those who use them expect."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import xarray
from arviz_stats.base import array_stats

import bdip
from bdip.interchange import to_datatree, to_xarray
from tests.answers import answer

AXES = {"grey": ((16, 20), None, ("y", "x")), "colour": ((16, 20, 3), 2, ("y", "x", "channel")),
        "channels first": ((3, 16, 20), 0, ("channel", "y", "x"))}  # fmt: skip


@pytest.mark.parametrize("name", AXES)
def test_a_dataset_has_every_array_under_named_axes(name):
    shape, axis, axes = AXES[name]
    posterior = answer(shape, axis)
    data = posterior.to_xarray()
    for each in ("mean", "std", "rhat", "ess", "mcse", "input"):
        assert data[each].dims == axes
        np.testing.assert_array_equal(data[each], getattr(posterior, each))
    assert data["draws"].dims == ("chain", "draw", *axes)
    np.testing.assert_array_equal(data["draws"], posterior.draws)
    assert data["chi2"].dims == ("chain", "step")
    assert json.loads(data.attrs["settings"]) == posterior.settings


def test_arrays_of_other_grids_have_axes_of_their_own():
    posterior = replace(
        answer(), input=np.zeros((4, 5), np.float32), probe=np.zeros((2, 30, 8, 10), np.float32),
        holdout=np.zeros((16, 20), np.float32),
    )  # fmt: skip
    data = to_xarray(posterior)
    assert data["input"].dims == ("input_y", "input_x")
    assert data["probe"].dims == ("chain", "probe_draw", "probe_y", "probe_x")
    assert data["holdout"].dims == ("y", "x")


def test_a_dataset_survives_a_netcdf_file(tmp_path):
    data = answer(complete=False, reported=("noise std: 20, estimated",)).to_xarray()
    data.to_netcdf(tmp_path / "answer.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "answer.nc", engine="h5netcdf") as read:
        xarray.testing.assert_equal(read, data)
        assert read.attrs["complete"] == 0
        assert read.attrs["reported"] == "noise std: 20, estimated"


def test_arviz_reads_draws_and_statistics():
    posterior = answer()
    tree = posterior.to_datatree()
    np.testing.assert_array_equal(tree["posterior"]["image"], posterior.draws)
    assert tree["posterior"]["image"].dims == ("chain", "draw", "y", "x")
    statistics = tree["sample_stats"]
    assert statistics["chi2"].dims == ("chain", "draw")
    assert statistics.sizes["draw"] == 40  # of 60 steps, those after the warm-up of 20
    np.testing.assert_array_equal(statistics["lp"], -posterior.trace["energy"][:, 20:])
    np.testing.assert_array_equal(tree["observed_data"]["image"], posterior.input)
    assert json.loads(tree.attrs["settings"]) == posterior.settings
    draws = tree["posterior"]["image"].transpose("y", "x", "chain", "draw").values
    expected = array_stats.rhat(draws.astype(np.float64), chain_axis=-2, draw_axis=-1)
    np.testing.assert_allclose(posterior.rhat, expected, rtol=1e-3)  # as in test_mixing


def test_an_answer_without_draws_or_input_has_no_such_groups():
    posterior = replace(answer(draws=0), input=None)
    tree = to_datatree(posterior)
    assert "observed_data" not in tree.children
    assert tree["posterior"]["image"].shape == (2, 0, 16, 20)


@pytest.mark.parametrize(("package", "ask"), [("xarray", to_xarray), ("arviz_base", to_datatree)])
def test_a_missing_extra_is_named(monkeypatch, package, ask):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(bdip.MissingExtraError, match=r"pip install 'bdip\[arviz\]'") as error:
        ask(answer())
    assert "\n" not in str(error.value)
