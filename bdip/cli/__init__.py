"""The command line: `bdip restore | resume | batch | compare | report | demo | info`."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bdip
from bdip.cli.arguments import UsageError
from bdip.cli.commands import batch, compare, demo, info, report
from bdip.cli.exits import FAILED, INTERRUPTED, USAGE_ERROR
from bdip.cli.parser import parser
from bdip.cli.restore import OutputError, restore, resume
from bdip.io import ImageError

COMMANDS = {
    "restore": restore, "resume": resume, "batch": batch, "compare": compare, "report": report,
    "demo": demo, "info": info,
}  # fmt: skip
# What a user can mend: one line, no traceback.
USER_ERRORS = (
    UsageError, ImageError, bdip.ProblemError, bdip.SettingsError, bdip.DivergedError,
    bdip.TooLargeError, bdip.PosteriorFileError, bdip.CheckpointError, OSError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong input, 130 or 143 interrupted."""
    options = parser().parse_args(arguments)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _plain_warnings():
            return COMMANDS[options.command](options)
    except (OutputError, *USER_ERRORS) as error:
        print(f"bdip: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED if isinstance(error, OutputError) else USAGE_ERROR
    except KeyboardInterrupt:
        print("bdip: interrupted before there was anything to keep", file=sys.stderr)
        return INTERRUPTED


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
