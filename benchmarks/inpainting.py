"""Half the pixels of a photograph missing: the command line against biharmonic inpainting.

    python -m benchmarks.inpainting                      # skimage/camera, halved to 256 × 256
    python -m benchmarks.inpainting --image set11/peppers256 -- --steps 2000

What follows `--` goes to `bdip restore`. The comparison is scikit-image's `inpaint_biharmonic`.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from skimage.restoration import inpaint_biharmonic

from bdip.diagnostics import psnr
from bdip.io import load_image, save_image
from benchmarks import images, record


def main() -> None:
    """Write the files, run the command, print both PSNRs, write results/inpainting.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="skimage/camera")
    parser.add_argument("--keep", metavar="DIR", help="keep the files there")
    parser.add_argument("--seed", type=int, default=0, help="of the mask")
    parser.add_argument("restore", nargs="*", help="options of `bdip restore`, after --")
    options = parser.parse_args()

    picture = images.load(options.image)
    if picture.shape[0] > 256:
        picture = images.average(picture, picture.shape[0] // 256)
    clean = np.rint(255 * picture)
    known = images.random_mask(clean.shape, keep=0.5, seed=options.seed)
    masked = np.where(known, clean, 0)
    smooth = 255 * inpaint_biharmonic(masked / 255, ~known)
    with TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        save_image(folder / "masked.png", masked, np.uint8)
        save_image(folder / "known.png", 255.0 * known, np.uint8)
        save_image(folder / "clean.png", clean, np.uint8)
        save_image(folder / "biharmonic.png", smooth, np.uint8)
        command = [
            sys.executable, "-m", "bdip", "restore", str(folder / "masked.png"), "--overwrite",
            "-o", str(folder / "restored.png"), "--known", str(folder / "known.png"),
            *options.restore,
        ]  # fmt: skip
        started = perf_counter()
        subprocess.run(command, check=True)
        seconds = perf_counter() - started
        restored = load_image(folder / "restored.png")
    row = {
        "image": options.image, "seed": options.seed, "options": options.restore,
        "size": list(clean.shape), "restored": psnr(clean, restored, 255),
        "biharmonic": psnr(clean, smooth, 255), "seconds": seconds,
    }  # fmt: skip
    gain = row["restored"] - row["biharmonic"]
    print(
        f"{options.image}: restored {row['restored']:.2f} dB, biharmonic {row['biharmonic']:.2f} dB "
        f"({gain:+.2f}), {seconds:.0f} s"
    )
    print(f"written to {record.save('inpainting', [row])}")


if __name__ == "__main__":
    main()
