"""The command line: `bdip restore | resume | batch | compare | report | demo | info | completion`."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bdip
from bdip.cli.arguments import UsageError
from bdip.cli.as_json import FLAG, print_error
from bdip.cli.commands import batch, compare, completion, demo, info, report
from bdip.cli.exits import FAILED, INTERRUPTED, USAGE_ERROR
from bdip.cli.parser import WordsError
from bdip.cli.restore import OutputError, restore, resume
from bdip.cli.words import parse
from bdip.io import ImageError

COMMANDS = {
    "restore": restore, "resume": resume, "batch": batch, "compare": compare, "report": report,
    "demo": demo, "info": info, "completion": completion,
}  # fmt: skip
# What a user can mend: one line, no traceback.
USER_ERRORS = (
    UsageError, ImageError, bdip.ProblemError, bdip.SettingsError, bdip.DivergedError,
    bdip.TooLargeError, bdip.PosteriorFileError, bdip.CheckpointError, bdip.MissingExtraError,
    OSError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong input, 130 or 143 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(words)
        with _plain_warnings():
            return COMMANDS[options.command](options)
    except WordsError as error:
        sys.exit(_told(error, str(error), USAGE_ERROR, words))
    except (OutputError, *USER_ERRORS) as error:
        code = FAILED if isinstance(error, OutputError) else USAGE_ERROR
        return _told(error, str(error), code, words)
    except KeyboardInterrupt as error:
        return _told(error, "interrupted before there was anything to keep", INTERRUPTED, words)


def _told(error: BaseException, message: str, code: int, words: list[str]) -> int:
    """The exit code, after one line for people and, if asked for, one object for programs."""
    line = " ".join(message.split())
    print(f"bdip: {line}", file=sys.stderr)
    if any(len(word) > 2 and FLAG.startswith(word) for word in words):  # as the parser takes it
        print_error(error, line, code)
    return code


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """A warning of bdip's is one line, as its errors are."""

    def show(message: Warning | str, category: type[Warning], *more: Any) -> None:
        print(f"bdip: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():  # which restores what is changed here
        for kind in (bdip.CheckpointWarning, bdip.DivergedWarning):
            warnings.simplefilter("always", kind)
        warnings.showwarning = show  # type: ignore[assignment]
        yield
