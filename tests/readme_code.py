"""Run the ```python blocks of a Markdown file, in order, as one program in an empty folder."""

import os
import re
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(path: Path) -> int:
    """Number of blocks run; a traceback names the file and its line."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], str(path), "exec"), names)
    return len(blocks)


if __name__ == "__main__":
    source = Path(sys.argv[1]).resolve()
    os.environ.setdefault("MPLBACKEND", "agg")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print(f"{source.name}: {run(source)} blocks of Python ran.")
        os.chdir(source.parent)
