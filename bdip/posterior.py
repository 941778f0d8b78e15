"""The answer: mean, uncertainty, draws, and the record of how they were made."""

import json
import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bdip.chain import kept_steps
from bdip.diagnostics import (
    Mixing,
    chi2_blocks,
    chi2_drift,
    mixing_maps,
    mixing_numbers,
    relative_chi2,
    scores,
    verdict,
)
from bdip.diagnostics.mixing import LEAST_DRAWS
from bdip.files import write_whole
from bdip.filling import Answer, through
from bdip.likelihood import PoissonGaussian
from bdip.operators import Operator
from bdip.views import Views

FORMAT = 1  # of saved files
OPTIONAL = ("holdout", "probe", "input")  # arrays that not every file has


class PosteriorFileError(ValueError):
    """A file is not a saved posterior, or is damaged."""


@dataclass(frozen=True)
class Posterior(Views):
    """What `bdip.sample` returns. All images are float32 in the input's axes and units.

    mean: posterior mean, the restored image (H, W) or with channels.
    std: posterior standard deviation, same shape; NaN where the method gives none (plain descent)
        or where nothing was kept.
    draws: thinned draws (chains, draws, H, W[, C]).
    trace: "energy", "chi2", "step_size" and, of `mclmc` alone, "energy_error", each (chains, steps)
        float32, over *all* steps; where σ is sampled also "noise_std", in the image's units.
    settings: everything that defines the run, in JSON types: sampler, generator, steps, warm-up,
        σ (its median where pixels differ, the estimate where it is sampled), the law of the noise,
        λ, seed, versions, device.
    complete: False where the run was interrupted, and the answer is what there was.
    holdout: what was measured at the pixels held out from the sampler, in the mean's shape; NaN at
        all others. None where none were.
    probe: draws of some thousand evenly spaced pixels (chains, m, h, w[, C]), closer in time than `draws`: how
        fast the chains forget is told by these. None in files of older versions.
    input: what was given, in its own shape, complex64 where it was complex; NaN at missing pixels. None in
        files of older versions.
    reported: in words, what was inferred rather than given, such as σ.

    >>> posterior.mean.shape, posterior.std.shape, posterior.draws.shape
    ((16, 16), (16, 16), (2, 24, 16, 16))
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    draws: NDArray[np.float32]
    trace: dict[str, NDArray[np.float32]]
    settings: dict[str, Any]
    complete: bool = True
    reported: tuple[str, ...] = field(default=())
    holdout: NDArray[np.float32] | None = None
    probe: NDArray[np.float32] | None = None
    input: NDArray[np.float32] | NDArray[np.complex64] | None = None

    @property
    def warmup(self) -> int:
        """Steps before the first kept one.

        >>> posterior.trace["chi2"][:, posterior.warmup :].shape  # of the steps since
        (2, 40)
        """
        return int(self.settings["warmup"])

    @property
    def data_axis(self) -> int | None:
        """The axis of `input` that has its channels, if any.

        >>> posterior.data_axis is None  # grey
        True
        """
        # Of files of bdip 0.1 only the image's is known.
        axis: int | None = self.settings.get("data_axis", self.settings["channel_axis"])
        return axis

    @property
    def kept_trace(self) -> dict[str, NDArray[np.float32]]:
        """The trace at the kept steps, each (chains, kept): after the warm-up the last one of each cycle of `mclmc`.

        All steps after the warm-up where there are no cycles, as in runs of a few thousand steps (see `Mclmc`).

        >>> posterior.kept_trace["chi2"].shape
        (2, 40)
        """
        # Files of bdip 0.1 have no cycles.
        cycle = self.settings["sampler"].get("cycle", 1)
        return {n: kept_steps(column, self.warmup, cycle) for n, column in self.trace.items()}

    @cached_property
    def mixing(self) -> Mixing:
        """Maps of R̂, effective sample size and Monte Carlo error of the stored draws, by every formula.

        In the image's axes, without those of chains and draws. NaN with fewer than 4 draws a chain.
        Worked out when first asked for, in a second or so for 100 draws of 256 × 256 pixels.

        >>> posterior.mixing.ess_tail.shape
        (16, 16)
        """
        return mixing_maps(self.draws)

    @property
    def rhat(self) -> NDArray[np.float32]:
        """Map (H, W[, C]) of R̂: the chains, and their halves, agree where it is near 1 (see `Mixing`).

        >>> posterior.rhat.shape
        (16, 16)
        """
        return self.mixing.rhat

    @property
    def ess(self) -> NDArray[np.float32]:
        """Map (H, W[, C]) of how many independent draws the stored ones are worth (bulk, see `Mixing`).

        >>> bool((posterior.ess > 10).all())
        True
        """
        return self.mixing.ess_bulk

    @property
    def mcse(self) -> NDArray[np.float32]:
        """Map (H, W[, C]) of the Monte Carlo standard error of the mean of the stored draws, in the image's units.

        `mean` is over all kept steps, of which the draws are a part: its own error is hardly larger.

        >>> bool((posterior.mcse < posterior.std).all())
        True
        """
        return self.mixing.mcse

    @property
    def noise_std(self) -> tuple[float, float]:
        """Mean and standard deviation of the noise's σ over the kept steps, in the image's units.

        Where σ is sampled these are its posterior's, each step weighted with ε_t as its image is,
        and NaN if nothing was kept. Otherwise σ as it was given or estimated, its median where
        pixels differ, and 0.

        >>> posterior.noise_std
        (20.0, 0.0)
        """
        if "noise_std" not in self.trace:
            return float(self.settings["noise_std"]), 0.0
        kept = self.kept_trace
        sigma = kept["noise_std"].astype(np.float64)
        there = np.isfinite(sigma)  # a chain that was stopped early ends in NaN
        if not there.any():
            return np.nan, np.nan
        weights = kept["step_size"][there]
        mean = np.average(sigma[there], weights=weights)
        spread = np.average((sigma[there] - mean) ** 2, weights=weights)
        return float(mean), float(np.sqrt(spread))

    @property
    def diagnostics(self) -> dict[str, float]:
        """Figures by which to judge the answer; NaN where there is none.

        `chi2`: χ² of the kept steps, with `chi2_error`. It should be 1: lower is fitting noise, higher
            is too hot, too large a step, or not yet converged. `chi2_first` and `chi2_second`, of its two
            halves, should agree, and so should `chi2_block_1` to `_4`, with errors; `chi2_fall` is
            from the first to the last of these.
        `rhat_median`, `rhat_95` (95th percentile), `ess_median`, and `mcse_ratio`, the root of
            mean MCSE² over mean std²: see `Mixing`. These are of the `probe`, and the maps of the `draws`,
            which are fewer and can be worth no more than their number.
        `holdout_…`, only where pixels were held out: `holdout_pixels`, and the scores of
            `bdip.diagnostics.scores` for the measured values there under N(mean, std² + σ²).

        >>> round(posterior.diagnostics["chi2"], 1)
        1.0
        """
        return {**self._chi2(), **self._mixing_numbers, **self._held_out()}

    @property
    def verdict(self) -> tuple[str, ...]:
        """What the diagnostics come to: one sentence a finding (see `bdip.diagnostics.verdict`).

        >>> len(posterior.verdict) >= 1
        True
        """
        settings = self.settings
        return verdict(
            {
                **self.diagnostics,
                "complete": self.complete,
                "uncertain": bool(np.isfinite(self.std).any()),
                "noise_raised": "raised_from" in settings.get("noise", {}),
                "noise_sampled": self._sampled,
                "rounded": self._rounded,
                "chains": len(self.trace["chi2"]),
                # Files of bdip 0.1 do not have the number itself.
                "observed_values": settings.get(
                    "observed_values", settings["observed"] * self.mean.size
                ),
            }
        )

    @cached_property
    def _mixing_numbers(self) -> dict[str, float]:
        """What `diagnostics` says of mixing."""
        if self.probe is None or self.probe.shape[1] < LEAST_DRAWS:
            return self.mixing.numbers(self.std)
        return mixing_numbers(self.probe)

    def _chi2(self) -> dict[str, float]:
        """What `diagnostics` says of χ²; where σ is sampled, of the residuals in units of its mean."""
        trace = self.kept_trace
        kept = relative_chi2(trace["chi2"], trace.get("noise_std"))
        told = kept.shape[1] >= 2
        blocks = chi2_blocks(kept)
        # A chain that was stopped early ends in NaN.
        first, second = chi2_drift(np.nanmean(kept, axis=0)) if told else (np.nan, np.nan)
        found = {"chi2": float(np.nanmean(kept)) if told else np.nan, "chi2_error": blocks.error}
        found |= {"chi2_first": first, "chi2_second": second}
        for number, (mean, error) in enumerate(zip(*blocks, strict=True), 1):
            found |= {
                f"chi2_block_{number}": float(mean),
                f"chi2_block_{number}_error": float(error),
            }
        return found | {"chi2_fall": blocks.fall, "chi2_fall_error": blocks.fall_error}

    def _held_out(self) -> dict[str, float]:
        """What `diagnostics` says of the pixels held out."""
        if self.holdout is None:
            return {}
        predicted = self.held_out()
        found = scores(*predicted)
        numbers = {f"holdout_{name}": value for name, value in found.items()}
        return {"holdout_pixels": len(predicted[0]), **numbers}

    def filled(
        self, operator: Operator | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The picture that leaves the input as it is, and its standard deviation, for data without noise.

        Observed pixels are as they were given, with a standard deviation of 0; missing ones have the mean, and √(std² + s²),
        s² being the mean square of what the draws leave of the observed pixels: where it is no noise, it is part of
        the picture that the generator cannot say, and the missing pixels have as much of it.

        `operator` is the one that the data were sampled with, if any, which must be linear: the mean then has added to it what the data
        say of the rest, by the formula of `bdip.filling` with the rounding of data to 256 levels of the range for ε. So the smaller
        picture of one enlarged is the one that was given, to about half a level. The standard deviation is that of the
        stored draws with such a rest, and needs some dozens of them. Of a JPEG file's data (`bdip.JPEG`) the mean is changed as little as makes
        a picture of which these may be the rounded numbers, and the standard deviation stays.

        Both in the mean's shape (H, W[, C]) and the image's units. Where data have noise, `mean` and `std` are nearer to the truth.

        Raises ValueError where the operator is left out, is another one or is not linear, or where the input is not in the
        file (of older versions).

        >>> image, std = posterior.filled()
        >>> bool((image == posterior.input).all()), float(std.max())  # nothing was missing
        (True, 0.0)
        """
        if self.input is None:
            raise ValueError("the input is not in this file: use posterior.mean.")
        of, given = self.settings.get("operator", "Identity"), type(operator).__name__
        if operator is None and of != "Identity":
            raise ValueError(f"the data are of an operator ({of}): pass it, or use posterior.mean.")
        if operator is not None:
            if not operator.linear:
                raise ValueError(f"{given} is not linear: use posterior.mean.")
            if given != of:
                raise ValueError(f"operator is a {given}, but the data are of {of}: pass that one.")
            # A descent has no spread, and its draws are none.
            draws = self.draws if np.isfinite(self.std).any() else self.draws[:, :0]
            return through(operator, Answer(
                self.input, self.mean, self.std, draws, self.data_axis, self.settings["channel_axis"],
                self.settings["data_range"],
            ))  # fmt: skip
        missing = np.isnan(self.input)
        shown = ~missing if self.holdout is None else ~missing & np.isnan(self.holdout)
        left = ((self.input - self.mean) ** 2 + self.std**2)[shown]
        left = left[np.isfinite(left)]  # nothing of a descent, nor of tiles that were not begun
        std = np.sqrt(self.std**2 + (left.mean() if left.size else np.float32(np.nan)))
        return np.where(missing, self.mean, self.input), np.where(missing, std, np.float32(0))

    def held_out(self) -> tuple[Any, Any, Any]:
        """Of the n pixels held out (n, C): what was measured, and its prediction N(mean, std² + σ²).

        In the image's units: measured, mean, and the standard deviation of the prediction; n = 0 where
        none were held out.

        Example:
            >>> measured, mean, std = posterior.held_out()
            >>> measured.shape
            (0, 1)
        """
        held = np.full_like(self.mean, np.nan) if self.holdout is None else self.holdout
        measured, mean, std = (self._pixels(each) for each in (held, self.mean, self.std))
        hidden = np.isfinite(measured).all(axis=1)
        predictive = np.hypot(std[hidden], self._noise_std_at(mean[hidden]))
        return measured[hidden], mean[hidden], predictive

    def _noise_std_at(self, signal: NDArray[np.float32]) -> float | NDArray[np.float32]:
        """σ of the noise where the clean image is `signal`, in the image's units."""
        law = self.settings.get("noise", {})
        if law.get("name") == "PoissonGaussian":
            photons = PoissonGaussian(law["gain"], law["read_noise"], law["offset"])
            return np.asarray(photons.std_at(jnp.asarray(signal)))
        return self.noise_std[0]

    def _pixels(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The pixels (n, C) of an image in the input's axes."""
        axis = self.settings["channel_axis"]
        return (
            image.reshape(-1, 1)
            if axis is None
            else np.moveaxis(image, axis, -1).reshape(-1, image.shape[axis])
        )

    def summary(self) -> str:
        """The run in a few lines of text.

        >>> print(posterior.summary().splitlines()[1])
        image     16 × 16, range 0 to 255, 100.0 % of pixels observed
        """
        settings, found = self.settings, self.diagnostics
        chains, steps = self.trace["chi2"].shape
        low, high = settings["data_range"]
        lines = [
            f"bdip {settings['versions']['bdip']}: {settings['sampler']['name']} on "
            f"{settings['generator']['name']}, {chains} chain{'s' * (chains > 1)} × {steps} steps, "
            f"{settings['warmup']} of them warm-up, seed {settings['seed']}",
            f"image     {' × '.join(str(n) for n in self.mean.shape)}, range {low:g} to {high:g}, "
            f"{100 * settings['observed']:.1f} % of pixels observed",
            self._noise_line(),
        ]
        if np.isfinite(found["chi2"]):
            lines.append(
                f"χ²        {found['chi2']:.3f} of the kept draws ({self._right_chi2}); "
                f"{found['chi2_first']:.3f} then {found['chi2_second']:.3f} in their two halves"
            )
        else:
            lines.append("χ²        none: nothing was kept, and the image is of the last step done")
        if np.isfinite(self.std).any():
            lines.append(
                f"std       median {np.nanmedian(self.std):.4g}, "
                f"95th percentile {np.nanpercentile(self.std, 95):.4g}; "
                f"{self.draws.shape[0] * self.draws.shape[1]} draws stored"
            )
        else:
            lines.append("std       none: this run gives no uncertainty")
        if np.isfinite(found["ess_median"]):
            lines.append(
                f"mixing    R-hat {found['rhat_median']:.2f}, 95th percentile {found['rhat_95']:.2f}; "
                f"{found['ess_median']:.0f} effective draws; "
                f"Monte Carlo error {100 * found['mcse_ratio']:.0f} % of std"
            )
        if "holdout_pixels" in found:
            lines.append(
                f"held out  {found['holdout_pixels']} pixels: 90 % intervals cover "
                f"{100 * found['holdout_coverage_90']:.1f} ± {100 * found['holdout_coverage_90_error']:.1f} %; "
                f"z {found['holdout_z_mean']:.2f} ± {found['holdout_z_std']:.2f}; CRPS {found['holdout_crps']:.4g}"
            )
        lines += self._tiles_line()
        lines.append("verdict   " + "\n          ".join(self.verdict))
        lines += self._length_line()
        lines += [f"unstable  {event['told']}" for event in settings.get("went_back", ())]
        if not self.complete:
            why = f" ({settings['interrupted']})" if settings.get("interrupted") else ""
            lines.append(f"INCOMPLETE: stopped after {steps} of {settings['steps']} steps{why}")
        return "\n".join(lines)

    def _tiles_line(self) -> list[str]:
        """How the tiles fared that it was put together from."""
        tiles = self.settings.get("tiles")
        if tiles is None:
            return []
        height, width = tiles["shape"]
        chi2 = [each["chi2"] for each in tiles["each"]]
        there = f"{len(chi2)} of " if len(chi2) < math.prod(tiles["counts"]) else ""
        line = f"tiles     {there}{tiles['counts'][0]} × {tiles['counts'][1]} of {height} × {width} pixels"
        if np.isfinite(chi2).any():
            line += f", χ² from {np.nanmin(chi2):.3f} to {np.nanmax(chi2):.3f}"
        if tiles["chi2"] is not None:
            line += f"; of the blended draws {tiles['chi2']:.3f}"
        return [line]

    def _length_line(self) -> list[str]:
        """Why a chain that ends by itself did so."""
        settings = self.settings
        if not (settings.get("stopped") and self.complete):
            return []
        stopped, target = settings["stopped"], settings["target_mcse"]
        found = (
            f"Monte Carlo error {100 * stopped['mcse']:.1f} % of std, R-hat {stopped['rhat']:.2f}"
        )
        if stopped["reached"]:
            return [f"length    enough: {found}, as asked ({100 * target:.1f} %)"]
        budget = f"length    max_steps = {settings['max_steps']} came first: {found}; asked were"
        return [f"{budget} {100 * target:.1f} % and {settings['target_rhat']:.2f}"]

    @property
    def _right_chi2(self) -> str:
        if self._sampled:
            return "about 1 whatever they are, for σ goes with them"
        return (
            "less than 1 is right: most that was rounded was small"
            if self._rounded
            else "1 is right"
        )

    @property
    def _rounded(self) -> bool:
        """Whether the noise is what rounding took away; of files of bdip 0.1 it never is."""
        return bool(self.settings.get("rounded", False))

    @property
    def _sampled(self) -> bool:
        return "noise_std" in self.trace

    def _noise_line(self) -> str:
        """σ, and where it comes from."""
        law, sigma = self.settings.get("noise", {}), self.settings["noise_std"]
        if self._sampled:
            mean, spread = self.noise_std
            return f"noise std {mean:.4g} ± {spread:.2g}, sampled (estimated: {sigma:.4g})"
        ends = [f"{law[end]:.4g}" for end in ("low", "high")] if "median" in law else []
        varies = f" (median; {' to '.join(ends)})" if len(set(ends)) > 1 else ""
        varies += cut_off(law)
        if law.get("name") == "PoissonGaussian":
            photons = f"gain {law['gain']:.4g}, read noise {law['read_noise']:.4g}, "
            dark = f"no light at {law['offset']:.4g}; "
            return f"noise     Poisson–Gaussian: {photons}{dark}std {sigma:.4g}{varies}"
        if law.get("name") == "Rounding":
            return f"noise     rounding to steps of {law['step']:.4g}, std {sigma:.4g}{varies}"
        return f"noise std {sigma:.4g}{varies}" + self._source_of("noise std")

    def _source_of(self, name: str) -> str:
        return " (estimated)" if any(note.startswith(name) for note in self.reported) else ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file, which appears whole or not at all. No pickle.

        >>> import tempfile
        >>> posterior.save(f"{tempfile.mkdtemp()}/answer.npz")
        """
        header = {
            "format": FORMAT, "settings": self.settings, "complete": self.complete,
            "reported": list(self.reported),
        }  # fmt: skip
        arrays = {f"trace.{name}": values for name, values in self.trace.items()}
        arrays |= {"mean": self.mean, "std": self.std, "draws": self.draws}
        for name in OPTIONAL:
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        content = BytesIO()
        np.savez(content, header=text, **arrays)  # type: ignore[arg-type]
        write_whole(Path(path), content.getvalue())

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Posterior":
        """The posterior that `save` wrote to `path`.

        Raises FileNotFoundError, or PosteriorFileError where the file is something else or damaged.

        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/answer.npz"
        >>> posterior.save(path)
        >>> bool((Posterior.load(path).mean == posterior.mean).all())
        True
        """
        try:
            # Opened here, for NumPy leaves a damaged file open.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(arrays.pop("header").tobytes())
            if header["format"] != FORMAT:
                raise PosteriorFileError(
                    f"{path} has format {header['format']}, this bdip reads {FORMAT}: use the "
                    "version of bdip that wrote it."
                )
            optional = [arrays.pop(name, None) for name in OPTIONAL]
            mean, std, draws = (arrays.pop(name) for name in ("mean", "std", "draws"))
        except FileNotFoundError:
            raise
        except PosteriorFileError:
            raise
        except Exception as error:  # zip, header and array errors are of many kinds
            raise PosteriorFileError(
                f"{path} is not a whole file saved by bdip: {error}"
            ) from error
        trace = {name.removeprefix("trace."): values for name, values in arrays.items()}
        reported = tuple(header["reported"])
        settings, complete = header["settings"], header["complete"]
        return Posterior(mean, std, draws, trace, settings, complete, reported, *optional)


def cut_off(law: dict[str, Any]) -> str:
    """Where noise of this description (`settings["noise"]`) was clipped, in words after those for its σ.

    >>> cut_off({"clipped": [0.0, 255.0]}), cut_off({})
    (', clipped at 0 and 255', '')
    """
    return ", clipped at {:.6g} and {:.6g}".format(*law["clipped"]) if "clipped" in law else ""
