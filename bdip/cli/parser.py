"""The words of the command line: its commands. The options that several share are in `options`."""

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

from bdip.checkpoint import EVERY
from bdip.cli.arguments import UsageError
from bdip.cli.options import (
    add_data,
    add_image,
    add_operators,
    add_restoring,
    add_sampling,
    add_scripting,
    add_talking,
)
from bdip.cli.shells import SHELLS
from bdip.samplers import DEFAULT
from bdip.words import COMMANDS, top


class WordsError(UsageError):
    """The words are none of the command line's."""


class Parser(argparse.ArgumentParser):
    """A parser that raises WordsError, whose message is one line as all others of the command are."""

    commands: Mapping[str, Any]  # the parsers of the commands, by their names

    def error(self, message: str) -> NoReturn:
        raise WordsError(f"{message}: see '{self.prog} --help'.")


def parser() -> Parser:
    """The parser of all commands."""
    whole = top(Parser)
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "restore",
        help=COMMANDS["restore"],
        description="Denoise IN, fill in its missing pixels, sharpen or enlarge it, by sampling. Writes OUT in the "
        "format and depth of IN, and OUT-std.tif beside it: the standard deviation of each pixel.",
    )
    add_image(one)
    one.add_argument("-o", "--output", metavar="OUT", required=True, help="restored image")
    one.add_argument(
        "--save", metavar="FILE.npz", help="also write the whole posterior, draws included"
    )
    one.add_argument(
        "--report", metavar="FILE.html", help="also write a page to look at in a browser"
    )
    one.add_argument(
        "--preview", metavar="FILE.png",
        help="keep a picture of the mean so far, renewed every few seconds while it runs",
    )  # fmt: skip
    one.add_argument(
        "--estimate", action="store_true",
        help="print what memory and time it would take, and write nothing",
    )  # fmt: skip
    add_restoring(one)
    add_operators(one)
    one.add_argument(
        "--checkpoint", metavar="FILE",
        help="keep the run's state there, and go on from it if it is there",
    )  # fmt: skip
    one.add_argument(
        "--checkpoint-every", metavar="SECONDS", type=float, default=EVERY,
        help=f"from one to the next [{EVERY:g}]",
    )  # fmt: skip
    add_sampling(one)
    add_scripting(one)
    one.set_defaults(command="restore")

    again = commands.add_parser(
        "resume",
        help=COMMANDS["resume"],
        description="Go on with the 'bdip restore --checkpoint FILE' that was cut short, with the "
        "options that it was given. The result is that of a run never cut short.",
    )
    again.add_argument("checkpoint", metavar="FILE", help="its checkpoint")
    again.add_argument("--max-steps", type=int, metavar="N", help="allow more steps than before")
    again.add_argument("--target-mcse", type=float, metavar="SHARE", help="ask for another error")
    again.add_argument("--time-limit", type=float, metavar="SECONDS", help="for this time only")
    again.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    add_talking(again)
    again.set_defaults(command="resume")

    many = commands.add_parser(
        "batch",
        help=COMMANDS["batch"],
        description="Restore each image IN (files, folders, patterns such as 'photos/*.png') into DIR, "
        "as 'bdip restore' would, with a table (summary.csv) and a sheet of pictures. What is done is not done "
        "again, so that the same command goes on after Ctrl-C. {stem} in the name of a mask stands for "
        "that of its image: '{stem}-mask.png' is looked for beside it.",
        epilog="Exit codes: 0 all done, 1 some failed, 2 wrong input, 130 interrupted.",
    )
    many.add_argument("images", metavar="IN", nargs="+", help="image files, folders or patterns")
    add_data(many)
    many.add_argument("-o", "--output", metavar="DIR", required=True, help="folder of the outputs")
    many.add_argument("--save", action="store_true", help="also write each posterior, NAME.npz")
    many.add_argument(
        "--retries", metavar="N", type=int, default=1,
        help="attempts after the first, where something other than the input is wrong [1]",
    )  # fmt: skip
    many.add_argument(
        "--ray", metavar="ADDRESS", help="run on a Ray cluster; 'local' is this machine"
    )
    many.add_argument("--cpus", type=float, default=1, help="CPUs of the cluster an image [1]")
    many.add_argument("--gpus", type=float, default=0, help="GPUs of the cluster an image [0]")
    add_restoring(many)
    add_sampling(many)
    add_scripting(many)
    many.set_defaults(command="batch")

    several = commands.add_parser(
        "compare",
        help=COMMANDS["compare"],
        description="Restore IN with several samplers and draw how each fares with the steps: its "
        "χ², and its PSNR where the truth is known (--clean or --add-noise).",
    )
    add_image(several)
    several.add_argument("-o", "--output", metavar="DIR", default="comparison", help="[comparison]")
    several.add_argument(
        "--samplers",
        nargs="+",
        default=["adam", DEFAULT],
        help=f"with what is added to them, as adam+jitter+average [adam {DEFAULT}]",
    )
    truth = several.add_mutually_exclusive_group()
    truth.add_argument("--clean", metavar="FILE", help="the true image")
    truth.add_argument(
        "--add-noise", metavar="S", type=float, help="take IN as the truth, add noise"
    )
    add_sampling(several)
    add_scripting(several)
    several.set_defaults(command="compare")

    html = commands.add_parser(
        "report",
        help=COMMANDS["report"],
        description="Write one HTML page that shows RESULT.npz, which `bdip restore --save` wrote: "
        "input against mean, uncertainty, draws, the numbers of each pixel, and the diagnostics.",
    )
    html.add_argument("image", metavar="RESULT.npz", help="a saved posterior")
    html.add_argument("-o", "--output", metavar="FILE.html", required=True, help="the page")
    html.add_argument(
        "--input", metavar="IN", help="the image that was restored [that in RESULT.npz]"
    )
    html.add_argument("--title", help="its heading [the name of RESULT.npz]")
    html.add_argument("--overwrite", action="store_true", help="replace a page that exists")
    html.set_defaults(command="report")

    show = commands.add_parser("demo", help=COMMANDS["demo"])
    show.add_argument("-o", "--output", metavar="DIR", default="demo", help="[demo]")
    show.add_argument("--seed", type=int, default=0, help="[0]")
    show.set_defaults(command="demo")

    about = commands.add_parser("info", help=COMMANDS["info"])
    add_talking(about)
    about.set_defaults(command="info")

    shell = commands.add_parser(
        "completion",
        help=COMMANDS["completion"],
        description="Print the completions for a shell. For bash, 'bdip completion bash > "
        "~/.local/share/bash-completion/completions/bdip'; for zsh, into a file _bdip in a folder of $fpath; for "
        "fish, '~/.config/fish/completions/bdip.fish'.",
    )
    shell.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    shell.set_defaults(command="completion")
    whole.commands = commands.choices
    return whole
