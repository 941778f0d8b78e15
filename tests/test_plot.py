"""Pictures: of the right size, for every shape of image, and true to the numbers they show."""

import numpy as np
import pytest

from bdip.plot import plot_curves, plot_posterior, plot_rows, std_picture
from bdip.posterior import Posterior

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
