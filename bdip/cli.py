"""The command line: `bdip restore | compare | demo | info`."""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip import networks, samplers
from bdip.given_noise import SAMPLED
from bdip.io import ImageError, check_output, load_image, load_mask, save_image
from bdip.words import COMMANDS, top

GIB = 2**30  # bytes

DONE, FAILED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130


class UsageError(ValueError):
    """The command's words do not fit together."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others of the command are."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"bdip: {message}: see '{self.prog} --help'.\n")


# What a user can mend: one line, no traceback.
USER_ERRORS = (
    UsageError, ImageError, bdip.ProblemError, bdip.SettingsError, bdip.DivergedError,
    bdip.TooLargeError, OSError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except USER_ERRORS as error:
        print(f"bdip: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("bdip: interrupted before there was anything to keep", file=sys.stderr)
        return INTERRUPTED


def restore(options: argparse.Namespace) -> int:
    """Restore one image file, and write its standard deviation beside it."""
    image, mask = _read(options)
    output = Path(options.output)
    std_output = output.with_name(f"{output.stem}-std.tif")
    check_output(output, image.shape, image.dtype)
    check_output(std_output, image.shape, np.float32)
    saved = [Path(options.save)] if options.save else []
    _check_free(options, output, std_output, *saved)
    for path in saved:
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}: make it first.")
    if options.estimate:
        return _estimate(image, mask, options)

    posterior = bdip.sample(
        image, mask, sampler=options.sampler, holdout=options.holdout, **_sampling(options)
    )
    save_image(output, posterior.mean, image.dtype)
    written = [str(output)]
    if np.isfinite(posterior.std).any():
        save_image(std_output, posterior.std, np.float32)
        written.append(f"{std_output} (standard deviation, in the image's units)")
    if options.save:
        posterior.save(options.save)
        written.append(str(options.save))
    if not options.quiet:
        print(posterior.summary())
        print("wrote     " + "\n          ".join(written))
    return DONE if posterior.complete else INTERRUPTED


def _estimate(
    image: NDArray[Any], mask: NDArray[np.bool_] | None, options: argparse.Namespace
) -> int:
    """Print what restoring would take."""
    found = bdip.estimate(
        image, mask, sampler=options.sampler, holdout=options.holdout, **_sampling(options)
    )
    print(found)
    return DONE if found.fits else USAGE_ERROR


def compare(options: argparse.Namespace) -> int:
    """Restore one image file with several samplers: curves, pictures, and a table."""
    from bdip.compare import compare as compare_samplers
    from bdip.plot import plot_curves, plot_rows

    image, mask = _read(options)
    image, clean = _truth(options, image)
    folder = Path(options.output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give the name of a folder with --output.")
    curves, sheet = folder / "curves.png", folder / "side-by-side.png"
    _check_free(options, curves, sheet)
    comparison = compare_samplers(
        image, mask, clean=clean, samplers=tuple(options.samplers), **_sampling(options)
    )
    folder.mkdir(parents=True, exist_ok=True)
    plot_curves(comparison.curves, clean is not None).savefig(curves, dpi=130)
    posteriors = comparison.posteriors
    high = next(iter(posteriors.values())).settings["data_range"][1]
    shown = (
        image if mask is None else np.where(mask if image.ndim == 2 else mask[..., None], image, 0)
    )
    row = [("input", shown), *((name, each.mean) for name, each in posteriors.items())]
    plot_rows([row], high).savefig(sheet, dpi=130)
    print(comparison.table())
    print(f"wrote {curves} and {sheet}")
    return DONE if all(each.complete for each in posteriors.values()) else INTERRUPTED


def demo(options: argparse.Namespace) -> int:
    """Run the demonstration."""
    from bdip.demo import run

    return DONE if run(Path(options.output), options.seed) else FAILED


def info(options: argparse.Namespace) -> int:
    """Print versions, devices, and the names that options take."""
    import jax

    print(f"bdip {bdip.__version__}, Python {platform.python_version()}, JAX {jax.__version__}")
    print(f"devices     {', '.join(str(device) for device in jax.devices())}")
    print(f"generators  {', '.join(networks.REGISTRY)}")
    print(f"samplers    {', '.join(samplers.REGISTRY)}")
    return DONE


def _read(options: argparse.Namespace) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Image and mask (True where observed) of the files named."""
    image = load_image(options.image)
    if options.known:
        return image, load_mask(options.known)
    if options.missing:
        return image, ~load_mask(options.missing)
    return image, None


