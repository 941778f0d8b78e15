"""Run the ```python blocks of a Markdown file, in order, as one program in an empty folder.

A block that cannot run here (it needs a GPU, an extra or an hour) has a comment before it that says why,
`<!-- not run: needs a GPU -->`, and is counted aloud.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(
    r"(?:<!-- not run: ([^>]+?) -->\n+)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL
)


def run(path: Path) -> str:
    """How many blocks ran, and why others did not; a traceback names the file and its line."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        if block[1] is None:
            lines_before = text.count("\n", 0, block.start(2))
            exec(compile("\n" * lines_before + block[2], str(path), "exec"), names)
    reasons = [f"; not run: {block[1]}" for block in blocks if block[1] is not None]
    return f"{path.name}: {len(blocks) - len(reasons)} blocks of Python ran{''.join(reasons)}."


if __name__ == "__main__":
    source = Path(sys.argv[1]).resolve()
    os.environ.setdefault("MPLBACKEND", "agg")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print(run(source))
        os.chdir(source.parent)
