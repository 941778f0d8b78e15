"""The report page as text: whole, small, escaped, and true to the numbers it holds."""

import base64
import hashlib
import json
import math
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import imageio.v3 as imageio
import numpy as np
import pytest

import bdip
from bdip.citation import OF_SAMPLERS, WORKS, bibtex
from bdip.report import page
from bdip.report.curve import chi2_svg, ticks
from bdip.report.numbers import packed, stride_of, table, whole
from bdip.report.pictures import FEWEST_DRAWS, MOST_DRAWS, bytes_picture, flip_book
from bdip.report.words import flat, in_script, significant, what
from tests.answers import SETTINGS, answer

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
ALLOWED_SCHEMES = ("data:", "#")


class Outline(HTMLParser):
    """Every tag with its attributes, and the text of the script elements."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.open == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self.open = None


def unpacked(text, shape):
    """The inverse of `packed`, from its docstring."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(4, -1)
    signed = planes.T.copy().view("<u4").ravel().astype(np.int64)
    steps = np.where(signed % 2, -(signed + 1) // 2, signed // 2)
    line = (np.cumsum(steps) + 2**31) % 2**32 - 2**31
    return np.moveaxis(line.reshape(shape[2], *shape[:2]), 0, -1)


def picture(uri):
    return imageio.imread(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


# -------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("shape", [(4, 5, 1), (3, 4, 3)])
def test_packed_numbers_come_back(shape):
    values = np.random.default_rng(0).integers(-(2**31), 2**31, shape).astype(np.int32)
    values.flat[:2] = np.iinfo(np.int32).min, np.iinfo(np.int32).max  # their difference wraps
    np.testing.assert_array_equal(unpacked(packed(values), shape), values)


@pytest.mark.parametrize(
    ("std", "decimals"),
    [(6.0, 1), (60.0, 0), (600.0, 0), (0.06, 3), (np.nan, 1)],  # two digits of std; four of 255
)
def test_numbers_have_the_decimals_that_their_error_deserves(std, decimals):
    mean = np.full((3, 4, 1), 123.456789, np.float32)
    found = table(mean, np.full_like(mean, std), span=255)
    assert found.decimals == decimals
    assert found.value[0, 0, 0] == round(123.456789 * 10**decimals)
    if math.isnan(std):
        assert found.half is None
    else:  # 1.645 std: the normal law's 95th percentile is 1.64485
        assert found.half[0, 0, 0] == round(1.64485 * std * 10**decimals)


def test_numbers_that_are_none_or_too_large_stay_apart():
    found = whole(np.array([np.nan, 1e300, -1e300, -1.25]), 1)
    assert found.tolist() == [-(2**31), 2**31 - 1, 1 - 2**31, -12]


@pytest.mark.parametrize(
    ("shape", "stride"), [((1024, 1024, 1), 1), ((1024, 1025, 1), 2), ((2048, 2048, 3), 4)]
)
def test_of_large_images_every_so_manieth_pixel_is_shown(shape, stride):
    assert stride_of(shape) == stride


# ------------------------------------------------------------------------------- the pictures


def test_missing_pixels_are_transparent():
    image = np.array([[[0.0], [255.0]], [[np.nan], [51.0]]])
    found = bytes_picture(image, 0, 255)
    np.testing.assert_array_equal(found[..., 3], [[255, 255], [0, 255]])
    np.testing.assert_array_equal(found[..., 0], [[0, 255], [0, 51]])


@pytest.mark.parametrize("channels", [1, 3])
def test_whole_pictures_are_grey_or_rgb(channels):
    image = np.full((2, 2, channels), 300.0)  # beyond the range: clipped
    assert bytes_picture(image, 0, 255).shape == (2, 2) + (3,) * (channels == 3)
    assert (bytes_picture(image, 0, 255) == 255).all()


def test_a_flip_book_fits_its_budget_by_fewer_and_smaller_pages():
    draws = list(np.random.default_rng(0).uniform(0, 255, (30, 128, 128, 1)))
    ample, factor = flip_book(draws, 0, 255, 10**7)
    assert (len(ample), factor) == (MOST_DRAWS, 1)
    np.testing.assert_array_equal(picture(ample[-1]), np.rint(draws[-1][..., 0]))
    # Noise hardly compresses: 128² bytes and a third more in base64, so that 6 need some 131 kB.
    fewer, factor = flip_book(draws, 0, 255, 150_000)
    assert FEWEST_DRAWS <= len(fewer) < MOST_DRAWS
    assert factor == 1
    smaller, factor = flip_book(draws, 0, 255, 100_000)
    assert factor == 2
    assert len(smaller) >= FEWEST_DRAWS
    halves = draws[0].reshape(64, 2, 64, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(picture(smaller[0]), np.rint(halves))
    assert len(flip_book(draws, 0, 255, 0)[0]) == 1
    assert flip_book([], 0, 255, 10**7) == ([], 1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 3000, [0, 1000, 2000, 3000]),
        (0.93, 1.07, [0.95, 1.0, 1.05]),
        (0, 60, [0, 20, 40, 60]),
        (-0.03, 1.1, [0, 0.5, 1]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)
    assert "-0" not in [f"{value:.4g}" for value in ticks(low, high)]


@pytest.mark.parametrize("steps", [1, 2, 5000])
def test_the_curve_is_drawn_for_any_length(steps):
    chi2 = np.ones((2, steps), np.float32)
    chi2[1, steps // 2 :] = np.nan  # a chain that was stopped early
    text = chi2_svg(chi2, warmup=steps // 3)
    assert text.count("<polyline") == 2
    assert "nan" not in text


# ----------------------------------------------------------------------------------- the page


def test_a_page_needs_no_other_file():
    outline = Outline(page(answer()))
    for tag, attributes in outline.tags:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert attributes.get(name, "data:").startswith(ALLOWED_SCHEMES), (tag, name)
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
    assert "@import" not in page(answer())


def test_the_policy_allows_that_script_and_style_and_nothing_else():
    text = page(answer())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy


def test_hostile_words_stay_words():
    settings = {**SETTINGS, "channel_axis": None, HOSTILE: HOSTILE, "note": {HOSTILE: [HOSTILE]},
                "sampler": {"name": HOSTILE}, "generator": {"name": HOSTILE}}  # fmt: skip
    text = page(answer(settings=settings, reported=(HOSTILE,)), title=HOSTILE)
    plain = Outline(page(answer(reported=("x",))))
    outline = Outline(text)
    assert len(outline.scripts) == 2
    assert not any("onerror" in attributes for _, attributes in outline.tags)
    count = [tag for tag, _ in outline.tags].count
    assert count("script") == 2
    assert count("img") == [tag for tag, _ in plain.tags].count("img")
    assert outline.scripts[1] == plain.scripts[1]
    assert "&lt;/script&gt;" in text


def test_json_in_a_script_cannot_close_it():
    text = in_script({HOSTILE: [HOSTILE, "<!--", "-->"]})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, "<!--", "-->"]}


def test_the_page_holds_the_numbers_of_the_answer():
    posterior = answer((6, 7, 3), axis=2)
    data = json.loads(Outline(page(posterior)).scripts[0])
    assert data["shape"] == [6, 7, 3]
    assert data["decimals"] == 1
    found = unpacked(data["value"], (6, 7, 3)) / 10
    assert np.abs(found - posterior.mean).max() <= 0.05 + 1e-4  # half of the last decimal
    assert (unpacked(data["half"], (6, 7, 3)) == round(10 * 1.64485 * 6)).all()


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ({}, "pixels observed, noise std"),
        ({"name": "Rounding", "step": 16.0}, "pixels observed, rounded to steps of 16"),
        ({"name": "Gaussian", "clipped": [0.0, 4095.0]}, ", clipped at 0 and 4095"),
    ],
)
def test_the_line_below_the_title_tells_the_noise(noise, said):
    posterior = replace(answer(), settings=SETTINGS | {"noise": noise})
    assert said in what(posterior).replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_says_what_the_verdict_says():
    posterior = answer()
    text = page(posterior)
    for sentence in posterior.verdict:
        assert sentence[1:].split("'")[0].split("&")[0] in text
    assert 'class="verdict doubt"' in text


def images(text):
    return {a.get("id"): a["src"] for tag, a in Outline(text).tags if tag == "img" and "id" in a}


@pytest.mark.parametrize("axis", [None, 0, 2])
def test_before_is_the_input_and_after_the_mean(axis):
    shape = {None: (6, 7), 0: (3, 6, 7), 2: (6, 7, 3)}[axis]
    posterior = answer(shape, axis)
    shown = images(page(posterior))
    last = (lambda image: image) if axis is None else (lambda image: np.moveaxis(image, axis, -1))
    for name, image in (("before", posterior.input), ("after", posterior.mean)):
        expected = np.rint(np.clip(last(image), 0, 255))
        assert np.abs(picture(shown[name]).astype(int) - expected).max() <= 1


def test_before_is_a_draw_where_there_is_no_input_or_nothing():
    posterior = replace(answer(), input=None)
    np.testing.assert_array_equal(
        picture(images(page(posterior))["before"]), np.rint(posterior.draws[-1, -1].clip(0, 255))
    )
    assert "before" not in images(page(replace(answer(draws=0), input=None)))


def test_before_can_be_given_and_must_fit():
    posterior = replace(answer(), input=None)
    given = np.full((16, 20), 51, np.uint8)
    assert (picture(images(page(posterior, input=given))["before"]) == 51).all()
    half = np.full((8, 10), 51, np.uint8)  # of a smaller grid: stretched over it
    assert (picture(images(page(posterior, input=half))["before"]) == 51).all()
    for wrong in (np.zeros((20, 16)), np.zeros((16, 20, 3))):
        with pytest.raises(bdip.ProblemError, match=r"input has shape .*pass the picture that was"):
            page(posterior, input=wrong)


def test_the_input_of_other_proportions_is_left_out():
    posterior = replace(answer(), input=np.zeros((16, 16), np.float32))
    assert "The single draw" in page(posterior)


def test_an_answer_without_uncertainty_has_no_overlay_and_no_intervals():
    posterior = answer(draws=0, std=np.nan)
    text = page(posterior)
    assert '<section class="card" hidden aria-labelledby="overlay-heading">' in text
    assert json.loads(Outline(text).scripts[0])["half"] is None
    assert 'class="pages"' not in text


def test_a_page_of_a_large_colour_image_is_under_5_mb(tmp_path):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:1:512j, 0:1:512j]
    mean = 128 + 90 * np.sin(20 * rows[..., None] + (30, 40, 50) * columns[..., None])
    mean = mean + 4 * rng.normal(size=mean.shape)  # fine texture, which does not compress
    posterior = answer((512, 512, 3), 2, chains=1, draws=8)
    posterior = replace(
        posterior, mean=mean.astype(np.float32), draws=posterior.draws - posterior.mean + mean,
        std=rng.uniform(4, 8, mean.shape).astype(np.float32), input=mean + 25 * rng.normal(size=mean.shape),
    )  # fmt: skip
    posterior.__dict__["_mixing_numbers"] = dict.fromkeys(
        ("rhat_median", "rhat_95", "ess_median", "mcse_ratio"), 1.0
    )  # not the point here, and a second
    posterior.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        answer().report(tmp_path / "nowhere" / "report.html")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------- the words


