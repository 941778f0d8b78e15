"""The command line: `bdip restore | resume | compare | report | demo | info`."""

import argparse
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip import networks, samplers
from bdip.checkpoint import EVERY
from bdip.files import sha256
from bdip.given_noise import SAMPLED
from bdip.io import ImageError, Loaded, check_output, load, load_mask, save_image
from bdip.live import Preview
from bdip.lock import locked
from bdip.progress import TERMINATED
from bdip.record import is_unfinished, record_of, told, write_record

GIB = 2**30  # bytes

DONE, FAILED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130


class UsageError(ValueError):
    """The command's words do not fit together."""


class OutputError(Exception):
    """What was computed could not be written where it was meant to go."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others of the command are."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"bdip: {message}: see '{self.prog} --help'.\n")


# What a user can mend: one line, no traceback.
USER_ERRORS = (
    UsageError, ImageError, bdip.ProblemError, bdip.SettingsError, bdip.DivergedError,
    bdip.TooLargeError, bdip.PosteriorFileError, bdip.CheckpointError, OSError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong input, 130 or 143 interrupted."""
    options = _parser().parse_args(arguments)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _plain_warnings():
            return int(options.run(options))
    except (OutputError, *USER_ERRORS) as error:
        print(f"bdip: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED if isinstance(error, OutputError) else USAGE_ERROR
    except KeyboardInterrupt:
        print("bdip: interrupted before there was anything to keep", file=sys.stderr)
        return INTERRUPTED


def restore(options: argparse.Namespace) -> int:
    """Restore one image file, and write its standard deviation beside it."""
    loaded, mask = _read(options)
    if options.downsample and loaded.alpha is not None:
        print("bdip: transparency is not kept, for the answer is of another size", file=sys.stderr)
        loaded = replace(loaded, alpha=None)
    image = loaded.pixels
    output = Path(options.output)
    std_output = output.with_name(f"{output.stem}-std.tif")
    check_output(output, image.shape, like=loaded)
    check_output(std_output, image.shape, np.float32)
    run_output = output.with_name(f"{output.stem}-run.json")
    _check_free(options, output, std_output, *_beside(options), record=run_output)
    if options.estimate:
        return _estimate(image, mask, options)

    started = perf_counter()
    inputs = _inputs(options)
    with locked(output):
        posterior = bdip.sample(
            image, mask, operator=_operator(options), sampler=options.sampler, holdout=options.holdout,
            callback=Preview(options.preview) if options.preview else None,
            checkpoint=_checkpoint(options, inputs), **_sampling(options),
        )  # fmt: skip
        with _rescued(posterior, options):
            save_image(output, posterior.mean, like=loaded)
            written = {"image": output}
            if np.isfinite(posterior.std).any():
                save_image(std_output, posterior.std, np.float32)
                written["std"] = std_output
            if options.save:
                posterior.save(options.save)
                written["posterior"] = Path(options.save)
            if options.report:
                posterior.report(options.report, title=Path(options.image).name)
                written["report"] = Path(options.report)
            record = record_of(
                posterior, inputs=inputs, outputs=written, command=options.arguments,
                options=_given(options), seconds=perf_counter() - started,
            )  # fmt: skip
            write_record(run_output, record)
    if not options.quiet:
        print(posterior.summary())
        print("wrote     " + "\n          ".join(map(str, [*written.values(), run_output])))
    return _exit_code(posterior)


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
    again = _parser().parse_args(command)
    again.arguments, again.checkpoint = command, str(path)
    if not Path(note["folder"]).is_dir():
        raise UsageError(f"{note['folder']}, where the run was started, is gone: put it back.")
    with chdir(note["folder"]):
        for name, file in note["inputs"].items():
            if not Path(file["path"]).exists() or sha256(file["path"]) != file["sha256"]:
                raise UsageError(
                    f"{file['path']}, the {name}, has changed or is gone: put it back."
                )
        return restore(again)


def _more(options: argparse.Namespace) -> list[str]:
    """The words that `resume` adds to the command."""
    words = []
    for name in ("max_steps", "target_mcse", "time_limit"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words + [f"--{name}" for name in ("overwrite", "quiet") if getattr(options, name)]


def _inputs(options: argparse.Namespace) -> dict[str, str]:
    """The files that a run is made from, by what they are."""
    names = ("image", "known", "missing", "psf", "input", "clean")
    found = {name: getattr(options, name, None) for name in names}
    return {name: path for name, path in found.items() if path}


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The command's options, defaults included."""
    return {
        name: value for name, value in vars(options).items() if name not in ("run", "arguments")
    }


def _checkpoint(options: argparse.Namespace, inputs: dict[str, str]) -> bdip.Checkpoint | None:
    """The checkpoint asked for, with what `bdip resume` needs to know."""
    if options.checkpoint is None:
        return None
    note = {
        "command": options.arguments,
        "folder": str(Path.cwd()),
        "inputs": {name: told(path) for name, path in inputs.items()},
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


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """A warning of bdip's is one line, as its errors are."""

    def show(message: Warning | str, category: type[Warning], *more: Any) -> None:
        print(f"bdip: {' '.join(str(message).split())}", file=sys.stderr)

    before = warnings.showwarning
    warnings.showwarning = show  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = before


def _exit_code(posterior: bdip.Posterior) -> int:
    if posterior.complete:
        return DONE
    return TERMINATED if posterior.settings["interrupted"] == "SIGTERM" else INTERRUPTED


def _estimate(
    image: NDArray[Any], mask: NDArray[np.bool_] | None, options: argparse.Namespace
) -> int:
    """Print what restoring would take."""
    found = bdip.estimate(
        image, mask, operator=_operator(options), sampler=options.sampler, holdout=options.holdout,
        **_sampling(options),
    )  # fmt: skip
    print(found)
    return DONE if found.fits else USAGE_ERROR


def compare(options: argparse.Namespace) -> int:
    """Restore one image file with several samplers: curves, pictures, and a table."""
    from bdip.compare import compare as compare_samplers
    from bdip.plot import plot_curves, plot_rows

    loaded, mask = _read(options)
    image, clean = _truth(options, loaded.pixels)
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
    return max(_exit_code(each) for each in posteriors.values())


def report(options: argparse.Namespace) -> int:
    """Write the page of a saved posterior."""
    path, title = Path(options.output), options.title or Path(options.image).name
    _check_free(options, path)
    posterior = bdip.Posterior.load(options.image)
    given = load(options.input).pixels if options.input else None
    posterior.report(path, input=given, title=title)
    print(f"wrote {path}")
    return DONE


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


def _read(options: argparse.Namespace) -> tuple[Loaded, NDArray[np.bool_] | None]:
    """Image and mask (True where observed) of the files named; what is to be said of them is."""
    loaded = load(options.image, options.page)
    mask = None
    if options.known or options.missing:
        mask = load_mask(options.known or options.missing, like=loaded)
    if not options.quiet:
        for note in loaded.notes:
            print(f"bdip: note: {note}", file=sys.stderr)
    return loaded, ~mask if mask is not None and options.missing else mask


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
    clean = load(options.clean).pixels
    if clean.shape != image.shape:
        raise UsageError(
            f"--clean {options.clean} has shape {clean.shape} but {options.image} {image.shape}: "
            "pass the same picture without its damage."
        )
    return image, clean


def _beside(options: argparse.Namespace) -> list[Path]:
    """The files that `restore` was asked for beside the image, each in a folder that is there."""
    asked = [Path(name) for name in (options.save, options.report, options.preview) if name]
    for path in asked:
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}: make it first.")
    if options.preview and Path(options.preview).suffix.lower() != ".png":
        raise UsageError(f"--preview {options.preview} is no PNG file: end its name in .png.")
    return asked


def _check_free(options: argparse.Namespace, *outputs: Path, record: Path | None = None) -> None:
    """Refuse, before hours of work, what could not be written or would replace something.

    What the same run left when it was cut short, by its `record`, may be replaced by what it resumes to.
    """
    own = record is not None and options.checkpoint and is_unfinished(record, list(outputs))
    outputs = outputs if record is None else (*outputs, record)
    checkpoint = getattr(options, "checkpoint", None)
    taken = [Path(given) for given in (*_inputs(options).values(), checkpoint) if given]
    for path in outputs:
        if outputs.count(path) > 1:
            raise UsageError(f"{path} is to be written twice: give each output a name of its own.")
        if path.is_dir():
            raise UsageError(f"{path} is a folder: give the name of a file.")
        if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
            raise UsageError(f"{path.parent} cannot be written: choose another folder.")
        for other in taken:
            if _is_same(path, other):
                itself = "the input itself" if other == Path(options.image) else f"{other} itself"
                raise UsageError(f"{path} is {itself}: choose another output.")
        if path.exists() and not (options.overwrite or own):
            raise UsageError(f"{path} exists: choose another output, or add --overwrite.")
        taken.append(path)


def _is_same(first: Path, second: Path) -> bool:
    """Whether two names are of one file, whatever links there are."""
    if first.exists() and second.exists():
        return first.samefile(second)
    return first.resolve() == second.resolve()


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


def _operator(options: argparse.Namespace) -> bdip.operators.Operator | None:
    """What was done to the image before it was seen: first the blur, then the down-sampling."""
    chain: list[bdip.operators.Operator] = []
    try:
        if options.downsample is not None:
            chain.append(bdip.Downsample(options.downsample))
        if options.blur_sigma is not None:
            chain.append(bdip.Blur.gaussian(options.blur_sigma))
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.psf is not None:
        psf = load(options.psf).pixels.astype(np.float32)
        if psf.ndim != 2 or not (np.isfinite(psf).all() and psf.sum() > 0):
            raise UsageError(f"--psf {options.psf}: expected a grey picture of a point of light.")
        chain.append(bdip.Blur(psf / psf.sum()))
    return reduce(lambda outer, inner: outer @ inner, chain) if chain else None


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
    parser = _Parser(
        prog="bdip",
        description="Restore an image from itself alone, with error bars (Bayesian deep image prior).",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong input; 130 interrupted or out of time, 143 terminated "
        "(what there was is kept).",
    )
    parser.add_argument("--version", action="version", version=f"bdip {bdip.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "restore",
        help="denoise, inpaint, sharpen or enlarge an image file",
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
    one.add_argument("--sampler", default="mclmc", help=f"{', '.join(samplers.REGISTRY)} [mclmc]")
    one.add_argument(
        "--estimate", action="store_true",
        help="print what memory and time it would take, and write nothing",
    )  # fmt: skip
    one.add_argument(
        "--holdout", metavar="SHARE", type=float,
        help="hide this share of the known pixels, such as 0.02, and check the answer on them",
    )  # fmt: skip
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
    one.set_defaults(run=restore)

    again = commands.add_parser(
        "resume",
        help="go on with a restoration that was cut short",
        description="Go on with the 'bdip restore --checkpoint FILE' that was cut short, with the "
        "options that it was given. The result is that of a run never cut short.",
    )
    again.add_argument("checkpoint", metavar="FILE", help="its checkpoint")
    again.add_argument("--max-steps", type=int, metavar="N", help="allow more steps than before")
    again.add_argument("--target-mcse", type=float, metavar="SHARE", help="ask for another error")
    again.add_argument("--time-limit", type=float, metavar="SECONDS", help="for this time only")
    again.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    again.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    again.set_defaults(run=resume)

    several = commands.add_parser(
        "compare",
        help="descent against sampling on one image file",
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

    html = commands.add_parser(
        "report",
        help="an HTML page of a saved posterior",
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
    html.set_defaults(run=report)

    show = commands.add_parser("demo", help="restore a bundled photograph; takes a few minutes")
    show.add_argument("-o", "--output", metavar="DIR", default="demo", help="[demo]")
    show.add_argument("--seed", type=int, default=0, help="[0]")
    show.set_defaults(run=demo)

    about = commands.add_parser("info", help="versions, devices, names of samplers and generators")
    about.set_defaults(run=info)
    return parser


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IN", help="image file: PNG, TIFF, FITS, DICOM, .npy, ...")
    parser.add_argument(
        "--page", metavar="N", type=int, help="of several pages, frames or slices the one, from 0"
    )
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
