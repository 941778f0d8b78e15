"""One HTML page that shows an answer: a single file, which needs no network and no other file.

The page's own parts are `page.html`, `style.css` and `script.js` beside this module. What is put into
them is escaped; a Content-Security-Policy lets the browser run that one script and load nothing.
"""

import base64
import hashlib
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.citation import bibtex
from bdip.errors import ProblemError
from bdip.files import write_whole
from bdip.plot import colours_of, given_picture, middle, picture_of, std_top
from bdip.posterior import Posterior
from bdip.report import numbers, words
from bdip.report.curve import chi2_svg
from bdip.report.pictures import bytes_picture, data_uri, flip_book

MOST_BYTES = 4_600_000  # of a page, which the flip-book fills at most
SAME_ASPECT = 0.02  # by which the input's proportions may differ from the image's
TITLE, SLICE = "A restored image", "The slice in the middle of a restored volume"

Pixels = NDArray[np.float32]
Pictures = tuple[Pixels, Pixels]  # an image and its standard deviation


class _Before(NamedTuple):
    """What the slider shows on the left: a picture (H, W, C), and its name."""

    picture: Pixels | None
    name: str


def write_report(
    posterior: Posterior,
    path: str | os.PathLike[str],
    *,
    input: ArrayLike | None = None,
    title: str | None = None,
    filled: Pictures | None = None,
) -> None:
    """Write the page of `posterior` to `path`, whole or not at all.

    A slider between input and mean, the uncertainty over it, single draws, the numbers of each pixel,
    diagnostics, settings, and what to cite. The arguments are those of `page`, whose errors are raised.
    """
    write_whole(
        Path(path), page(posterior, input=input, title=title, filled=filled).encode("utf-8")
    )


def page(
    posterior: Posterior,
    *,
    input: ArrayLike | None = None,
    title: str | None = None,
    filled: Pictures | None = None,
) -> str:
    """The page, as text.

    `input` is what was restored, in the image's axes and units, for answers that do not hold it. `filled` is what
    `Posterior.filled` gives, where that is the restored image, to be shown for mean and std; the diagnostics are the posterior's.
    Of images with more than 2²⁰ values every second pixel is shown, or every third, and so on.

    Of a volume it shows the slice in the middle.

    Raises ProblemError where `input` has other proportions than the image, or where it is a signal.

    Example:
        >>> page(posterior, title="Noise").splitlines()[0]
        '<!DOCTYPE html>'
    """
    name = "posterior mean" if filled is None else "restored image"
    image, std = filled or (posterior.mean, posterior.std)
    shown = picture_of(posterior)
    if shown is not posterior:
        axis = posterior.settings["channel_axis"]
        image, std = middle(image, axis), middle(std, axis)
        posterior, title = shown, title or SLICE
    low, high = posterior.settings["data_range"]
    mean, std = (_channels_last(posterior, each) for each in (image, std))
    table = numbers.table(mean, std, high - low)
    stride = table.stride
    before = _before(posterior, input)
    draws = [_channels_last(posterior, each)[::stride, ::stride] for each in _draws(posterior)]
    height, width = table.value.shape[:2]
    verdict, tone = words.verdict(posterior)
    top = None if table.half is None else std_top(std, -1)
    parts = {
        "title": words.escape(title or TITLE),
        "what": words.what(posterior),
        "verdict": verdict, "tone": tone,
        "width": width, "height": height,
        "after": data_uri(bytes_picture(mean[::stride, ::stride], low, high)),
        "after_name": name,
        "after_alt": f"The {name}",
        "before": "" if before.picture is None else _layer(before, low, high),
        "before_name": before.name,
        "no_before": "hidden" if before.picture is None else "",
        "no_std": "hidden" if top is None else "",
        "std_top": "" if top is None else words.significant(top),
        "stage_hint": _stage_hint(low, high, stride, before, name),
        "diagnostics": words.diagnostics(posterior),
        "settings": words.settings(posterior), "notes": words.notes(posterior),
        "curve": chi2_svg(posterior.trace["chi2"], posterior.warmup),
        "legend": words.legend(posterior),
        "bibtex": words.escape(bibtex(words.name_of(posterior.settings, "sampler"))),
        "footer": words.footer(),
        "data": words.in_script(_data(table, before.name, top)),
        "flip_book": "",
        **_parts(),
    }  # fmt: skip
    spent = sum(len(str(value)) for value in parts.values())
    parts["flip_book"] = _flip_book(draws, low, high, MOST_BYTES - spent)
    return Template(_text("page.html")).substitute(parts)


def _channels_last(posterior: Posterior, image: ArrayLike) -> Pixels:
    """(H, W, C) of an image in the user's axes."""
    axis = posterior.settings["channel_axis"]
    pixels = np.asarray(image, np.float32)
    return pixels[..., None] if axis is None else np.moveaxis(pixels, axis, -1)


