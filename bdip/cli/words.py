"""From what was typed to the options of a command, with its presets and files of options."""

import argparse
from collections.abc import Sequence
from typing import Any

from bdip.cli.arguments import FIELDS, UsageError
from bdip.cli.config import read_config, words_of
from bdip.cli.parser import Parser, WordsError, parser
from bdip.cli.presets import PRESETS

# What each command of one image needs, unless a config gives it.
NEEDED = {"restore": {"image": "IN"}, "compare": {"image": "IN"}}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, each from the last of: its default, the config's preset, the config, the preset, the words.

    `arguments` among them are the words as they were typed, and `words` those that say the same without
    a config. Raises UsageError for wrong words.
    """
    words = expanded(arguments)
    options = parser().parse_args(words)
    options.arguments, options.words = list(arguments), words
    for name, word in NEEDED.get(options.command, {}).items():
        if getattr(options, name) is None:
            raise WordsError(f"{word} is missing: see 'bdip {options.command} --help'.")
    _check_preset(options)
    return options


def expanded(arguments: Sequence[str]) -> list[str]:
    """The words, and before those that were typed the ones that a preset and a config stand for."""
    typed = list(arguments)
    chosen, commands = _asked(typed), parser().commands
    command = typed[0] if typed else ""
    if chosen is None or "config" not in {each.dest for each in commands[command]._actions}:
        return typed
    file = {} if chosen.config is None else read_config(chosen.config, command)
    values = _preset(file.get("preset")) | file | _preset(chosen.preset)
    told = {name: value for name, value in values.items() if value is not None}
    options, image = words_of(told, commands[command], chosen.config or "--preset")
    if chosen.config is not None:  # again, for an option of many values ends at the next one
        options.append(f"--config={chosen.config}")
    words = [command, *options, *typed[1:]]
    if image and parser().parse_args(words).image is None:
        words[1:1] = image
    return words


def _asked(typed: list[str]) -> argparse.Namespace | None:
    """The preset and the config asked for, if any is, by a command that there is."""
    few = Parser(add_help=False)
    few.add_argument("--config")
    few.add_argument("--preset")
    try:
        chosen, _ = few.parse_known_args(typed[1:])
    except UsageError:  # which the parser of all words will say better
        return None
    return chosen if (chosen.config or chosen.preset) and typed[0] in parser().commands else None


def _preset(name: Any) -> dict[str, Any]:
    """What the preset stands for; nothing where there is none of the name, as the parser will say."""
    return PRESETS[name] if isinstance(name, str) and name in PRESETS else {}


def _check_preset(options: argparse.Namespace) -> None:
    preset, generator = getattr(options, "preset", None), getattr(options, "generator", None)
    own = _preset(preset).get("generator")
    if own and generator not in (None, *FIELDS):
        raise UsageError(
            f"--preset {preset} is of {own}, but --generator is {generator}: leave one out."
        )
