"""An answer as xarray and ArviZ have it; both are the optional extra "arviz"."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.errors import MissingExtraError
from bdip.posterior import Posterior

GRID = ("z", "y", "x")  # the last one, two or three are those of a signal, a picture, a volume
EXTRA = "it is not installed: pip install 'bdip[arviz]'."
PER_PIXEL = ("mean", "std", "rhat", "ess", "mcse")
COLUMNS = ("chi2", "step_size", "energy_error", "noise_std")  # of a trace, beside the energy


def to_xarray(posterior: Posterior) -> Any:
    """An `xarray.Dataset` of everything in the answer, with named axes.

    "mean", "std", "rhat", "ess", "mcse" over (y, x[, channel]), in the order of the image's own axes,
    and "holdout" where there is one; "draws" over (chain, draw, y, x[, channel]); "probe" over (chain,
    probe_draw, probe_y, probe_x[, channel]); "input" over the image's axes, or (input_y, input_x[,
    channel]) where its grid is another, and input_channel where its channels are others (of complex data "input_real" and
    "input_imag"); "chi2", "energy" and the rest of the trace over (chain, step).
    The attributes are "settings" (JSON), "complete" (0 or 1), "reported" (lines) and "warmup".

    Raises MissingExtraError where xarray is not installed.

    Example:
        >>> data = to_xarray(posterior)
        >>> data["draws"].sel(chain=0).mean("draw").dims
        ('y', 'x')
    """
    xarray = _imported("xarray")
    axes = _axes(posterior)
    variables = {name: (axes, getattr(posterior, name)) for name in PER_PIXEL}
    variables["draws"] = (("chain", "draw", *axes), posterior.draws)
    if posterior.holdout is not None:
        variables["holdout"] = (axes, posterior.holdout)
    if posterior.input is not None:
        given, dims = posterior.input, _data_axes(posterior, posterior.input.shape)
        parts = {"input": given}
        if np.iscomplexobj(given):  # which netCDF files do not hold
            parts = {"input_real": given.real, "input_imag": given.imag}
        variables |= {name: (dims, part) for name, part in parts.items()}
    if posterior.probe is not None:
        names = ("chain", "probe_draw", *_prefixed(axes, "probe"))
        variables["probe"] = (names, posterior.probe)
    variables |= {name: (("chain", "step"), column) for name, column in posterior.trace.items()}
    counted = {
        "chain": np.arange(posterior.draws.shape[0]), "draw": np.arange(posterior.draws.shape[1]),
    }  # fmt: skip
    return xarray.Dataset(variables, counted, _attributes(posterior))


def to_datatree(posterior: Posterior) -> Any:
    """An `xarray.DataTree` as ArviZ reads it.

    Group "posterior" has the draws as "image", over (chain, draw, y, x[, channel]). Group "sample_stats"
    has the kept steps, each as a draw: "lp" = −U, "chi2", "step_size" and what else the trace has.
    Group "observed_data" has the input as "image", where the answer holds it.

    Raises MissingExtraError where arviz-base is not installed (it is a part of ArviZ 1).

    Example:
        >>> tree = to_datatree(posterior)
        >>> list(tree.children), tree["posterior"]["image"].dims
        (['posterior', 'sample_stats', 'observed_data'], ('chain', 'draw', 'y', 'x'))
    """
    arviz = _imported("arviz_base")
    axes = list(_axes(posterior))
    groups: dict[str, dict[str, NDArray[Any]]] = {
        "posterior": {"image": posterior.draws}, "sample_stats": _statistics(posterior),
    }  # fmt: skip
    dims = {"image": axes}
    given = posterior.input
    if given is not None and given.shape == posterior.mean.shape and not np.iscomplexobj(given):
        groups["observed_data"] = {"image": given}
    # Its conventions warn of more chains than draws, which is none of the user's doing.
    attributes = {"/": _attributes(posterior)}
    return arviz.from_dict(groups, dims=dims, attrs=attributes, check_conventions=False)


def _statistics(posterior: Posterior) -> dict[str, NDArray[Any]]:
    """The kept steps of the trace, by ArviZ's names."""
    kept = posterior.kept_trace
    found = {"lp": -kept["energy"]} if "energy" in kept else {}
    return found | {name: kept[name] for name in COLUMNS if name in kept}


def _axes(posterior: Posterior) -> tuple[str, ...]:
    """Names of the image's axes, in their order."""
    return _named(posterior.mean.ndim, posterior.settings["channel_axis"])


def _data_axes(posterior: Posterior, given: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the input's axes: the image's where it has the image's shape, and its channels where it has as many."""
    mean, of_image = posterior.mean.shape, posterior.settings["channel_axis"]
    axis = posterior.data_axis
    if given == mean:
        return _axes(posterior)
    names = _prefixed(_named(len(given), axis), "input")
    if axis is None or (of_image is not None and given[axis] == mean[of_image]):
        return names
    return tuple("input_channel" if name == "channel" else name for name in names)


def _named(dimensions: int, channel_axis: int | None) -> tuple[str, ...]:
    """As many of z, y, x as there are axes of a grid, and the channels among them."""
    spatial = dimensions - (channel_axis is not None)
    names = list(GRID[len(GRID) - spatial :])
    if channel_axis is not None:
        names.insert(channel_axis, "channel")
    return tuple(names)


def _prefixed(axes: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    return tuple(name if name == "channel" else f"{prefix}_{name}" for name in axes)


def _attributes(posterior: Posterior) -> dict[str, Any]:
    """In types that netCDF files hold."""
    return {
        "settings": json.dumps(posterior.settings, ensure_ascii=False),
        "complete": int(posterior.complete),
        "reported": "\n".join(posterior.reported),
        "warmup": posterior.warmup,
    }


def _imported(name: str) -> Any:
    """The package, or one line that says how to get it."""
    try:
        if name == "xarray":
            import xarray

            return xarray
        import arviz_base

        return arviz_base
    except ImportError as error:
        raise MissingExtraError(f"this needs {name.replace('_', '-')}; {EXTRA}") from error
