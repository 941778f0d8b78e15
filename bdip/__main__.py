"""`bdip` and `python -m bdip`."""

import sys

from bdip.words import AT_ONCE, outline


def main() -> int:
    """Run the command line, loading no more than it takes: its exit code."""
    arguments = sys.argv[1:]
    if arguments in AT_ONCE:
        outline().parse_args(arguments)  # prints, and exits
    from bdip.cli import main as run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
