"""`bdip restore` and `bdip resume`."""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.cli.arguments import UsageError, check_free, inputs, operator, read, sampling, tiling
from bdip.cli.as_json import print_json
from bdip.cli.config import changed_inputs
from bdip.cli.exits import DONE, USAGE_ERROR, exit_code
from bdip.cli.parser import parser
from bdip.files import sha256
from bdip.io import ImageError, stem_of
from bdip.live import Preview
from bdip.lock import locked
from bdip.record import record_of, told, write_record
from bdip.restoring import Outputs, Written, of_jpeg, solve, write
from bdip.tiling import estimate_tiled

# What is to be said of a file that was written.
WORDS = {"std": "standard deviation, in the image's units", "report": "to look at in a browser"}

NO_OPTIONS = ("run", "arguments", "words")  # of what stands beside the options


class OutputError(Exception):
    """What was computed could not be written where it was meant to go."""


def restore(options: argparse.Namespace) -> int:
    """Restore one image file, and write its standard deviation beside it."""
    loaded, mask = read(options)
    for sentence in changed_inputs(options.config, options) if options.config else ():
        print(f"bdip: {sentence}", file=sys.stderr)
    if options.downsample and loaded.alpha is not None:
        print("bdip: transparency is not kept, for the answer is of another size", file=sys.stderr)
        loaded = replace(loaded, alpha=None)
    chosen = _chosen(options)
    data = loaded.pixels
    if options.jpeg and options.page:
        raise UsageError("--page: with --jpeg it is the first picture: leave one of the two out.")
    if options.jpeg:
        data, chosen = of_jpeg(Path(options.image), mask, **chosen)
    outputs, record = _outputs(options)
    outputs.check(loaded, mask, chosen["operator"])
    preview = [Path(options.preview)] if options.preview else []
    check_free(options, *outputs.paths, *preview, record=record)
    if options.estimate:
        return _estimate(data, mask, chosen, options.json)

    started = perf_counter()
    with locked(outputs.image):
        posterior = solve(
            data, mask, checkpoint=_checkpoint(options), progress=not options.quiet,
            callback=Preview(options.preview) if options.preview else None,
            time_limit=options.time_limit, **chosen,
        )  # fmt: skip
        with _rescued(posterior, options):
            name = Path(options.image).name
            written = write(posterior, outputs, loaded, name, chosen["operator"])
            found = record_of(
                posterior, inputs=inputs(options), outputs=written, command=options.arguments,
                options=_given(options), seconds=perf_counter() - started,
            )  # fmt: skip
            write_record(record, found)
    if options.json:
        print_json(found)
    elif not options.quiet:
        print(posterior.summary())
        print("wrote     " + "\n          ".join(_in_words(written, record)))
    return exit_code(posterior)


def resume(options: argparse.Namespace) -> int:
    """Go on with the `restore` that a checkpoint is of, with the options that it was given."""
    path = Path(options.checkpoint).resolve()
    found = bdip.Checkpoint(path).read()
    if found is None:
        raise UsageError(
            f"{options.checkpoint} does not exist: check the name and the folder you are in."
        )
    note = found.header["note"]
    if "command" not in note:
        raise UsageError(
            f"{options.checkpoint} is not of 'bdip restore': call bdip.sample again as it was called, "
            "with this checkpoint."
        )
    command = [*note["command"], *_more(options)]
    again = parser().parse_args(command)
    again.arguments, again.words, again.checkpoint = command, command, str(path)
    again.json, again.config = options.json, None  # what stood in a config is among the words
    if not Path(note["folder"]).is_dir():
        raise UsageError(f"{note['folder']}, where the run was started, is gone: put it back.")
    with chdir(note["folder"]):
        for name, file in note["inputs"].items():
            if not Path(file["path"]).exists() or sha256(file["path"]) != file["sha256"]:
                raise UsageError(
                    f"{file['path']}, the {name}, has changed or is gone: put it back."
                )
        return restore(again)


def _outputs(options: argparse.Namespace) -> tuple[Outputs, Path]:
    """The files to write, each in a folder that is there, and the record of the run."""
    save, report = (Path(name) if name else None for name in (options.save, options.report))
    for path in (save, report, Path(options.preview) if options.preview else None):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}: make it first.")
    if options.preview and Path(options.preview).suffix.lower() != ".png":
        raise UsageError(f"--preview {options.preview} is no PNG file: end its name in .png.")
    image = Path(options.output)
    outputs = Outputs.of(image, save, report, options.keep_known)
    return outputs, image.with_name(f"{stem_of(image)}-run.json")


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say of the run, as arguments of `solve`."""
    return {
        "operator": operator(options), "sampler": options.sampler, "holdout": options.holdout,
        **tiling(options), **sampling(options),
    }  # fmt: skip


def _estimate(
    image: NDArray[Any], mask: NDArray[np.bool_] | None, chosen: dict[str, Any], as_json: bool
) -> int:
    """Print what restoring would take."""
    estimate = estimate_tiled if "tile" in chosen else bdip.estimate
    found = estimate(image, mask, **chosen)
    print_json({**vars(found), "fits": found.fits}) if as_json else print(found)
    return DONE if found.fits else USAGE_ERROR


def _in_words(written: Written, record: Path) -> list[str]:
    """A line for each file."""
    lines = [
        f"{path} ({WORDS[name]})" if name in WORDS else str(path) for name, path in written.items()
    ]
    return [*lines, f"{record} (how it was made)"]


def _more(options: argparse.Namespace) -> list[str]:
    """The words that `resume` adds to the command."""
    words = []
    for name in ("max_steps", "target_mcse", "time_limit"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words + [f"--{name}" for name in ("overwrite", "quiet") if getattr(options, name)]


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The command's options, defaults included; "inf" is a word, for JSON has no such number."""
    return {
        name: "inf" if value == math.inf else value
        for name, value in vars(options).items()
        if name not in NO_OPTIONS
    }


def _checkpoint(options: argparse.Namespace) -> bdip.Checkpoint | None:
    """The checkpoint asked for, with what `bdip resume` needs to know."""
    if options.checkpoint is None:
        return None
    note = {
        "command": options.words,
        "folder": str(Path.cwd()),
        "inputs": {name: told(path) for name, path in inputs(options).items()},
    }
    return bdip.Checkpoint(options.checkpoint, options.checkpoint_every, note)


@contextmanager
def _rescued(posterior: bdip.Posterior, options: argparse.Namespace) -> Iterator[None]:
    """What cannot be written where it was meant to go is kept elsewhere, and the message says where."""
    try:
        yield
    except (OSError, ImageError) as error:
        place = _refuge(posterior)
        again = f", or make room and type 'bdip resume {options.checkpoint}'" * bool(
            options.checkpoint
        )
        raise OutputError(f"{error} {place}{again}.") from error


def _refuge(posterior: bdip.Posterior) -> str:
    """Save the posterior in a temporary folder; the sentence that says where."""
    try:
        place = Path(tempfile.mkdtemp(prefix="bdip-")) / "posterior.npz"
        posterior.save(place)
    except OSError as error:
        return f"Nor could it be kept in {tempfile.gettempdir()} ({error.strerror or error})"
    return f"What was computed is in {place}: bdip.Posterior.load reads it"
