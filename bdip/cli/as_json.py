"""Answers for programs: one JSON object on standard output, and nothing else there."""

import json
from typing import Any

from bdip.record import plain

FLAG = "--json"


def print_json(thing: Any) -> None:
    """Print one object in one line, with null for what is no finite number."""
    print(json.dumps(plain(thing), ensure_ascii=False, allow_nan=False))


def print_error(error: BaseException, message: str, exit_code: int) -> None:
    """Print what went wrong as `{"error": …, "kind": …, "exit_code": …}`."""
    print_json({"error": message, "kind": type(error).__name__, "exit_code": exit_code})
