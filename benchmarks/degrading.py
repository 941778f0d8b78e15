"""What is done to a picture before it is restored: noise, few grey levels, missing pixels, text, fewer pixels, JPEG."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

import bdip
from bdip.filling import Answer, through
from benchmarks import images, peers

Image = NDArray[Any]

NOISELESS_STD = 5 / 255  # of pixels that nobody made noisy: where chains mix (docs/decisions/0005)
TEXT = "All pictures are of something else. "


class Degraded(NamedTuple):
    """The data, which pixels are observed, what made the data of the picture, σ (unit range), and the peers' answers.

    `coded` is what `bdip` takes instead of the data: the numbers of a file, and what makes them of a picture.
    `law` is what `bdip` is told of the noise where it is not white and normal.
    """

    data: Image
    noise_std: float
    peers: dict[str, Image]
    mask: NDArray[np.bool_] | None = None
    operator: Any = None
    coded: tuple[Image, Any] | None = None
    law: bdip.Clipped | bdip.Rounding | None = None

    @property
    def noiseless(self) -> bool:
        """Whether the data are just those of the picture: pixels of it, what an operator makes of it, or a file's numbers."""
        return any(each is not None for each in (self.mask, self.operator, self.coded))

    def put_back(self, image: Image) -> Image:
        """The image (H, W[, C]) with the data put into it, as `Posterior.filled` does it with the mean."""
        if self.mask is not None:
            return put_back(self.mask, self.data, image)
        axis = 2 if image.ndim == 3 else None
        data, operator = self.coded or (self.data, self.operator)
        data_axis = axis if data.ndim == 3 else None
        image, no_draws = image.astype(np.float32), np.empty((1, 0, *image.shape), np.float32)
        answer = Answer(data, image, image, no_draws, data_axis, axis, (0.0, 1.0))
        return through(operator, answer).image


class Task(NamedTuple):
    """Which pictures, and what is done to one of them with a seed; `luminance`: judged by that alone, as published."""

    groups: tuple[str, ...]
    degrade: Callable[[Image, int], Degraded]
    luminance: bool = False


def noisy(levels: float, clipped: bool, clean: Image, seed: int) -> Degraded:
    """White noise of so many grey levels of 255."""
    std = levels / 255
    data = images.add_noise(clean, std, seed)
    data = np.clip(data, 0, 1) if clipped else data
    law = bdip.Clipped(std) if clipped else None
    return Degraded(data, std, peers.denoised(data, std), law=law)


def banded(levels: int, clean: Image, seed: int) -> Degraded:
    """Rounded to so many grey levels; σ is that of rounding."""
    step = 1 / (levels - 1)
    data, std = (np.rint(clean / step) * step).astype(np.float32), step / 12**0.5
    return Degraded(data, std, peers.denoised(data, std), law=bdip.Rounding(step))


def missing(share: float, clean: Image, seed: int) -> Degraded:
    """So many of the pixels missing, at random."""
    return masked(clean, images.random_mask(clean.shape, 1 - share, seed))


def written_on(clean: Image, seed: int) -> Degraded:
    """Lines of text over the picture."""
    return masked(clean, ~text(*clean.shape[:2]))


def masked(clean: Image, mask: NDArray[np.bool_]) -> Degraded:
    """The picture where the mask is True."""
    data = put_back(mask, clean, np.zeros_like(clean)).astype(np.float32)
    return Degraded(data, NOISELESS_STD, peers.inpainted(data, mask), mask)


def put_back(mask: NDArray[np.bool_], observed: Image, image: Image) -> Image:
    """The image (H, W) or (H, W, C), but where the mask (H, W) is True the pixels that were observed."""
    return np.where(mask if image.ndim == 2 else mask[..., None], observed, image)


def text(height: int, width: int) -> NDArray[np.bool_]:
    """Where letters (H, W) stand, line under line, in Pillow's own font."""
    canvas = PillowImage.new("1", (width, height))
    draw, size = ImageDraw.Draw(canvas), max(8, height // 16)
    for number, top in enumerate(range(2, height, 2 * size)):
        line = (TEXT * 9)[5 * number :]
        draw.text((2, top), line, fill=1, font_size=size)
    return np.asarray(canvas, bool)


def fewer(factor: int, clean: Image, seed: int) -> Degraded:
    """Cubic down-sampling with the kernel stretched, as papers on super-resolution do it."""
    operator = bdip.Downsample(factor, "lanczos2")
    image = clean if clean.ndim == 3 else clean[..., None]
    data = np.asarray(operator(jnp.asarray(image, jnp.float32)))
    data = data if clean.ndim == 3 else data[..., 0]
    return Degraded(data, NOISELESS_STD, peers.enlarged(data, clean.shape), operator=operator)


def compressed(quality: int, clean: Image, seed: int) -> Degraded:
    """A JPEG of so much quality, decoded again; σ is that of its rounding. `bdip` takes what is in the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compressed.jpg"
        PillowImage.fromarray(np.rint(255 * clean).astype(np.uint8)).save(path, quality=quality)
        coefficients, operator = bdip.load_jpeg(path)
        with PillowImage.open(path) as picture:
            data = (np.asarray(picture) / 255).astype(np.float32)
    std = rounding_std(np.asarray(operator.tables)[0])
    levels = bdip.FromFunction(lambda image: 255 * image, lambda shape: shape)
    coded = coefficients, operator @ levels
    return Degraded(data, std, peers.deblocked(data, std), coded=coded)


def rounding_std(steps: Any) -> float:
    """σ (unit range) of a pixel from the steps q of a JPEG's luminance, √(Σ q²/12 /64)/255: at most, for what is
    rounded to zero may have been smaller than half a step.
    """
    return float(np.sqrt(np.mean(np.square(np.asarray(steps, np.float64)) / 12)) / 255)


TASKS: dict[str, Task] = {
    **{f"denoise-{n}": Task(("set9",), partial(noisy, n, False)) for n in (15, 25, 50)},
    **{f"denoise-{n}-clipped": Task(("set9",), partial(noisy, n, True)) for n in (15, 25, 50)},
    **{f"levels-{n}": Task(("set9",), partial(banded, n)) for n in (8, 16)},
    **{f"inpaint-{n}": Task(("set11",), partial(missing, n / 100)) for n in (50, 70, 90)},
    "text": Task(("set11",), written_on),
    **{
        f"superresolve-{n}": Task(("superresolution/set5", "superresolution/set14"), partial(fewer, n), True)
        for n in (2, 4, 8)
    },
    **{f"jpeg-{n}": Task(("set9",), partial(compressed, n)) for n in (10, 20)},
}  # fmt: skip
