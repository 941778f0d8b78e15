"""From the command's words to the arguments of `bdip.sample`, and the checks of files."""

import argparse
import os
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip import networks, samplers
from bdip.io import Loaded
from bdip.io import load as load_file
from bdip.record import is_unfinished
from bdip.restoring import load

GIB = 2**30  # bytes
# The fields of a generator that an option sets.
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "pyramid": {"--channels": ("channels",), "--scales": ("scales",)},
    "hourglass": {
        "--channels": ("channels_down", "channels_up"), "--scales": ("scales",), "--skips": ("channels_skip",),
    },
}  # fmt: skip


class UsageError(ValueError):
    """The command's words do not fit together."""


def read(options: argparse.Namespace) -> tuple[Loaded, NDArray[np.bool_] | None]:
    """Image and mask (True where observed) of the files named; what is to be said of them is."""
    loaded, mask = load(options.image, options.known, options.missing, options.page)
    if not options.quiet:
        for note in loaded.notes:
            print(f"bdip: note: {note}", file=sys.stderr)
    return loaded, mask


def inputs(options: argparse.Namespace) -> dict[str, str]:
    """The files that a run is made from, by what they are."""
    names = ("image", "known", "missing", "psf", "input", "clean")
    found = {name: getattr(options, name, None) for name in names}
    return {name: path for name, path in found.items() if path}


def check_free(options: argparse.Namespace, *outputs: Path, record: Path | None = None) -> None:
    """Refuse, before hours of work, what could not be written or would replace something.

    What the same run left when it was cut short, by its `record`, may be replaced by what it resumes to.
    """
    own = record is not None and options.checkpoint and is_unfinished(record, list(outputs))
    outputs = outputs if record is None else (*outputs, record)
    checkpoint = getattr(options, "checkpoint", None)
    taken = [Path(given) for given in (*inputs(options).values(), checkpoint) if given]
    for path in outputs:
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


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `bdip.sample` that both `restore` and `compare` take."""
    return {
        **_noise(options),
        "data_range": options.data_range,
        "generator": _generator(options),
        "steps": options.steps,
        "max_steps": options.max_steps,
        "target_mcse": options.target_mcse,
        "warmup": options.warmup,
        "chains": options.chains,
        "seed": options.seed,
        "devices": options.devices,
        "memory_limit": None if options.memory_limit is None else options.memory_limit * GIB,
    }


def tiling(options: argparse.Namespace) -> dict[str, Any]:
    """The tiles asked for, or nothing."""
    if options.tile is not None:
        return {"tile": options.tile, "overlap": options.overlap}
    if options.overlap is not None:
        raise UsageError("--overlap goes with --tile: say how large the tiles are.")
    return {}


def operator(options: argparse.Namespace) -> bdip.operators.Operator | None:
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
        psf = load_file(options.psf).pixels.astype(np.float32)
        if psf.ndim != 2 or not (np.isfinite(psf).all() and psf.sum() > 0):
            raise UsageError(f"--psf {options.psf}: expected a grey picture of a point of light.")
        chain.append(bdip.Blur(psf / psf.sum()))
    return reduce(lambda outer, inner: outer @ inner, chain) if chain else None


def _noise(options: argparse.Namespace) -> dict[str, Any]:
    """The law of the noise asked for: σ, or another law."""
    if options.read_noise is not None and options.gain is None:
        raise UsageError("--read-noise goes with --gain: without photon noise, use --noise-std.")
    std, gain = options.noise_std, options.gain
    if options.rounding is not None:
        for name, other in (("--gain", gain), ("--clipped", options.clipped)):
            if other is not None:
                raise UsageError(f"--rounding and {name} are two kinds of noise: pass one.")
        return {"noise_std": std, "noise": bdip.Rounding(options.rounding)}
    photons = None if gain is None else bdip.PoissonGaussian(gain, options.read_noise or 0.0)
    if options.clipped is None:
        return {"noise_std": std, "noise": photons}
    if None not in (std, photons):
        raise UsageError("--noise-std and --gain are two kinds of noise: pass one.")
    return {"noise": bdip.Clipped(std if photons is None else photons, *options.clipped)}


def _generator(options: argparse.Namespace) -> str | networks.Generator | None:
    """The generator's name, or the one of the width and depth asked for; None for the sampler's own."""
    sizes = {"--channels": options.channels, "--scales": options.scales, "--skips": options.skips}
    asked = [name for name, value in sizes.items() if value is not None]
    name = options.generator
    if not asked:
        return None if name is None else str(name)
    if name is None:
        exact = all(map(samplers.is_exact, _samplers(options)))
        name = "hourglass" if options.skips is not None else networks.default(exact)
    fields = FIELDS.get(name, {})
    if not fields.keys() >= {*asked}:
        kinds = [kind for kind, fields in FIELDS.items() if fields.keys() >= {*asked}]
        raise UsageError(
            f"{' and '.join(asked)}: of --generator {' or '.join(kinds)}, not of {name}."
        )
    given = {field: sizes[option] for option in asked for field in fields[option]}
    try:
        return networks.REGISTRY[name](**given)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _samplers(options: argparse.Namespace) -> list[str]:
    """The samplers' names, without what is added to them."""
    names = getattr(options, "samplers", None) or [options.sampler]
    return [name.split("+")[0] for name in names]
