"""The report page in a browser: it moves, tells the right numbers, works by keyboard, stays home.

The browser is $CHROMIUM, a chromium on the path, or Playwright's own. Without any, these tests are
skipped, except where CI is set.
"""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bdip.diagnostics.calibration import half_width
from tests.answers import SETTINGS, answer

playwright = pytest.importorskip("playwright.sync_api") if not os.environ.get("CI") else None
if playwright is None:
    from playwright import sync_api as playwright

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
NUMBER = re.compile(r"−?\d+(?:\.\d+)?")
# Whether the element in focus, or the handle within it, is seen to be so.
OUTLINED = """[document.activeElement, document.activeElement.querySelector("span")].some(
    (each) => each && getComputedStyle(each).outlineStyle !== "none")"""
HOSTILE = "</script><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with playwright.sync_playwright() as driver:
        path = path or driver.chromium.executable_path
        if not Path(path).exists() and not os.environ.get("CI"):
            pytest.skip("no browser: install chromium, or name one in CHROMIUM")
        opened = driver.chromium.launch(executable_path=path)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def answers():
    """Grey and colour, channels first: the numbers of a pixel are then of other places."""
    colour = answer((3, 12, 30), axis=0, seed=1)
    hostile = {**SETTINGS, "channel_axis": None, HOSTILE: HOSTILE}
    return {"grey": answer(std=7.3, settings=hostile, reported=(HOSTILE,)), "colour": colour}


@pytest.fixture
def visit(browser, answers, tmp_path):
    """Opens the page of an answer; at the end nothing may have gone wrong or out."""
    trouble, contexts = [], []

    def opened(name="grey", size=DESKTOP, scheme="light"):
        file = tmp_path / f"{name}.html"
        answers[name].report(file, title=HOSTILE)
        touch = size is PHONE
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, has_touch=touch))
        page = contexts[-1].new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url)
                if not request.url.startswith(("data:", file.as_uri())) else None)  # fmt: skip
        page.goto(file.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def centre(page, row, column, shape):
    """Where the pixel is on the screen."""
    box = page.locator("#stage").bounding_box()
    return (
        box["x"] + box["width"] * (column + 0.5) / shape[1],
        box["y"] + box["height"] * (row + 0.5) / shape[0],
    )


def told(page):
    """The numbers in the readout, after those of row and column."""
    text = page.locator("#readout").inner_text()
    row, column, *numbers = NUMBER.findall(text)
    return int(row), int(column), [float(each.replace("−", "-")) for each in numbers]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (15, 19), (7, 3)])
def test_pointing_at_a_pixel_tells_its_value_and_interval(visit, answers, row, column):
    page, posterior = visit(), answers["grey"]
    page.mouse.move(*centre(page, row, column, posterior.mean.shape))
    found_row, found_column, numbers = told(page)
    assert (found_row, found_column) == (row, column)
    value, half, level, low, high = numbers
    right, width = float(posterior.mean[row, column]), half_width(0.9) * 7.3
    assert level == 90
    # One decimal of a std of 7.3: half of the last, and twice that for a sum of two.
    assert [value, half] == pytest.approx([right, width], abs=0.05 + 1e-4)
    assert [low, high] == pytest.approx([right - width, right + width], abs=0.1 + 1e-4)


def test_tapping_a_pixel_of_a_colour_picture_tells_every_channel(visit, answers):
    page, posterior = visit("colour", PHONE), answers["colour"]
    page.touchscreen.tap(*centre(page, 5, 22, (12, 30)))
    row, column, numbers = told(page)
    assert (row, column) == (5, 22)
    np.testing.assert_allclose(numbers[0:6:2], posterior.mean[:, 5, 22], atol=0.05 + 1e-4)
    assert "red" in page.locator("#readout").inner_text()


def test_arrow_keys_move_from_pixel_to_pixel(visit, answers):
    page, mean = visit(), answers["grey"].mean
    page.locator("#stage").focus()
    page.keyboard.press("ArrowDown")  # starts in the middle
    assert told(page)[:2] == (8, 10)
    for key, place in {"ArrowRight": (8, 11), "ArrowUp": (7, 11), "Shift+ArrowLeft": (7, 1),
                       "ArrowLeft": (7, 0), "Shift+ArrowDown": (15, 0)}.items():  # fmt: skip
        page.keyboard.press(key)
        assert told(page)[:2] == place
        assert told(page)[2][0] == pytest.approx(float(mean[place]), abs=0.05 + 1e-4)


