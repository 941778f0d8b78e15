"""What is loaded when: `import bdip` and `bdip --help` are light, and lose no name by it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bdip
from bdip import words
from bdip.cli.parser import parser

# Of the dependencies, these are loaded by nothing that does not use them.
HEAVY = {"jax", "jaxlib", "flax", "optax", "matplotlib", "imageio", "PIL", "skimage", "pywt", "numpy"}  # fmt: skip
# Loaded by any sampling, but not these, which are for files, pictures and the demonstration.
NOT_FOR_SAMPLING = {"matplotlib", "imageio", "PIL", "skimage"}


def loaded(code, *arguments):
    """The packages at the top that a fresh Python has loaded after `code`; an exit is its end."""
    told = (
        f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{code}"
    )
    process = subprocess.run(
        [sys.executable, "-c", told, *arguments], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in process.stderr.split()}, process.stdout


def test_import_bdip_loads_none_of_its_dependencies():
    found, _ = loaded("import bdip; dir(bdip); bdip.__version__; bdip.ProblemError, bdip.Settings")
    assert not HEAVY & found
    assert "bdip" in found


def test_sampling_loads_nothing_for_files_and_pictures():
    found, _ = loaded("from bdip import sample")
    assert not NOT_FOR_SAMPLING & found
    assert {"jax", "flax"} <= found


@pytest.mark.parametrize(("word", "start"), [("--version", "bdip 0."), ("--help", "usage: bdip")])
def test_the_command_answers_its_first_words_without_dependencies(word, start):
    found, output = loaded("from bdip.__main__ import main; main()", word)
    assert not HEAVY & found
    assert output.startswith(start)


def test_the_light_help_is_that_of_the_whole_command():
    assert words.outline().format_help() == parser().format_help()


def test_every_public_name_has_its_home_and_is_seen_by_type_checkers():
    """`__all__`, HOMES and the imports for type checkers say the same."""
    homes = {f"bdip.{module}": set(names.split()) for module, names in bdip.HOMES.items()}
    source = ast.parse(Path(bdip.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in source.body if isinstance(node, ast.If))
    seen = {(node.module, alias.name) for node in checked.body for alias in node.names}
    expected = {(home, name) for home, names in homes.items() for name in names}
    assert seen == expected | {("bdip", name) for name in bdip.MODULES}
    assert {"__version__"}.union(*homes.values()) == set(bdip.__all__)


def test_every_public_name_can_be_had():
    for name in (*bdip.__all__, *bdip.MODULES):
        assert getattr(bdip, name) is not None
        assert name in dir(bdip)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'bdip' has no attribute 'samples'"):
        bdip.samples  # noqa: B018
