"""Build the package and try it as a user has it: `python -m tests.package`, or `make package`.

Wheel and source archive are built in a fresh copy, the wheel is installed into a new environment of each Python, and
run there in an empty folder. The interpreters are those named in BDIP_PYTHONS (separated as in PATH), or else
python3.11, python3.12 and python3.13 where PATH has them; which were not found is said.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
IN_THE_SOURCES = ("README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "mkdocs.yml", "tests/laws.py")  # fmt: skip

TRIAL = """
import numpy as np
import bdip

noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16))
tiny = bdip.Hourglass(scales=2, channels_down=8, channels_up=8)
posterior = bdip.sample(noisy, generator=tiny, noise_std=0.1, steps=20, progress=False)
assert posterior.complete and np.isfinite(posterior.mean).all(), posterior.summary()
assert "site-packages" in bdip.__file__, bdip.__file__
posterior.save("answer.npz")
print(bdip.__version__, "sampled", bdip.Posterior.load("answer.npz").mean.shape)
"""


def run(*command: object, folder: Path = ROOT) -> str:
    """What the command printed; its errors are shown where it fails."""
    environment = {**os.environ, "BDIP_CACHE": "off"}
    environment.pop("PYTHONPATH", None)
    words = [str(word) for word in command]
    process = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{process.stdout}{process.stderr}")
    return process.stdout.strip()


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel, made from the source archive, and that archive."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,), (sources,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sources


def check_content(wheel: Path, sources: Path) -> None:
    """Exit where the wheel is not the package, file by file, or the archive lacks what it should have."""
    ours = {path for path in (ROOT / "bdip").rglob("*") if path.is_file()}
    expected = {p.relative_to(ROOT).as_posix() for p in ours if "__pycache__" not in p.parts}
    found = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("bdip/")}
    if found != expected or "bdip/py.typed" not in found:
        sys.exit(f"{wheel.name} differs from bdip/ in {sorted(found ^ expected)}.")
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if lacking := {*expected, *IN_THE_SOURCES} - names:
        sys.exit(f"{sources.name} lacks {sorted(lacking)}.")
    print(f"{wheel.name}: {len(found)} files of the package, py.typed among them; {sources.name}: {len(names)} files.")  # fmt: skip


def interpreters() -> list[str]:
    """Paths of the Pythons to try; one line for each that is absent."""
    if given := os.environ.get("BDIP_PYTHONS"):
        return given.split(os.pathsep)
    found = {version: shutil.which(f"python{version}") for version in VERSIONS}
    for version in (version for version, path in found.items() if path is None):
        print(f"Python {version}: skipped, for PATH has no python{version} (BDIP_PYTHONS names others).")  # fmt: skip
    return [path for path in found.values() if path]


def try_out(python: str, wheel: Path, folder: Path) -> None:
    """Install the wheel into a new environment of this Python, and run what a user would first."""
    run(python, "-m", "venv", folder / "venv")
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    own = binaries / "python"
    run(own, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", wheel)
    empty = folder / "empty"
    empty.mkdir()
    said = run(binaries / "bdip", "--version", folder=empty)
    told = run(binaries / "bdip", "info", folder=empty).splitlines()[0]
    sampled = run(own, "-W", "error::DeprecationWarning:bdip", "-c", TRIAL, folder=empty)
    if said.split()[1] != sampled.split()[0]:
        sys.exit(f"bdip --version says {said!r}, the package {sampled!r}.")
    print(f"{told}: {sampled}")


def main() -> None:
    """Build, look inside, and try each Python in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, sources = build(folder / "dist")
        check_content(wheel, sources)
        for number, python in enumerate(interpreters()):
            place = folder / str(number)
            place.mkdir()
            try_out(python, wheel, place)
            shutil.rmtree(place)  # an environment takes hundreds of megabytes


if __name__ == "__main__":
    main()