def split(page):
    """How many per cent of the picture's width show the input: as told, and as drawn."""
    clip = page.locator("#before").evaluate("each => getComputedStyle(each).clipPath")
    drawn = re.fullmatch(
        r"inset\(0(?:px)? (?:calc\(100% - ([\d.]+)%\)|([\d.]+)%) 0(?:px)? 0(?:px)?\)", clip
    )
    share = float(drawn[1]) if drawn[1] else 100 - float(drawn[2])
    return int(page.get_by_role("slider", name="Share").get_attribute("aria-valuenow")), share


def test_the_slider_follows_the_pointer(visit):
    page = visit()
    assert split(page) == (50, pytest.approx(50))
    handle, stage = page.locator("#divider span"), page.locator("#stage").bounding_box()
    box = handle.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.2 * stage["width"], y, steps=4)
    page.mouse.up()
    assert split(page)[0] == 20
    assert split(page)[1] == pytest.approx(20, abs=0.5)
    page.mouse.move(stage["x"] + 0.8 * stage["width"], y)
    assert split(page)[0] == 20  # let go


def test_the_slider_and_all_else_can_be_reached_and_moved_by_keyboard(visit):
    page, reached = visit(), []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert page.evaluate(OUTLINED), reached[-1]
        if reached[-1] == "divider":
            page.keyboard.press("ArrowRight")
            assert split(page)[0] == 52
            page.keyboard.press("Home")
            assert split(page)[0] == 0
            page.keyboard.press("End")
            assert split(page)[0] == 100
        if reached[-1] == "copy":
            break
    wanted = ["stage", "divider", "opacity", "previous", "play", "next", "SUMMARY", "SUMMARY", "bibtex", "copy"]  # fmt: skip
    assert reached == wanted


def test_the_uncertainty_lies_over_the_picture_as_thick_as_asked(visit):
    page = visit()
    assert page.locator("#overlay").is_hidden()
    page.locator("#opacity").fill("60")
    assert page.locator("#overlay").evaluate("each => getComputedStyle(each).opacity") == "0.6"
    assert page.locator("#opacity-value").inner_text() == "60 %"
    # All pixels have the same std, which is the top of the scale: the last colour of viridis.
    colour = "each => [...each.getContext('2d').getImageData(3, 4, 1, 1).data]"
    assert page.locator("#overlay").evaluate(colour) == [253, 231, 37, 255]


def test_the_draws_turn_by_button_and_by_themselves(visit):
    page = visit()
    visible = page.locator(".pages img:visible")
    assert visible.get_attribute("alt") == "Draw 1 of 12"
    page.get_by_role("button", name="Next draw").click()
    assert visible.get_attribute("alt") == "Draw 2 of 12"
    for _ in range(2):
        page.get_by_role("button", name="Previous draw").click()
    assert visible.get_attribute("alt") == "Draw 12 of 12"
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector('.pages img[alt="Draw 2 of 12"]:visible')
    page.get_by_role("button", name="Pause").click()
    stopped = page.locator("#page").inner_text()
    page.wait_for_timeout(600)  # more than a page takes
    assert page.locator("#page").inner_text() == stopped


def test_hostile_words_do_nothing(visit):
    page = visit()
    assert page.title() == HOSTILE
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["grey", "colour"])
def test_nothing_is_wider_than_a_phone(visit, name, scheme):
    page = visit(name, PHONE, scheme)
    for summary in page.locator("details:not([open]) summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(each) for each in re.findall(r"\d+", background)]
    assert (max(levels) < 60) is (scheme == "dark")


def test_the_bibtex_is_copied_or_selected(visit):
    page = visit()
    page.get_by_role("button", name="Copy BibTeX").click()
    page.wait_for_selector("#copied:not(:empty)")
    assert re.match("Copied|Selected", page.locator("#copied").inner_text())
