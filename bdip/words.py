"""The first words of the command line, which need nothing loaded: what `bdip --help` says."""

import argparse
from typing import TypeVar

from bdip._version import __version__

Parser = TypeVar("Parser", bound=argparse.ArgumentParser)

# Command -> its line in `bdip --help`.
COMMANDS = {
    "restore": "denoise, inpaint, sharpen or enlarge an image file",
    "resume": "go on with a restoration that was cut short",
    "batch": "denoise or inpaint many image files",
    "compare": "descent against sampling on one image file",
    "report": "an HTML page of a saved posterior",
    "demo": "restore a bundled photograph; takes a few minutes",
    "info": "versions, devices, names of samplers and generators",
    "completion": "make a shell complete bdip's words",
}
AT_ONCE = (["-h"], ["--help"], ["--version"])  # arguments that need no more than this module


def top(kind: type[Parser]) -> Parser:
    """A parser of class `kind` for what comes before the command."""
    parser = kind(
        prog="bdip",
        description="Restore an image from itself alone, with error bars (Bayesian deep image prior).",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong input; 130 interrupted or out of time, 143 terminated "
        "(what there was is kept).",
    )
    parser.add_argument("--version", action="version", version=f"bdip {__version__}")
    return parser


def outline() -> argparse.ArgumentParser:
    """The parser of `bdip.cli`, without what its commands take.

    >>> print(outline().format_help().splitlines()[0])
    usage: bdip [-h] [--version] COMMAND ...
    """
    parser = top(argparse.ArgumentParser)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, line in COMMANDS.items():
        commands.add_parser(name, help=line)
    return parser
