"""For mkdocs: pages that need no line in mkdocs.yml, the command line's own help, and links that leave the pages."""

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

# A link of the pages to a file of the repository that is no page: [text](../benchmarks/x.json).
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+)([^)#\s]+)(#[^)]*)?\)")


COMMAND_LINE = "<!-- command-line -->"  # where the help of every command stands
WIDTH = "84"  # characters, of that help


def on_config(config: Any) -> Any:
    """Put every decision into the navigation, and whatever page is nowhere in it."""
    docs = Path(config["docs_dir"])
    listed = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    pages = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    left = [page for page in pages if page not in listed]
    decisions = [page for page in left if page.startswith("decisions/")]
    more = [page for page in left if page not in decisions]
    config["nav"] += [{"More": more}] * bool(more) + [{"Decisions": decisions}]
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Name the files that a link cannot lead to, for they are in the repository alone."""
    folder = Path(page.file.src_uri).parent

    def told(link: re.Match[str]) -> str:
        text, up, path = link[1], link[2], link[3]
        depth = len(folder.parts) - up.count("../")
        if depth >= 0 and files.get_file_from_path("/".join((*folder.parts[:depth], path))):
            return link[0]
        return text if path in text.replace("`", "") else f"{text} (`{path}`)"

    if COMMAND_LINE in markdown:
        markdown = markdown.replace(COMMAND_LINE, _command_line())
    return LINK.sub(told, markdown)


def _command_line() -> str:
    """What `bdip COMMAND --help` prints, a section a command."""
    from bdip.cli import main
    from bdip.words import COMMANDS

    sections = []
    os.environ["COLUMNS"] = WIDTH
    for command in COMMANDS:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main([command, "--help"])
        sections.append(f"## bdip {command}\n\n```text\n{said.getvalue().rstrip()}\n```")
    return "\n\n".join(sections)
