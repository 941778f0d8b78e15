"""One image file restored to files: what `bdip restore` and `bdip batch` have in common."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdip import api
from bdip.io import check_output, load_image, load_mask, save_image
from bdip.posterior import Posterior
from bdip.tiling import sample_tiled


class Outputs(NamedTuple):
    """The files that are written: restored image, standard deviation, and where asked for all of it."""

    image: Path
    std: Path
    posterior: Path | None = None

    @staticmethod
    def of(image: Path, posterior: Path | None = None) -> "Outputs":
        """With the standard deviation beside the image, as `IMAGE-std.tif`."""
        return Outputs(image, image.with_name(f"{image.stem}-std.tif"), posterior)

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        return [path for path in self if path is not None]

    def check(self, image: NDArray[Any]) -> None:
        """Raise ImageError where what is made of `image` could not be written."""
        check_output(self.image, image.shape, image.dtype)
        check_output(self.std, image.shape, np.float32)


def load(
    image: str | Path, known: str | Path | None = None, missing: str | Path | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Image and mask (True where observed) of files: white is known in one, missing in the other."""
    pixels = load_image(image)
    if known:
        return pixels, load_mask(known)
    return pixels, ~load_mask(missing) if missing else None


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


def write(posterior: Posterior, outputs: Outputs, image: NDArray[Any]) -> list[str]:
    """Write the files, the restored one in the numbers of `image`, and say in words which.

    Where a tiled run was interrupted before a tile was begun, there is only the input to write.
    """
    begun = np.isfinite(posterior.mean)
    save_image(outputs.image, np.where(begun, posterior.mean, image), image.dtype)
    written = [f"{outputs.image}{'' if begun.all() else ' (the input where no tile was begun)'}"]
    if np.isfinite(posterior.std).any():
        save_image(outputs.std, posterior.std, np.float32)
        written.append(f"{outputs.std} (standard deviation, in the image's units)")
    if outputs.posterior is not None:
        posterior.save(outputs.posterior)
        written.append(str(outputs.posterior))
    return written
