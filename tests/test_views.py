"""What an answer can be asked for: quantiles, intervals, figures."""

from dataclasses import replace

import numpy as np
import pytest

import bdip
from bdip.report import page
from tests.answers import answer
from tests.fakes import Pixels


def of_draws(values, chains=1):
    """An answer of 2 × 3 pixels, in which every pixel has these draws, shuffled."""
    values = np.asarray(values, np.float32)
    values = np.random.default_rng(0).permutation(values).reshape(chains, -1, 1, 1)
    return answer((2, 3), draws=1, chains=chains) if values.size == 0 else replace(
        answer((2, 3), chains=chains), draws=np.broadcast_to(values, (*values.shape[:2], 2, 3)).copy()
    )  # fmt: skip


@pytest.mark.parametrize("chains", [1, 2])
@pytest.mark.parametrize(
    ("q", "expected"),
    # Of the draws 1 … 19 at rank q · 20; between two of them on a straight line.
    [(0.05, 1), (0.5, 10), (0.95, 19), (0.25, 5), (0.33, 6.6)],
)
def test_a_quantile_is_the_draw_of_that_rank(q, expected, chains):
    values = range(1, 20) if chains == 1 else [*range(1, 20), 19.5]  # 20 of two chains: rank q · 21
    found = of_draws(values, chains).quantile(q)
    assert found.shape == (2, 3)
    assert found.dtype == np.float32
    rank = q * (len(values) + 1)
    np.testing.assert_allclose(found, np.interp(rank, range(1, len(values) + 1), values), rtol=1e-6)
    if chains == 1:
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_quantile_of_colours_keeps_the_images_axes():
    posterior = answer((3, 4, 6), axis=0)
    assert posterior.quantile(0.5).shape == (3, 4, 6)


@pytest.mark.parametrize("q", [0.05, 0.95])
def test_too_few_draws_for_a_quantile_are_refused_with_their_number(q):
    with pytest.raises(bdip.TooFewDrawsError, match=r"18 draws are stored.*needs 19 or more"):
        of_draws(range(18)).quantile(q)
    assert of_draws(range(19)).quantile(q).shape == (2, 3)


@pytest.mark.parametrize("q", [0, 1, -0.1, 5, np.nan])
def test_a_quantile_is_between_0_and_1(q):
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        of_draws(range(19)).quantile(q)
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        of_draws(range(19)).interval(q)


def test_the_interval_is_from_one_quantile_to_the_other():
    low, high = of_draws(range(1, 20)).interval(0.8)
    assert (low[0, 0], high[0, 0]) == (
        pytest.approx(2),
        pytest.approx(18),
    )  # ranks 0.1 · 20, 0.9 · 20


def test_the_answer_holds_what_was_given():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 8, 2)).astype(np.uint8)
    mask = rng.random((8, 8)) < 0.8
    found = bdip.sample(
        image, mask, noise_std=20, holdout=0.2, generator=Pixels(), sampler="sgld", steps=4,
        progress=False,
    ).input  # fmt: skip
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[mask], image[mask])  # those held out, too
    assert np.isnan(found[~mask]).all()


def test_the_answer_holds_the_input_of_an_operator_in_its_own_shape():
    image = np.random.default_rng(0).normal(0.5, 0.1, (4, 5))
    found = bdip.sample(
        image, operator=bdip.Downsample(2), noise_std=0.1, data_range=(-1, 1), generator=Pixels(),
        sampler="sgld", steps=4, progress=False,
    )  # fmt: skip
    # To rounding of float32 numbers of up to 1, on the way to the unit range and back.
    np.testing.assert_allclose(found.input, image, atol=4 * np.finfo(np.float32).eps)
    assert found.mean.shape == (8, 10)


def coils():
    rng = np.random.default_rng(1)
    return rng.normal(size=(8, 8, 3)) + 1j * rng.normal(size=(8, 8, 3))


@pytest.mark.parametrize(
    ("operator", "shape", "options", "dims"),
    [
        (bdip.Fourier(), (8, 8), {}, ("y", "x")),
        (bdip.Fourier(coils().astype(np.complex64)), (8, 8), {"channel_axis": -1}, ("input_y", "input_x", "input_channel")),
        (bdip.Radon(np.linspace(0, 180, 6, endpoint=False)), (8, 8), {}, ("input_y", "input_x")),
        (bdip.Mosaic(), (8, 8, 3), {}, ("input_y", "input_x")),
        (bdip.Downsample(2), (8, 8, 3), {}, ("input_y", "input_x", "channel")),
    ],
    ids=["Fourier", "coils", "Radon", "Mosaic", "Downsample"],
)  # fmt: skip
def test_data_of_every_kind_come_back_as_they_were_and_are_shown_where_they_are_a_picture(
    operator, shape, options, dims
):
    image = np.random.default_rng(0).uniform(-1, 2, shape)
    data = np.asarray(operator(image.reshape(8, 8, -1).astype(np.float32)))
    if operator.complex_data:
        real, imaginary = np.split(data, 2, axis=-1)
        data = real + 1j * imaginary
    data = data[..., 0] if data.shape[-1] == 1 else data
    posterior = bdip.sample(
        data, operator=operator, noise_std=0.1, data_range=(-1, 2), generator=Pixels(), sampler="sgld", steps=8,
        progress=False, **options,
    )  # fmt: skip
    assert posterior.input.shape == data.shape
    assert posterior.input.dtype == (np.complex64 if operator.complex_data else np.float32)
    # To rounding on the way to the unit range and back.
    most = max(1, float(np.abs(data).max()))
    np.testing.assert_allclose(posterior.input, data, atol=8 * most * np.finfo(np.float32).eps)
    titles = [axes.get_title() for axes in posterior.plot().axes]
    assert ("input" in titles) == (not operator.complex_data)
    assert (">input</span>" in page(posterior)) == isinstance(
        operator, bdip.Mosaic | bdip.Downsample
    )
    found = posterior.to_xarray()
    assert found["input_imag" if operator.complex_data else "input"].dims == dims


def test_the_input_is_saved_and_older_files_open_without(tmp_path):
    posterior = answer()
    posterior.save(tmp_path / "new.npz")
    np.testing.assert_array_equal(bdip.Posterior.load(tmp_path / "new.npz").input, posterior.input)
    replace(posterior, input=None).save(tmp_path / "old.npz")
    with np.load(tmp_path / "old.npz") as archive:
        assert "input" not in archive.files
    assert bdip.Posterior.load(tmp_path / "old.npz").input is None
