"""The commands beside `restore`: many images, samplers side by side, pages, the demonstration."""

import argparse
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip import networks, samplers
from bdip.cli.arguments import UsageError, check_free, read, sampling, tiling
from bdip.cli.as_json import print_json
from bdip.cli.exits import DONE, FAILED, INTERRUPTED, exit_code
from bdip.cli.presets import PRESETS
from bdip.io import load
from bdip.record import versions

if TYPE_CHECKING:
    from bdip.compare import Comparison


def batch(options: argparse.Namespace) -> int:
    """Restore many image files."""
    from bdip import batch as many

    summary = many.run(
        options.images, options.output, known=options.known, missing=options.missing,
        keep_known=options.keep_known, jpeg=options.jpeg, save=options.save, overwrite=options.overwrite,
        retries=options.retries,
        ray=options.ray, cpus=options.cpus, gpus=options.gpus,
        sampler=options.sampler, holdout=options.holdout, progress=not options.quiet,
        time_limit=options.time_limit, **tiling(options), **sampling(options),
    )  # fmt: skip
    if options.json:
        print_json(summary._asdict())
    elif not options.quiet:
        print(summary)
        print("wrote     " + "\n          ".join(map(str, summary.files)))
    if summary.interrupted:
        return INTERRUPTED
    return FAILED if summary.count(many.FAILED) else DONE


def compare(options: argparse.Namespace) -> int:
    """Restore one image file with several samplers: curves, pictures, and a table."""
    from bdip.compare import compare as compare_samplers
    from bdip.plot import plot_curves, plot_rows

    loaded, mask = read(options)
    image, clean = _truth(options, loaded.pixels)
    folder = Path(options.output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give the name of a folder with --output.")
    curves, sheet = folder / "curves.png", folder / "side-by-side.png"
    check_free(options, curves, sheet)
    comparison = compare_samplers(
        image,
        mask,
        clean=clean,
        samplers=tuple(options.samplers),
        progress=not options.quiet,
        time_limit=options.time_limit,
        **sampling(options),
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
    if options.json:
        print_json(_as_table(comparison, [curves, sheet]))
    else:
        print(comparison.table())
        print(f"wrote {curves} and {sheet}")
    return max(exit_code(each) for each in posteriors.values())


def report(options: argparse.Namespace) -> int:
    """Write the page of a saved posterior."""
    path, title = Path(options.output), options.title or Path(options.image).name
    check_free(options, path)
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

    if options.json:
        print_json(_about([str(device) for device in jax.devices()]))
        return DONE
    print(f"bdip {bdip.__version__}, Python {platform.python_version()}, JAX {jax.__version__}")
    print(f"devices     {', '.join(str(device) for device in jax.devices())}")
    print(f"generators  {', '.join(networks.REGISTRY)}")
    print(f"samplers    {', '.join(samplers.REGISTRY)}")
    return DONE


def completion(options: argparse.Namespace) -> int:
    """Print what makes a shell complete bdip's words."""
    from bdip.cli.parser import parser
    from bdip.cli.shells import completion_script

    print(completion_script(parser(), options.shell))
    return DONE


def _about(devices: list[str]) -> dict[str, Any]:
    """What `info` says, as one object."""
    return {
        "versions": {"bdip": bdip.__version__, "python": platform.python_version(), **versions()},
        "devices": devices,
        "generators": list(networks.REGISTRY),
        "samplers": list(samplers.REGISTRY),
        "presets": PRESETS,
    }


def _as_table(comparison: "Comparison", outputs: list[Path]) -> dict[str, Any]:
    """What `compare` found, as one object: curves, diagnostics and verdict of each sampler."""
    methods = {
        name: {
            "complete": posterior.complete,
            "curve": {k: np.asarray(v).tolist() for k, v in comparison.curves[name].items()},
            "diagnostics": posterior.diagnostics,
            "settings": posterior.settings,
            "verdict": posterior.verdict,
        }
        for name, posterior in comparison.posteriors.items()
    }
    return {"samplers": methods, "outputs": outputs}


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
        noisy = image + noise
        return noisy if options.clipped is None else noisy.clip(*options.clipped), image
    if options.clean is None:
        return image, None
    clean = load(options.clean).pixels
    if clean.shape != image.shape:
        raise UsageError(
            f"--clean {options.clean} has shape {clean.shape} but {options.image} {image.shape}: "
            "pass the same picture without its damage."
        )
    return image, clean
