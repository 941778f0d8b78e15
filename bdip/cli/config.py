"""Options from a file: TOML, JSON, or the record that was written beside a result."""

import argparse
import json
import tomllib
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bdip.cli.arguments import UsageError
from bdip.files import sha256

# Of a record: what says where and how to look at a run, and not what it is.
NOT_REPEATED = {
    "command", "config", "preset", "overwrite", "estimate", "checkpoint", "checkpoint_every",
    "preview", "quiet", "json",
}  # fmt: skip
NOT_IN_FILES = {"help", "config"}


def read_config(path: str, command: str) -> dict[str, Any]:
    """The options of `command` that the file gives, by their long names with underscores.

    A record, `NAME-run.json`, gives all that its run was made with.

    Raises UsageError where the file cannot be read, or is a record of another command.
    """
    table = _table(Path(path))
    if not _is_record(table):
        return {name.replace("-", "_"): value for name, value in table.items()}
    made_by = table["options"].get("command")
    if made_by != command:
        raise UsageError(f"{path} is a record of 'bdip {made_by}': it is no config of '{command}'.")
    return {k: v for k, v in table["options"].items() if k not in NOT_REPEATED and v is not None}


def changed_inputs(path: str, options: argparse.Namespace) -> list[str]:
    """Sentences about the files that have changed since the record `path` was written."""
    table = _table(Path(path))
    inputs = table["inputs"].items() if _is_record(table) else ()
    return [
        f"{file['path']} is not what it was when {path} was written: the answer will be another one"
        for name, file in inputs
        if getattr(options, name, None) == file["path"] and sha256(file["path"]) != file["sha256"]
    ]


def words_of(
    values: dict[str, Any], parser: argparse.ArgumentParser, source: str
) -> tuple[list[str], list[str]]:
    """The options and the positional arguments that say `values` on the command line.

    Raises UsageError for what is no option of the parser, or of a kind that no option takes.
    """
    known = {each.dest: each for each in parser._actions if _may_stand_in_files(each)}
    options: list[str] = []
    positional: list[str] = []
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"{source}: {_unknown(name, list(known), parser.prog)}")
        action = known[name]
        words = _texts(value, f"{source}: {name.replace('_', '-')}", action)
        if not action.option_strings:
            positional += words
        elif action.nargs == 0:
            options += [action.option_strings[-1]] if value else []
        elif action.nargs is None:  # with "=", for a value may begin with a dash
            options.append(f"{action.option_strings[-1]}={words[0]}")
        else:
            options += [action.option_strings[-1], *words]
    return options, positional


def _table(path: Path) -> dict[str, Any]:
    """What the file holds."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"{path} does not exist: check the name and the folder you are in."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text: expected TOML, or JSON.") from error
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        table = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"{path} is no {kind} ({error}): mend it there.") from error
    if not isinstance(table, dict):
        raise UsageError(f"{path} holds no names: expected options, such as {{'chains': 2}}.")
    return table


def _is_record(table: dict[str, Any]) -> bool:
    return isinstance(table.get("options"), dict) and isinstance(table.get("inputs"), dict)


def _may_stand_in_files(action: argparse.Action) -> bool:
    return action.dest not in NOT_IN_FILES and (bool(action.option_strings) or action.nargs == "?")


def _unknown(name: str, known: list[str], program: str) -> str:
    """The sentence about a name that is none, with the nearest that is one."""
    near = get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0].replace('_', '-')}?" if near else f"see '{program} --help'."
    return f"{name.replace('_', '-')} is no option of '{program}': {remedy}"


def _texts(value: Any, name: str, action: argparse.Action) -> list[str]:
    """The words for a value: one, or of a list several."""
    values = value if isinstance(value, list) else [value]
    flag, several = action.nargs == 0, action.nargs not in (None, 0, "?")
    expected = "true or false" if flag else "one value"
    if several:
        expected = f"{action.nargs} values" if isinstance(action.nargs, int) else "several values"
    fits = not isinstance(action.nargs, int) or flag or len(values) == action.nargs
    if flag is not isinstance(value, bool) or several is not isinstance(value, list) or not fits:
        raise UsageError(f"{name} is {_shown(value)}: expected {expected}.")
    if not all(isinstance(each, str | int | float) for each in values):
        raise UsageError(f"{name} is {_shown(value)}: expected numbers or texts.")
    return [_text(each) for each in values]


def _text(value: Any) -> str:
    """A word; a number without an exponent, for '-1e-05' would be read as an option."""
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return format(Decimal(repr(value)), "f")
    return str(value)


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
