"""A batch on a Ray cluster of nodes on this machine, one of which dies in the middle."""

import numpy as np
import pytest

from bdip import Hourglass, batch
from benchmarks.ray_cluster import cluster, experiment

pytestmark = [
    pytest.mark.slow,
    # Ray's own, of the processes and sockets that it leaves to the system.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def ray_is_there(monkeypatch):
    pytest.importorskip("ray")
    for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # and put back what the cluster sets


def test_all_images_are_done_as_in_one_process_though_a_node_dies(tmp_path):
    found = experiment(tmp_path)
    assert found["done"] == found["images"] == found["equal_with_one_thread"] == 20
    assert found["done_when_killed"] < 20


def test_what_fails_on_a_cluster_is_told_and_stops_no_other(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    np.save(photos / "good.npy", np.random.default_rng(0).random((16, 16)))
    (photos / "bad.npy").write_bytes(b"no array")
    tiny = Hourglass(scales=2, channels_down=4, channels_up=4)
    with cluster() as nodes:
        found = batch.run(
            [photos], tmp_path / "out", ray=nodes.address,
            generator=tiny, steps=8, noise_std=0.1, progress=False,
        )  # fmt: skip
    assert [row["status"] for row in found.rows] == ["failed", "done"]
    assert "bad.npy" in found.rows[0]["error"]
