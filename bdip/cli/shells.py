"""What makes shells complete bdip's words: the only module that imports shtab."""

import argparse
from collections.abc import Iterator

from bdip import networks, samplers
from bdip.errors import MissingExtraError

SHELLS = ("bash", "zsh", "fish")
NEEDS_SHTAB = "bdip completion needs shtab, which is not installed: pip install 'bdip[completion]'."
# Where a file or a folder is meant, by what stands for it in the help.
FILES = ("IN", "OUT", "FILE", "FILE.npz", "FILE.html", "FILE.png", "RESULT.npz")
NAMES = {
    "sampler": tuple(samplers.REGISTRY),
    "samplers": tuple(samplers.REGISTRY),
    "generator": tuple(networks.REGISTRY),
}


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that makes `shell`, one of SHELLS, complete commands, options, names and files.

    Raises MissingExtraError where shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise MissingExtraError(NEEDS_SHTAB) from error
    for action in _actions(parser):
        if action.dest in NAMES:
            action.choices = NAMES[action.dest]
        elif action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # which shtab looks for
        elif action.metavar == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    script: str = shtab.complete(parser, shell)
    return script


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of the parser, and of its commands, which are described in few words from here on."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action._choices_actions:
                action.choices[command.dest].description = command.help
                yield from _actions(action.choices[command.dest])
