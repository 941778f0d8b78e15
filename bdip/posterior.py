"""The answer: mean, uncertainty, draws, and the record of how they were made."""

import json
import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip.diagnostics import chi2_drift
from bdip.files import write_whole

FORMAT = 1  # of saved files


class PosteriorFileError(ValueError):
    """A file is not a saved posterior, or is damaged."""


@dataclass(frozen=True)
class Posterior:
    """What `bdip.sample` returns. All images are float32 in the input's axes and units.

    mean: posterior mean, the restored image (H, W) or with channels.
    std: posterior standard deviation, same shape; NaN where the method gives none (plain descent)
        or where nothing was kept.
    draws: thinned draws (chains, draws, H, W[, C]).
    trace: "energy", "chi2", "step_size" and, of `mclmc` alone, "energy_error", each
        (chains, steps) float32, over *all* steps.
    settings: everything that defines the run, in JSON types: sampler, generator, steps, warm-up,
        σ, λ, seed, versions, device.
    complete: False where the run was interrupted, and the answer is what there was.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    draws: NDArray[np.float32]
    trace: dict[str, NDArray[np.float32]]
    settings: dict[str, Any]
    complete: bool = True
    reported: tuple[str, ...] = field(default=())

    @property
    def warmup(self) -> int:
        """Steps before the first kept one."""
        return int(self.settings["warmup"])

    @property
    def diagnostics(self) -> dict[str, float]:
        """χ² of the kept draws, over all and in the two halves of the kept steps.

        `chi2` should be 1: lower is fitting noise, higher is too hot, too large a step, or not yet
        converged. `chi2_first` and `chi2_second` should agree. NaN where nothing was kept.
        """
        kept = self.trace["chi2"][:, self.warmup :]
        if kept.shape[1] < 2:
            return {"chi2": np.nan, "chi2_first": np.nan, "chi2_second": np.nan}
        # A chain that was stopped early ends in NaN.
        first, second = chi2_drift(np.nanmean(kept, axis=0))
        return {"chi2": float(np.nanmean(kept)), "chi2_first": first, "chi2_second": second}

    def summary(self) -> str:
        """The run in a few lines of text."""
        settings, chi2 = self.settings, self.diagnostics
        chains, steps = self.trace["chi2"].shape
        low, high = settings["data_range"]
        lines = [
            f"bdip {settings['versions']['bdip']}: {settings['sampler']['name']} on "
            f"{settings['generator']['name']}, {chains} chain{'s' * (chains > 1)} × {steps} steps, "
            f"{settings['warmup']} of them warm-up, seed {settings['seed']}",
            f"image     {' × '.join(str(n) for n in self.mean.shape)}, range {low:g} to {high:g}, "
            f"{100 * settings['observed']:.1f} % of pixels observed",
            f"noise std {settings['noise_std']:.4g}" + self._source_of("noise std"),
        ]
        if np.isfinite(chi2["chi2"]):
            lines.append(
                f"χ²        {chi2['chi2']:.3f} of the kept draws (1 is right); "
                f"{chi2['chi2_first']:.3f} then {chi2['chi2_second']:.3f} in their two halves"
            )
        else:
            lines.append(
                "χ²        none: nothing was kept, and the image is the last of the warm-up"
            )
        if np.isfinite(self.std).any():
            lines.append(
                f"std       median {np.nanmedian(self.std):.4g}, "
                f"95th percentile {np.nanpercentile(self.std, 95):.4g}; "
                f"{self.draws.shape[0] * self.draws.shape[1]} draws stored"
            )
        else:
            lines.append("std       none: this run gives no uncertainty")
        if not self.complete:
            lines.append(f"INCOMPLETE: stopped after {steps} of {settings['steps']} steps")
        return "\n".join(lines)

    def _source_of(self, name: str) -> str:
        return " (estimated)" if any(note.startswith(name) for note in self.reported) else ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file, which appears whole or not at all. No pickle."""
        header = {
            "format": FORMAT, "settings": self.settings, "complete": self.complete,
            "reported": list(self.reported),
        }  # fmt: skip
        arrays = {f"trace.{name}": values for name, values in self.trace.items()}
        arrays |= {"mean": self.mean, "std": self.std, "draws": self.draws}
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        content = BytesIO()
        np.savez(content, header=text, **arrays)  # type: ignore[arg-type]
        write_whole(Path(path), content.getvalue())

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Posterior":
        """The posterior that `save` wrote to `path`.

        Raises FileNotFoundError, or PosteriorFileError where the file is something else or damaged.
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
        return Posterior(mean, std, draws, trace, header["settings"], header["complete"], reported)
