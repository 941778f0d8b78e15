"""The words of the command line."""

import argparse
from typing import NoReturn

import bdip
from bdip import networks, samplers
from bdip.checkpoint import EVERY
from bdip.cli.exits import USAGE_ERROR
from bdip.given_noise import SAMPLED
from bdip.words import COMMANDS, top


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others of the command are."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"bdip: {message}: see '{self.prog} --help'.\n")


# What a user can mend: one line, no traceback.


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    whole = top(_Parser)
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "restore",
        help=COMMANDS["restore"],
        description="Denoise IN, fill in its missing pixels, sharpen or enlarge it, by sampling. Writes OUT in the "
        "format and depth of IN, and OUT-std.tif beside it: the standard deviation of each pixel.",
    )
    _add_image(one)
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
    _add_restoring(one)
    _add_operators(one)
    one.add_argument(
        "--checkpoint", metavar="FILE",
        help="keep the run's state there, and go on from it if it is there",
    )  # fmt: skip
    one.add_argument(
        "--checkpoint-every", metavar="SECONDS", type=float, default=EVERY,
        help=f"from one to the next [{EVERY:g}]",
    )  # fmt: skip
    _add_sampling(one)
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
    again.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
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
    _add_data(many)
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
    _add_restoring(many)
    _add_sampling(many)
    many.set_defaults(command="batch")

    several = commands.add_parser(
        "compare",
        help=COMMANDS["compare"],
        description="Restore IN with several samplers and draw how each fares with the steps: its "
        "χ², and its PSNR where the truth is known (--clean or --add-noise).",
    )
    _add_image(several)
    several.add_argument("-o", "--output", metavar="DIR", default="comparison", help="[comparison]")
    several.add_argument("--samplers", nargs="+", default=["adam", "mclmc"], help="[adam mclmc]")
    truth = several.add_mutually_exclusive_group()
    truth.add_argument("--clean", metavar="FILE", help="the true image")
    truth.add_argument(
        "--add-noise", metavar="S", type=float, help="take IN as the truth, add noise"
    )
    _add_sampling(several)
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
    about.set_defaults(command="info")
    return whole


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IN", help="image file: PNG, TIFF, FITS, DICOM, .npy, ...")
    parser.add_argument(
        "--page", metavar="N", type=int, help="of several pages, frames or slices the one, from 0"
    )
    _add_data(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument("--known", metavar="FILE", help="mask image, white where a pixel is known")
    masks.add_argument("--missing", metavar="FILE", help="mask image, white where one is missing")
    parser.add_argument(
        "--noise-std", metavar="S", type=_noise_std,
        help="standard deviation of the noise, in the image's own units; 'sample' draws it with "
        "the image [estimated]",
    )  # fmt: skip
    parser.add_argument(
        "--gain", metavar="G", type=float,
        help="photon noise: the image's units a photon; its variance is G times the light",
    )  # fmt: skip
    parser.add_argument(
        "--read-noise", metavar="R", type=float,
        help="standard deviation of the noise in the dark, beside --gain [0]",
    )  # fmt: skip
    parser.add_argument(
        "--data-range", metavar=("LOW", "HIGH"), nargs=2, type=float,
        help="values the clean image can have [of the file's type; for floats, the extremes]",
    )  # fmt: skip


def _add_operators(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--downsample", metavar="N", type=int,
        help="IN is N times smaller than OUT shall be: each of its pixels is the mean of N × N",
    )  # fmt: skip
    blurs = parser.add_mutually_exclusive_group()
    blurs.add_argument(
        "--blur-sigma", metavar="S", type=float,
        help="IN is blurred by a Gaussian whose standard deviation is S pixels, of OUT",
    )  # fmt: skip
    blurs.add_argument(
        "--psf",
        metavar="FILE",
        help="IN is blurred: the picture of a point of light, at its middle",
    )


def _add_restoring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sampler", default="mclmc", help=f"{', '.join(samplers.REGISTRY)} [mclmc]"
    )
    parser.add_argument(
        "--tile", metavar="N", type=int,
        help="cut a large image into tiles of N × N pixels, such as 256: the memory is that of one",
    )  # fmt: skip
    parser.add_argument(
        "--overlap", metavar="N", type=int, help="pixels that neighbouring tiles share [an eighth]"
    )
    parser.add_argument(
        "--holdout", metavar="SHARE", type=float,
        help="hide this share of the known pixels, such as 0.02, and check the answer on them",
    )  # fmt: skip


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(networks.REGISTRY)
    parser.add_argument("--generator", default="hourglass", help=f"{names} [hourglass]")
    parser.add_argument("--channels", type=int, help="width of the hourglass [48]")
    parser.add_argument("--scales", type=int, help="depth of the hourglass [4]")
    defaults = bdip.Settings()
    parser.add_argument("--steps", type=int, help="steps a chain [until the mean is known]")
    parser.add_argument(
        "--max-steps", type=int, metavar="N",
        help=f"without --steps, stop after so many in any case [{defaults.max_steps}]",
    )  # fmt: skip
    parser.add_argument(
        "--target-mcse", type=float, metavar="SHARE",
        help="without --steps, stop where the Monte Carlo error of the mean is this share of its "
        f"standard deviation [{defaults.target_mcse:g}]",
    )  # fmt: skip
    parser.add_argument("--warmup", type=int, help="steps not averaged [found; 40 %% of --steps]")
    parser.add_argument("--chains", type=int, default=1, help="independent chains [1]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--devices", metavar="N", type=int, help="run chains on N devices [all]")
    parser.add_argument(
        "--time-limit", metavar="SECONDS", type=float, help="keep what there is then"
    )
    parser.add_argument(
        "--memory-limit", metavar="GIB", type=float,
        help="refuse what needs more; inf refuses nothing [what is free]",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")


def _noise_std(text: str) -> float | str:
    """A number, or the word for a σ that is sampled."""
    try:
        return text if text == SAMPLED else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor {SAMPLED!r}") from error