def test_nested_settings_are_dotted():
    found = dict(flat({"a": 1, "b": {"c": None, "d": {"e": [0, 4]}}, "f": "x", "g": {}}))
    assert found == {"a": "1", "b.c": "null", "b.d.e": "[0, 4]", "f": "x", "g": "{}"}


@pytest.mark.parametrize(
    ("value", "expected"), [(0.000345678, "0.000346"), (24.34, "24.3"), (12345.6, "12346"), (0, "0"), (1e-9, "1e-09")]
)  # fmt: skip
def test_numbers_are_written_plainly(value, expected):
    assert significant(value) == expected


def test_every_work_is_cited_by_its_own_key_and_its_braces_close():
    for name, text in WORKS.items():
        assert re.match(rf"@\w+\{{{name},\n", text)
        assert text.count("{") == text.count("}")
    for sampler, keys in OF_SAMPLERS.items():
        assert all(f"{{{key}," in bibtex(sampler) for key in keys)


def test_the_picture_that_was_written_can_be_shown_for_the_mean():
    posterior = answer((6, 7, 3), axis=2)
    filled = np.full_like(posterior.mean, 70), np.full_like(posterior.std, 2)
    text = page(posterior, filled=filled)
    assert (picture(images(text)["after"]) == 70).all()
    data = json.loads(Outline(text).scripts[0])
    tenths = [unpacked(data[name], (6, 7, 3)) for name in ("value", "half")]
    assert (tenths[0] == 700).all()
    assert (tenths[1] == round(10 * 1.64485 * 2)).all()
    assert ">restored image</span>" in text
    assert "right of it the restored image" in text
    diagnostics = [
        each.split("Diagnostics</h2>")[1].split("</table>")[0] for each in (text, page(posterior))
    ]
    assert diagnostics[0] == diagnostics[1]


def test_of_a_volume_filled_is_cut_as_the_mean_is():
    posterior = answer((5, 6, 7))
    filled = np.arange(5, dtype=np.float32)[:, None, None] + 0 * posterior.mean, posterior.std
    assert (picture(images(page(posterior, filled=filled))["after"]) == 2).all()
