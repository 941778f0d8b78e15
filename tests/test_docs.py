"""The documentation's own tools, and what must hold of its files without building it."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import bdip

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LARGEST_PICTURE = 200_000  # bytes


def tool(name):
    """A module of docs/tools, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("docstring", "laid_out"),
    [
        ("A number.\n\n>>> 1 + 1\n2", "A number.\n\n```pycon\n>>> 1 + 1\n2\n```"),
        (
            "A record.\n\nmean: the mean\n    of all.\nstd: its error.",
            "A record.\n\n- **`mean`**: the mean\n  of all.\n- **`std`**: its error.",
        ),
        ("A.\n\nExample:\n    >>> 1\n    1", "A.\n\n**Example**\n\n```pycon\n>>> 1\n1\n```"),
        ("A.\n\nReference: Sokal\n    (1997).", "A.\n\n**Reference** Sokal (1997)."),
        (
            "A.\n\nArgs:\n    image: (H, W).\n\n    mask: one a pixel.",
            "A.\n\nArgs:\n    image: (H, W).\n\n    mask: one a pixel.",
        ),
        ("A law:\n\n    x = 1\n\nNote this: it is text.", None),
    ],
)
def test_docstrings_are_laid_out_as_markdown(docstring, laid_out):
    assert tool("docstrings").laid_out(docstring) == (docstring if laid_out is None else laid_out)


def test_a_link_out_of_the_pages_becomes_a_name_and_others_stay():
    files = {"how-to/denoise.md": True}
    page = SimpleNamespace(file=SimpleNamespace(src_uri="decisions/0005.md"))
    markdown = (
        "[it](../how-to/denoise.md#colour), [its rows](../../benchmarks/rows.json), ![p](../x.png)"
    )
    told = tool("pages").on_page_markdown(markdown, page, None, SimpleNamespace(get_file_from_path=files.get))  # fmt: skip
    assert (
        told
        == "[it](../how-to/denoise.md#colour), its rows (`benchmarks/rows.json`), ![p](../x.png)"
    )


def test_every_page_is_in_the_navigation():
    config = {"docs_dir": str(DOCS), "nav": yaml.safe_load(listed())["nav"]}
    nav = str(tool("pages").on_config(config)["nav"])
    for page in DOCS.rglob("*.md"):
        assert page.relative_to(DOCS).as_posix() in nav


def listed():
    """The part of mkdocs.yml that is the navigation."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return text[text.index("nav:") :]


def test_pictures_are_small():
    pictures = list((DOCS / "pictures").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < LARGEST_PICTURE, f"{picture.name} is too large for a page"


def test_pages_load_nothing_from_elsewhere():
    """Neither pictures nor scripts: only links may lead out."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"!\[[^\]]*\]\(https?:|<(script|img|iframe|link)\b", text), page.name


def test_the_citation_file_has_what_its_format_asks_for():
    """Citation File Format 1.2.0: four keys are required, and a name for every author."""
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert found["authors"] == [{"name": "The bdip developers"}]
    for reference in found["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
    assert found.get("version", bdip.__version__) == bdip.__version__


def test_every_public_name_is_in_the_reference():
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: bdip\.([\w.]+)$", pages, re.MULTILINE))
    for home, names in bdip.HOMES.items():
        for name in names.split():
            assert {name, home} & shown, f"add '::: bdip.{name}' to a page of docs/reference"
