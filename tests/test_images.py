import numpy as np
import pytest

from bdip.io import save_image
from benchmarks import images


@pytest.fixture
def no_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("BDIP_DATA", str(tmp_path))
    return tmp_path


def test_an_absent_set_gives_bundled_pictures_under_their_own_names(no_sets):
    assert images.names("set11") == images.BUNDLED_GREY
    assert images.names("set9") == images.BUNDLED_COLOUR
    assert images.crop96_name() == "skimage/camera"
    with pytest.raises(FileNotFoundError, match="BDIP_DATA"):
        images.load("set11/peppers256")


@pytest.mark.parametrize("name", images.BUNDLED_GREY + images.BUNDLED_COLOUR)
def test_bundled_pictures_load_in_the_unit_range(name):
    picture = images.load(name)
    assert picture.dtype == np.float32
    assert picture.shape[2:] == (() if name in images.BUNDLED_GREY else (3,))
    assert 0 <= picture.min() < picture.max() <= 1


def test_a_set_is_found_where_the_environment_says(no_sets):
    (no_sets / "set11").mkdir()
    save_image(no_sets / "set11" / "peppers256.png", np.full((256, 256), 51), np.uint8)
    assert images.names("set11") == ("set11/peppers256",)
    np.testing.assert_array_equal(images.crop96(), np.full((96, 96), np.float32(0.2)))


def test_the_crop_averages_blocks_and_cuts_rows_and_columns_alike(no_sets):
    # Averaging 4 × 4 blocks of camera: pixel (0, 0) of the crop is block (16, 16) of the picture.
    block = images.load("skimage/camera")[64:68, 64:68]
    crop = images.crop96()
    assert crop.shape == (96, 96)
    assert crop[0, 0] == pytest.approx(block.mean(), abs=1e-6)


def test_noise_is_unclipped_and_the_same_for_a_seed():
    image = np.zeros((64, 64), np.float32)
    noisy = images.add_noise(image, 0.1)
    # 4096 values: the standard error of their standard deviation is 0.1 / sqrt(2 * 4096).
    assert noisy.std() == pytest.approx(0.1, abs=4 * 0.1 / np.sqrt(2 * 4096))
    assert noisy.min() < 0
    np.testing.assert_array_equal(noisy, images.add_noise(image, 0.1, seed=0))
    assert (noisy != images.add_noise(image, 0.1, seed=1)).any()


def test_a_random_mask_keeps_its_share_of_whole_pixels():
    mask = images.random_mask((64, 64, 3), keep=0.8)
    assert mask.shape == (64, 64)
    assert mask.mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.8 * 0.2 / 4096))