def _draws(posterior: Posterior) -> Pixels:
    """All stored draws, one chain after another."""
    return posterior.draws.reshape(-1, *posterior.mean.shape)


def _before(posterior: Posterior, given: ArrayLike | None) -> _Before:
    """The input where there is one that lies over the image, or else a draw, or nothing."""
    if given is not None:
        pixels = _given(posterior, given)
        return _Before(pixels, "input")
    own = given_picture(posterior)
    if own is not None:
        pixels = own.reshape(*own.shape[:2], -1)
        if _lies_over(posterior, pixels):
            return _Before(pixels, "input")
    draws = _draws(posterior)
    if len(draws):
        return _Before(_channels_last(posterior, draws[-1]), "single draw")
    return _Before(None, "")


def _given(posterior: Posterior, given: ArrayLike) -> Pixels:
    image = np.asarray(given)
    fits = image.ndim == posterior.mean.ndim
    pixels = _channels_last(posterior, image) if fits else None
    if pixels is None or not _lies_over(posterior, pixels):
        raise ProblemError(
            f"input has shape {image.shape} but the restored image {posterior.mean.shape}: pass the "
            "picture that was restored."
        )
    return pixels


def _lies_over(posterior: Posterior, pixels: Pixels) -> bool:
    """Whether a picture has the image's channels, or is grey, and its proportions, if not its size."""
    mean = _channels_last(posterior, posterior.mean)
    aspect = pixels.shape[0] * mean.shape[1] / (pixels.shape[1] * mean.shape[0])
    return pixels.shape[2] in (1, mean.shape[2]) and abs(aspect - 1) <= SAME_ASPECT


def _layer(before: _Before, low: float, high: float) -> str:
    assert before.picture is not None
    stride = numbers.stride_of(before.picture.shape)
    picture = data_uri(bytes_picture(before.picture[::stride, ::stride], low, high))
    return f'<img id="before" class="layer under" alt="The {before.name}" src="{picture}">'


def _data(table: numbers.Table, before: str, top: float | None) -> dict[str, Any]:
    """What the script needs."""
    height, width, channels = table.value.shape
    return {
        "shape": [height, width, channels],
        "stride": table.stride,
        "decimals": table.decimals,
        "level": round(100 * numbers.LEVEL),
        "before": before,
        "top": None
        if top is None
        else numbers.half_width(numbers.LEVEL) * top * 10**table.decimals,
        "colours": base64.b64encode(colours_of().tobytes()).decode("ascii"),
        "value": numbers.packed(table.value),
        "half": None if table.half is None else numbers.packed(table.half),
    }


def _stage_hint(low: float, high: float, stride: int, before: _Before, after: str) -> str:
    hint = f"Values are in the image's units; its range is {low:g} to {high:g}."
    if before.picture is not None:
        hint += f" Left of the handle is the {before.name}, right of it the {after}."
    if stride > 1:
        hint += f" The image is large: one pixel in {stride} of each row and column is shown."
    return hint


FLIP_BOOK = Template("""<section class="card" aria-labelledby="draws-heading">
      <h3 id="draws-heading">Single draws$note</h3>
      <div class="pages">$pages</div>
      <div class="buttons" $alone><button type="button" id="previous" aria-label="Previous draw">‹</button>
      <button type="button" id="play">Play</button><button type="button" id="next" aria-label="Next draw">›</button>
      <output id="page" role="status">1 of $count</output></div>
    </section>""")


def _flip_book(draws: list[Pixels], low: float, high: float, budget: int) -> str:
    pages, factor = flip_book(draws, low, high, budget)
    if not pages:
        return ""
    shape = [size // factor for size in draws[0].shape[:2]]
    images = "".join(
        f'<img width="{shape[1]}" height="{shape[0]}" alt="Draw {number} of {len(pages)}" '
        f'src="{page}"{" hidden" if number > 1 else ""}>'
        for number, page in enumerate(pages, 1)
    )
    note = f", {len(pages)} of {len(draws)}" + (f", at 1/{factor} size" if factor > 1 else "")
    alone = "hidden" if len(pages) == 1 else ""
    return FLIP_BOOK.substitute(pages=images, note=note, count=len(pages), alone=alone)


@cache
def _text(name: str) -> str:
    return (files("bdip.report") / name).read_text(encoding="utf-8")


@cache
def _parts() -> dict[str, str]:
    """Style and script, and what the policy knows them by."""
    parts: dict[str, str] = {}
    for name, file in (("style", "style.css"), ("script", "script.js")):
        text = _text(file)
        digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        parts |= {name: text, f"{name}_hash": f"sha256-{digest}"}
    return parts
