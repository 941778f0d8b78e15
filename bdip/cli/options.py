"""The options that several commands share."""

import argparse

import bdip
from bdip import networks, samplers
from bdip.cli.presets import COST, PRESETS
from bdip.given_noise import SAMPLED
from bdip.settings import CHAINS


def add_image(parser: argparse.ArgumentParser) -> None:
    """The image file, and what is known of it."""
    parser.add_argument(
        "image", metavar="IN", nargs="?", help="image file: PNG, TIFF, FITS, DICOM, .npy, ..."
    )
    parser.add_argument(
        "--page", metavar="N", type=int, help="of several pages, frames or slices the one, from 0"
    )
    add_data(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Masks, noise and range."""
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
        "--rounding", metavar="STEP", type=float,
        help="IN has few grey levels, this far from each other, such as 17 for 16 of them: what rounding took away is sampled",
    )  # fmt: skip
    parser.add_argument(
        "--clipped", metavar=("LOW", "HIGH"), nargs=2, type=float,
        help="where values are cut off, such as at a detector's saturation: one that is there may be anywhere beyond [the ends of the range, if many values are there]",
    )  # fmt: skip
    parser.add_argument(
        "--data-range", metavar=("LOW", "HIGH"), nargs=2, type=float,
        help="values the clean image can have [of the file's type; for floats, the extremes]",
    )  # fmt: skip


def add_operators(parser: argparse.ArgumentParser) -> None:
    """What was done to the image."""
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


def add_restoring(parser: argparse.ArgumentParser) -> None:
    """How `restore` and `batch` go about it."""
    parser.add_argument(
        "--sampler",
        default=samplers.DEFAULT,
        help=f"{', '.join(samplers.REGISTRY)} [{samplers.DEFAULT}]",
    )
    parser.add_argument(
        "--tile", metavar="N", type=int,
        help="cut a large image into tiles of N × N pixels, such as 256: the memory is that of one",
    )  # fmt: skip
    parser.add_argument(
        "--overlap", metavar="N", type=int, help="pixels that neighbouring tiles share [an eighth]"
    )
    parser.add_argument(
        "--keep-known", action="store_true",
        help="fill in what is missing, and leave the known pixels as they are, or give OUT that is IN when made small or blurred "
        "again: for pictures without noise",
    )  # fmt: skip
    parser.add_argument(
        "--jpeg", action="store_true",
        help="IN is a JPEG file, whose compression is to be undone: what it rounded is sampled",
    )  # fmt: skip
    parser.add_argument(
        "--holdout", metavar="SHARE", type=float,
        help="hide this share of the known pixels, such as 0.02, and check the answer on them",
    )  # fmt: skip


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How long to sample what, and where."""
    names = ", ".join(networks.REGISTRY)
    parser.add_argument(
        "--generator", metavar="NAME", help=f"{names} [pyramid; of descents and gp-dip hourglass]"
    )
    parser.add_argument(
        "--channels", type=int, help="width of the pyramid [16] or the hourglass [48]"
    )
    parser.add_argument("--scales", type=int, help="depth of the pyramid or the hourglass [4]")
    parser.add_argument(
        "--skips", metavar="CHANNELS", type=int,
        help="take the hourglass, with skip connections as wide as this; 0 is none [4]",
    )  # fmt: skip
    defaults = bdip.Settings()
    parser.add_argument("--steps", type=int, help="steps a chain [until the mean is known]")
    parser.add_argument(
        "--max-steps", type=int, metavar="N",
        help=f"without --steps, stop after so many of all chains in any case [{defaults.max_steps}]",
    )  # fmt: skip
    parser.add_argument(
        "--target-mcse", type=float, metavar="SHARE",
        help="without --steps, stop where the Monte Carlo error of the mean is this share of its "
        f"standard deviation [{defaults.target_mcse:g}]",
    )  # fmt: skip
    parser.add_argument("--warmup", type=int, help="steps not averaged [found; 40 %% of --steps]")
    parser.add_argument(
        "--chains", type=int, help=f"independent chains [{CHAINS}; 1 with --steps, and in compare]"
    )
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


def add_scripting(parser: argparse.ArgumentParser) -> None:
    """What spares typing, and what programs read."""
    parser.add_argument(
        "--preset", choices=PRESETS,
        help=f"fast: a small network and {PRESETS['fast']['steps']:,} steps, for a first look; standard: the defaults; "
        f"paper: the Deep Image Prior's network. {COST} large-hole: standard without skip connections. Options beside it replace its own",
    )  # fmt: skip
    parser.add_argument(
        "--config", metavar="FILE",
        help="options by their long names, from TOML or JSON; the NAME-run.json beside a result repeats it. "
        "What is typed counts for more",
    )  # fmt: skip
    add_talking(parser)


def add_talking(parser: argparse.ArgumentParser) -> None:
    """How the command speaks."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    parser.add_argument(
        "--json", action="store_true",
        help="print one JSON object, the record of the run; errors as {\"error\": ...}",
    )  # fmt: skip


def _noise_std(text: str) -> float | str:
    """A number, or the word for a σ that is sampled."""
    try:
        return text if text == SAMPLED else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor {SAMPLED!r}") from error
