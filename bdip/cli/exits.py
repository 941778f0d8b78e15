"""Exit codes, as `bdip --help` tells them."""

from bdip.posterior import Posterior
from bdip.progress import TERMINATED

DONE, FAILED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130


def exit_code(posterior: Posterior) -> int:
    """Whether the run came to its end, and if not, what ended it."""
    if posterior.complete:
        return DONE
    return TERMINATED if posterior.settings.get("interrupted") == "SIGTERM" else INTERRUPTED
