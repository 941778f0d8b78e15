"""What benchmarks keep from run to run, and the roughness of a hole's edge."""

import numpy as np
import pytest

from benchmarks import calibration, record
from benchmarks.holes import seam

KEY = ("picture", "seed")


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RESULTS", tmp_path)


def row(picture, seed, psnr):
    return {"picture": picture, "seed": seed, "psnr": psnr}


def test_a_row_takes_the_place_of_the_one_with_its_key_and_else_the_end(results):
    for each in (row("a", 0, 1.0), row("b", 0, 2.0), row("a", 1, 3.0), row("a", 0, 4.0)):
        record.put("some", each, KEY)
    assert record.kept("some") == [row("a", 0, 4.0), row("b", 0, 2.0), row("a", 1, 3.0)]


def test_of_other_files_only_new_rows_are_taken(results):
    record.save("some", [row("a", 0, 1.0)])
    record.save("other", [row("a", 0, 9.0), row("b", 0, 2.0)])
    record.save("third", [row("b", 0, 8.0), row("b", 1, 3.0)])
    record.merge("some", ("other", "third"), KEY)
    assert record.kept("some") == [row("a", 0, 1.0), row("b", 0, 2.0), row("b", 1, 3.0)]


def test_coverage_that_is_right_on_average_alone_is_said_to_be_off():
    """Two runs, 0.05 below 0.9 and as much above."""
    rows = [
        {"method": "mclmc", "task": "denoise", "picture": picture, "coverage_0.9": held}
        for picture, held in (("house", 0.85), ("boat", 0.95))
    ]
    header, _, line = calibration.table(rows).splitlines()
    cells = dict(zip(*(text.strip("| ").split(" | ") for text in (header, line)), strict=True))
    assert cells["90 %"] == "0.900"
    assert cells["90 %, by picture"] == "0.850 to 0.950"
    assert cells["off by"] == "0.050"


def test_an_edge_is_as_rough_as_what_is_beside_it_on_a_ramp_and_rougher_where_there_is_a_step():
    ramp = np.add.outer(np.arange(20.0), np.arange(20.0))[..., None]
    known = np.ones((20, 20), bool)
    known[8:12, 8:12] = False
    assert seam(ramp, known) == pytest.approx(1)
    # A step of 10 on top of the ramp's 1: neighbours across differ by 11 on two sides, by 9 on the others.
    assert seam(ramp + 10 * ~known[..., None], known) == pytest.approx(10)
    # What is rough inside the hole, and not at its edge, is no seam.
    inside = ramp.copy()
    inside[9:11, 9:11] += 50
    assert seam(inside, known) == pytest.approx(1)
