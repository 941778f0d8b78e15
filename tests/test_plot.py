"""Pictures: of the right size, for every shape of image, and true to the numbers they show."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from bdip.errors import ProblemError
from bdip.plot import (
    picture_of,
    plot_calibration,
    plot_curves,
    plot_mixing,
    plot_posterior,
    plot_rows,
    plot_trace,
    std_picture,
)
from bdip.plot.curves import limits, thinned
from bdip.posterior import Posterior
from tests.answers import SETTINGS, answer

SHAPES = {"grey": ((12, 20), None), "colour": ((12, 20, 3), 2), "channels first": ((3, 12, 20), 0),
          "wide": ((6, 48), None)}  # fmt: skip


def posterior_of(shape, axis, std=2.0):
    rng = np.random.default_rng(0)
    mean = rng.uniform(0, 255, shape).astype(np.float32)
    settings = {"data_range": [0, 255], "channel_axis": axis, "warmup": 0}
    draws = np.stack([mean, mean])[None]
    return Posterior(mean, np.full(shape, std, np.float32), draws, {}, settings)


@pytest.mark.parametrize("name", SHAPES)
def test_a_posterior_is_drawn_in_a_row(name, tmp_path):
    shape, axis = SHAPES[name]
    posterior = posterior_of(shape, axis)
    grid = shape[:2] if axis != 0 else shape[1:]
    mask = np.random.default_rng(1).random(grid) < 0.5
    figure = plot_posterior(posterior, posterior.mean, mask, clean=posterior.mean)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["input", "posterior mean", "one draw", "truth", "standard deviation"]
    figure.savefig(tmp_path / "row.png")
    assert (tmp_path / "row.png").stat().st_size > 1000


def test_missing_pixels_are_white_and_known_ones_as_they_are():
    posterior = posterior_of((4, 4), None)
    mask = np.eye(4, dtype=bool)
    shown = plot_posterior(posterior, posterior.mean, mask).axes[0].images[0].get_array()
    assert np.all(shown[~mask] == 1)
    assert np.allclose(shown[mask], posterior.mean[mask] / 255, atol=1e-6)


def test_no_uncertainty_is_drawn_where_there_is_none():
    posterior = posterior_of((8, 8), None, std=np.nan)
    titles = [axes.get_title() for axes in plot_posterior(posterior, posterior.mean).axes]
    assert "standard deviation" not in titles


def test_the_uncertainty_picture_grows_brighter_with_the_std():
    std = np.linspace(0, 1, 50, dtype=np.float32).reshape(5, 10)
    luma = std_picture(std, None).astype(float) @ [0.299, 0.587, 0.114]
    assert np.all(np.diff(luma.ravel()) >= -1)  # viridis rises, to rounding
    assert std_picture(std, None).shape == (5, 10, 3)


def test_curves_show_psnr_only_with_a_truth():
    curve = {"step": np.arange(3), "chi2": np.ones(3), "draw": np.ones(3), "mean": np.ones(3),
             "averages": True}  # fmt: skip
    assert len(plot_curves({"psgld": curve}, with_truth=True).axes) == 2
    assert len(plot_curves({"psgld": curve}, with_truth=False).axes) == 1


def test_a_notebook_shows_a_figure_as_png():
    figure = plot_rows([[("a", np.zeros((8, 8)))]])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_sheet_has_a_panel_for_every_picture():
    grey, colour = np.zeros((8, 8)), np.zeros((8, 8, 3))
    figure = plot_rows([[("a", grey), ("b", colour)], [("c", grey)]])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]


# ------------------------------------------------------------------------- the answer's own figures


def test_an_answer_is_drawn_with_the_input_that_it_holds():
    titles = [axes.get_title() for axes in answer().plot().axes if axes.get_title()]
    assert titles == ["input", "posterior mean", "draw 1", "draw 2", "standard deviation"]
    without = replace(answer(), input=None).plot(draws=0)
    titles = [axes.get_title() for axes in without.axes if axes.get_title()]
    assert titles == ["posterior mean", "standard deviation"]


@pytest.mark.parametrize(
    ("shape", "axis"), [((16, 64), None), ((64, 16), None), ((16, 16, 3), 2), ((7, 8, 9), 0)]
)
def test_pictures_of_any_proportions_are_drawn_and_say_their_units(shape, axis, tmp_path):
    posterior = answer(shape, axis)
    for figure, units in ((posterior.plot(), {"image units"}),
                          (posterior.plot_mixing(), {"1 is right", "draws", "image units"})):  # fmt: skip
        figure.savefig(
            tmp_path / "figure.png", dpi=40
        )  # layout troubles are warnings, and errors here
        said = {axes.get_ylabel() or axes.get_xlabel() for axes in figure.axes}
        assert said - {""} == units


@pytest.mark.parametrize(("shape", "axis"), [((6, 10, 12), None), ((3, 6, 10, 12), 0), ((6, 10, 12, 3), 3)])  # fmt: skip
def test_of_a_volume_the_slice_in_the_middle_is_shown(shape, axis):
    posterior = answer(shape, axis, settings=SETTINGS | {"channel_axis": axis})
    expected = posterior.mean[:, 3] if axis == 0 else posterior.mean[3]
    middle = picture_of(posterior)
    np.testing.assert_array_equal(middle.mean, expected)
    assert middle.settings["channel_axis"] == {None: None, 0: 0, 3: 2}[axis]
    assert middle.draws.shape == (*posterior.draws.shape[:2], *expected.shape)
    mask = np.ones([n for place, n in enumerate(shape) if place != axis], bool)
    mask[3, 2, 5] = False
    figure = posterior.plot(mask=mask, clean=posterior.mean)
    shown = {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes[:6]}
    assert shown["input"].shape[:2] == (10, 12)
    assert (shown["input"][2, 5] == 1).all()
    np.testing.assert_array_equal(shown["truth"], shown["posterior mean"])
    assert shown["standard deviation"].shape == (10, 12)
    assert len(posterior.plot_mixing().axes) == 6  # three maps and their bars
    none = replace(posterior, draws=posterior.draws[:, :0])
    assert np.isnan(picture_of(none).rhat).all()
    assert len(none.plot_mixing().axes) == 6


@pytest.mark.parametrize(("shape", "axis"), [((30,), None), ((2, 30), 0)])
def test_a_signal_is_a_curve_with_its_interval(shape, axis):
    posterior = answer(shape, axis, std=2.0, settings=SETTINGS | {"channel_axis": axis})
    figure = posterior.plot(clean=posterior.mean + 1, draws=2)
    assert len(figure.axes) == len(np.atleast_2d(posterior.mean))
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[-1].lines}
    row = np.atleast_2d(posterior.mean)[-1]
    np.testing.assert_array_equal(lines["posterior mean"], row)
    np.testing.assert_array_equal(lines["truth"], row + 1)
    np.testing.assert_array_equal(lines["input"], np.atleast_2d(posterior.input)[-1])
    band = figure.axes[-1].collections[0].get_paths()[0].vertices[1:31, 1]
    np.testing.assert_allclose(band, row - NormalDist().inv_cdf(0.95) * 2, rtol=1e-6)
    assert len(figure.axes[-1].lines) == 5  # two draws
    with pytest.raises(ProblemError, match=r"no picture: posterior.plot\(\) draws its curve"):
        posterior.plot_mixing()


def test_maps_of_mixing_show_the_worst_channel():
    posterior = answer((6, 5, 3), axis=2)
    rhat, ess, mcse = (axes.images[0].get_array() for axes in plot_mixing(posterior).axes[:3])
    np.testing.assert_array_equal(rhat, posterior.rhat.max(axis=2))
    np.testing.assert_array_equal(ess, posterior.ess.min(axis=2))
    np.testing.assert_allclose(mcse, np.sqrt((posterior.mcse**2).mean(axis=2)), rtol=1e-6)


def test_maps_of_draws_that_cannot_tell_are_grey_and_no_trouble(tmp_path):
    plot_mixing(answer(draws=2)).savefig(tmp_path / "figure.png", dpi=40)


def test_a_trace_has_a_row_for_each_column_and_a_line_for_each_chain():
    posterior = answer(chains=3)
    figure = plot_trace(posterior)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["χ² (1 is right)", "energy U (nats)", "step size ε"]
    for axes, name in zip(figure.axes, ("chi2", "energy", "step_size"), strict=True):
        for line, values in zip(axes.lines, posterior.trace[name], strict=False):
            np.testing.assert_array_equal(line.get_ydata(), values)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "chain 1", "chain 2", "chain 3"
    ]  # fmt: skip


def test_a_long_curve_is_drawn_as_means_of_equal_stretches():
    steps, means = thinned(np.arange(7.0), most=3)  # stretches of 3: 0 1 2, 3 4 5; the rest is left
    assert steps.tolist() == means.tolist() == [1, 4]


def test_an_axis_leaves_out_outliers_and_holds_its_level():
    low, high = limits(np.array([1e6, *np.linspace(2, 3, 1000)]), level=1.0)
    assert low < 1
    assert 3 < high < 4
    assert limits(np.full(3, 5.0)) == (4.5, 5.5)
    assert limits(np.zeros(3)) == (-1, 1)


def curve(figure):
    return figure.axes[0].lines[1].get_xydata()


def test_calibration_against_a_truth_is_the_coverage_at_each_level():
    posterior = answer((40, 50))
    # Errors of 0 … 1999/2000 quantiles of |N(0, 1)|: of them a share of p is within the p interval.
    levels = (np.arange(2000) + 0.5) / 2000
    z = np.array([NormalDist().inv_cdf((1 + level) / 2) for level in levels])
    truth = posterior.mean.astype(np.float64) + posterior.std * z.reshape(40, 50)
    nominal, observed = curve(posterior.plot_calibration(truth)).T
    assert nominal == pytest.approx(np.arange(1, 20) / 20)
    np.testing.assert_allclose(observed, nominal, atol=1 / 2000)  # one pixel


def test_calibration_of_held_out_pixels_allows_for_their_noise():
    posterior = answer((40, 50), std=15.0)  # and σ = 20: predicted within 25
    holdout = np.full((40, 50), np.nan, np.float32)
    holdout[::2] = posterior.mean[::2] + 25 * 1.0  # z = 1, which 68.3 % of a normal law are within
    nominal, observed = curve(replace(posterior, holdout=holdout).plot_calibration()).T
    np.testing.assert_array_equal(observed, nominal > 0.683)


@pytest.mark.parametrize(
    ("posterior", "clean", "expected"),
    [
        (answer(), None, "no pixels were held out.*holdout=0.02"),
        (answer(std=np.nan), np.zeros((16, 20)), "no standard deviation"),
        (answer(), np.zeros((20, 16)), r"clean has shape \(20, 16\) but the mean \(16, 20\)"),
    ],
)
def test_calibration_of_nothing_is_refused(posterior, clean, expected):
    with pytest.raises(ValueError, match=expected):
        plot_calibration(posterior, clean)
