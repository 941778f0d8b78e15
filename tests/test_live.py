"""Watching a run: what is shown, how often, and that a preview is a whole picture at any time."""

import sys
from io import BytesIO
from itertools import pairwise

import imageio.v3 as imageio
import numpy as np
import pytest

import bdip
from bdip.chain import Progress
from bdip.live import Every, Live, Preview, shown
from tests.fakes import Pixels


def progress(step=50, chain=0, warming_up=False, channels=1, steps=100):
    image, mean = np.full((4, 6, channels), 0.25), np.full((4, 6, channels), 0.75)
    return Progress(chain, step, steps, warming_up, 1.1, 30.0, image, mean)


class Shelf:
    """Stands where a notebook's page is: what is shown, and what replaces it."""

    def __init__(self):
        self.figures = []

    def __call__(self, figure, display_id):
        assert display_id
        self.figures.append(figure)
        return self

    def update(self, figure):
        self.figures.append(figure)


def test_it_is_time_at_once_and_then_every_so_many_seconds():
    times = iter([10.0, 10.9, 11.0, 11.5, 12.5, 12.6])
    every = Every(1.0, clock=lambda: next(times))
    assert [every.due() for _ in range(6)] == [True, False, True, False, True, False]


def test_what_is_shown_is_the_mean_and_in_the_warm_up_the_last_draw():
    np.testing.assert_array_equal(shown(progress()), np.full((4, 6), 0.75))
    np.testing.assert_array_equal(shown(progress(warming_up=True)), np.full((4, 6), 0.25))
    assert shown(progress(channels=3)).shape == (4, 6, 3)
    assert shown(progress(channels=5)).shape == (4, 6)


def test_a_notebook_shows_one_figure_and_renews_it():
    live, shelf = Live(seconds=0), Shelf()
    live.display = shelf
    for step in (10, 20, 30):
        for chain in (0, 1):
            live(progress(step, chain, warming_up=step == 10))
    assert len(shelf.figures) == 3  # the second chain is only a curve
    captions = [figure.axes[0].get_title() for figure in shelf.figures]
    assert captions[0] == "last draw, warming up: step 10 of 100"
    assert captions[-1] == "mean so far: step 30 of 100"
    curves = [line.get_xdata().tolist() for line in shelf.figures[-1].axes[1].lines[:2]]
    assert curves == [[10, 20, 30], [10, 20]]
    assert shelf.figures[-1]._repr_png_().startswith(b"\x89PNG")


def test_a_notebook_is_not_flooded_but_sees_the_end():
    live, shelf = Live(seconds=1e6), Shelf()
    live.display = shelf
    for step in (10, 20, 30, 100):
        live(progress(step))
    assert len(shelf.figures) == 2


def test_the_display_is_that_of_ipython():
    from IPython.display import display

    assert Live().display is display


def test_without_ipython_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(bdip.MissingExtraError, match=r"pip install 'bdip\[notebook\]'"):
        bdip.Live()


def test_a_preview_is_a_picture_of_8_bits(tmp_path):
    Preview(tmp_path / "now.png")(progress(channels=3))
    found = imageio.imread(tmp_path / "now.png")
    np.testing.assert_array_equal(found, np.full((4, 6, 3), 191))  # 0.75 · 255 = 191.25
    assert [path.name for path in tmp_path.iterdir()] == ["now.png"]


def test_a_preview_is_renewed_while_a_run_lasts(tmp_path):
    path, seen = tmp_path / "now.png", []
    preview = Preview(path, seconds=0)

    def look(report):
        preview(report)
        seen.append(imageio.imread(BytesIO(path.read_bytes())))

    image = np.random.default_rng(0).uniform(0.2, 0.8, (8, 8))
    bdip.sample(
        image, noise_std=0.1, data_range=(0, 1), generator=Pixels(), sampler="sgld", steps=12,
        warmup=4, settings=bdip.Settings(block=4), progress=False, callback=look,
    )  # fmt: skip
    assert len(seen) == 3
    assert any((first != second).any() for first, second in pairwise(seen))