def _truth(
    options: argparse.Namespace, image: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The image to restore, with noise added if asked for, and the true one if it is known."""
    if options.add_noise is not None:
        if not options.add_noise > 0:
            raise UsageError(f"--add-noise is {options.add_noise:g}: expected a number above 0.")
        rng = np.random.default_rng(options.seed)
        noise = options.add_noise * rng.standard_normal(image.shape)
        if options.data_range is None and image.dtype.kind != "f":
            options.data_range = (0, np.iinfo(image.dtype).max)  # the noisy image is of floats
        if options.gain is None:
            options.noise_std = options.noise_std or options.add_noise
        return image + noise, image
    if options.clean is None:
        return image, None
    clean = load_image(options.clean)
    if clean.shape != image.shape:
        raise UsageError(
            f"--clean {options.clean} has shape {clean.shape} but {options.image} {image.shape}: "
            "pass the same picture without its damage."
        )
    return image, clean


def _check_free(options: argparse.Namespace, *outputs: Path) -> None:
    """Refuse, before hours of work, what could not be written or would replace something."""
    for path in outputs:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: give the name of a file.")
        if path.exists() and path.resolve() == Path(options.image).resolve():
            raise UsageError(f"{path} is the input itself: choose another output.")
        if path.exists() and not options.overwrite:
            raise UsageError(f"{path} exists: choose another output, or add --overwrite.")


def _sampling(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `bdip.sample` that both `restore` and `compare` take."""
    return {
        "noise_std": options.noise_std,
        "noise": _photon_noise(options),
        "data_range": options.data_range,
        "generator": _generator(options),
        "steps": options.steps,
        "max_steps": options.max_steps,
        "target_mcse": options.target_mcse,
        "warmup": options.warmup,
        "chains": options.chains,
        "seed": options.seed,
        "devices": options.devices,
        "time_limit": options.time_limit,
        "memory_limit": None if options.memory_limit is None else options.memory_limit * GIB,
        "progress": not options.quiet,
    }


def _noise_std(text: str) -> float | str:
    """A number, or the word for a σ that is sampled."""
    try:
        return text if text == SAMPLED else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor {SAMPLED!r}") from error


def _photon_noise(options: argparse.Namespace) -> bdip.PoissonGaussian | None:
    """The Poisson–Gaussian noise asked for, or None."""
    if options.gain is not None:
        return bdip.PoissonGaussian(options.gain, options.read_noise or 0.0)
    if options.read_noise is not None:
        raise UsageError("--read-noise goes with --gain: without photon noise, use --noise-std.")
    return None


def _generator(options: argparse.Namespace) -> str | networks.Hourglass:
    """The generator's name, or the hourglass of the width and depth asked for."""
    channels = options.channels
    asked = {"channels_down": channels, "channels_up": channels, "scales": options.scales}
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked:
        return str(options.generator)
    if options.generator != "hourglass":
        raise UsageError(
            f"--channels and --scales are for the hourglass, not for {options.generator}."
        )
    try:
        return networks.Hourglass(**asked)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = top(_Parser)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "restore",
        help=COMMANDS["restore"],
        description="Denoise IN, or fill in its missing pixels, by sampling. Writes OUT in the "
        "format and depth of IN, and OUT-std.tif beside it: the standard deviation of each pixel.",
    )
    _add_image(one)
    one.add_argument("-o", "--output", metavar="OUT", required=True, help="restored image")
    one.add_argument(
        "--save", metavar="FILE.npz", help="also write the whole posterior, draws included"
    )
    one.add_argument("--sampler", default="mclmc", help=f"{', '.join(samplers.REGISTRY)} [mclmc]")
    one.add_argument(
        "--estimate", action="store_true",
        help="print what memory and time it would take, and write nothing",
    )  # fmt: skip
    one.add_argument(
        "--holdout", metavar="SHARE", type=float,
        help="hide this share of the known pixels, such as 0.02, and check the answer on them",
    )  # fmt: skip
    _add_sampling(one)
    one.set_defaults(run=restore)

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
    several.set_defaults(run=compare)

    show = commands.add_parser("demo", help=COMMANDS["demo"])
    show.add_argument("-o", "--output", metavar="DIR", default="demo", help="[demo]")
    show.add_argument("--seed", type=int, default=0, help="[0]")
    show.set_defaults(run=demo)

    about = commands.add_parser("info", help=COMMANDS["info"])
    about.set_defaults(run=info)
    return parser


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IN", help="PNG, JPEG, TIFF, BMP or .npy file")
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
