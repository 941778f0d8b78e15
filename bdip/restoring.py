"""One image file restored to files: what `bdip restore` and `bdip batch` have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdip import api, io
from bdip.errors import ProblemError
from bdip.io import ImageError, Loaded, check_output, load_mask, save_image, stem_of
from bdip.jpeg import load_jpeg
from bdip.operators import Operator
from bdip.posterior import Posterior
from bdip.tiling import sample_tiled

# Options that need data of which each is a pixel.
OF_PIXELS = ("noise_std", "noise", "holdout", "tile")
GREY_LEVELS = (0.0, 255.0)  # the range of a picture in a JPEG file
Written = dict[str, Path]  # the files written, by what they are


@dataclass(frozen=True)
class Outputs:
    """The files that are to be written; those that were not asked for are None.

    `keep_known`: what `Posterior.filled` gives is written, known pixels just as they were loaded.
    """

    image: Path
    std: Path
    posterior: Path | None = None
    report: Path | None = None
    keep_known: bool = False

    @staticmethod
    def of(
        image: Path,
        posterior: Path | None = None,
        report: Path | None = None,
        keep_known: bool = False,
    ) -> "Outputs":
        """With the standard deviation beside the image, as `IMAGE-std.tif`."""
        std = image.with_name(f"{stem_of(image)}-std.tif")
        return Outputs(image, std, posterior, report, keep_known)

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        asked = (self.image, self.std, self.posterior, self.report)
        return [path for path in asked if path is not None]

    def fills(self, operator: Operator | None) -> bool:
        """Whether what `Posterior.filled` gives is written: where it is asked for, and always of JPEG files."""
        return self.keep_known or (operator is not None and operator.rounded)

    def check(
        self, loaded: Loaded, mask: NDArray[np.bool_] | None, operator: Operator | None = None
    ) -> None:
        """Raise ImageError where what is made of the image could not be written, or would be the image itself."""
        if operator is not None and self.fills(operator) and not operator.linear:
            raise ImageError(f"{type(operator).__name__} is not linear: leave out keep_known.")
        whole = operator is None and (mask is None or bool(mask.all()))
        if self.keep_known and whole and not np.isnan(loaded.pixels).any():
            raise ImageError(
                "all pixels are known, and would be kept: give a mask, or leave out --keep-known."
            )
        check_output(self.image, loaded.pixels.shape, like=loaded)
        check_output(self.std, loaded.pixels.shape, np.float32)


def load(
    image: str | Path,
    known: str | Path | None = None,
    missing: str | Path | None = None,
    page: int | None = None,
) -> tuple[Loaded, NDArray[np.bool_] | None]:
    """Image and mask (True where observed) of files: white is known in one, missing in the other."""
    loaded = io.load(image, page)
    if known:
        return loaded, load_mask(known, like=loaded)
    return loaded, ~load_mask(missing, like=loaded) if missing else None


def of_jpeg(
    path: Path,
    mask: NDArray[np.bool_] | None,
    *,
    operator: Operator | None = None,
    data_range: tuple[float, float] | None = None,
    **options: Any,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """What a JPEG file holds, and the arguments of `solve` with which it is data of its picture.

    Raises ProblemError where there is what goes with pixels alone: a mask, a noise, pixels held out, or tiles.
    """
    if mask is not None or any(options.get(name) is not None for name in OF_PIXELS):
        raise ProblemError(
            "the numbers in a JPEG file are no pixels, all are known, and their noise is that of rounding: leave masks, noise, "
            "holdout and tiles out, or restore the picture's pixels, without --jpeg (jpeg)."
        )
    data, coded = load_jpeg(path)
    seen = coded if operator is None else coded @ operator
    return data, {**options, "data_range": data_range or GREY_LEVELS, "operator": seen}


def solve(
    image: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    tile: int | None = None,
    overlap: int | None = None,
    **options: Any,
) -> Posterior:
    """The posterior by `bdip.sample`, or with a `tile` by `bdip.sample_tiled`, and its arguments."""
    if tile is None:
        return api.sample(image, mask, **options)
    return sample_tiled(image, mask, tile=tile, overlap=overlap, **options)


def write(
    posterior: Posterior,
    outputs: Outputs,
    loaded: Loaded,
    title: str,
    operator: Operator | None = None,
) -> Written:
    """Write the files, the restored one in the numbers of the one loaded, and say which; `operator` is what the data were seen through.

    Where a tiled run was interrupted before a tile was begun, there is only the input to write.
    """
    filled = posterior.filled(operator) if outputs.fills(operator) else None
    mean, std = filled or (posterior.mean, posterior.std)
    as_loaded = ~np.isfinite(posterior.mean)
    if outputs.keep_known and operator is None:  # `filled` has float32 numbers
        as_loaded |= np.isfinite(np.asarray(posterior.input))
    mean = np.where(as_loaded, loaded.pixels, mean) if as_loaded.any() else mean
    save_image(outputs.image, mean, like=loaded)
    written = {"image": outputs.image}
    if np.isfinite(posterior.std).any():
        save_image(outputs.std, std, np.float32)
        written["std"] = outputs.std
    if outputs.posterior is not None:
        posterior.save(outputs.posterior)
        written["posterior"] = outputs.posterior
    if outputs.report is not None:
        decoded = loaded.pixels if posterior.settings.get("coded") else None
        posterior.report(outputs.report, input=decoded, title=title, filled=filled)
        written["report"] = outputs.report
    return written
