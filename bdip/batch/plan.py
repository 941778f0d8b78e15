"""Which files a batch restores, and what their outputs are called: always plain names in one folder."""

import glob
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bdip.batch.jobs import Job
from bdip.io import WRITABLE, ImageError, stem_of, suffix_of
from bdip.restoring import Outputs

# Written as PNG: their own kind would lose what was won.
LOSSY = (".jpg", ".jpeg", ".gif")
# What a name may be everywhere; others are spelt with "_", and told apart by a hash.
PLAIN = re.compile(r"\w[\w .,()+@=~-]*(?<![ .])")
HASH_DIGITS = 8
# Names that are not files on some systems.
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")

Images = Iterable[str | Path] | Mapping[str, str | Path]


def plan(
    images: Images,
    folder: str | Path,
    known: str | None = None,
    missing: str | None = None,
    **common: Any,
) -> list[Job]:
    """A job for each image: of a folder, of a pattern such as "photos/*.png", or of that name.

    `known` and `missing` are patterns of masks, of which {stem} and {name} stand for the image's name without
    and with its suffix; relative ones are looked for beside the image. What is such a mask of another
    image is none itself, nor is what lies in `folder`, the outputs'.

    Outputs are called as the image is; where two would be called the same, or a name has characters
    that not all systems allow, a hash of the image's path is added. A mapping gives names of one's own.

    Raises ImageError where there is nothing to do, or an output would be outside of `folder`.
    """
    folder = Path(folder).absolute()
    if known and missing:
        raise ImageError("known and missing are both given: pass the one that the masks are.")
    if folder.exists() and not folder.is_dir():
        raise ImageError(f"{folder} is a file: give the name of a folder.")
    if isinstance(images, Mapping):
        sources = {Path(path).absolute(): require_plain(name) for name, path in images.items()}
        if len(sources) < len(images):
            raise ImageError("the same image has two names: give it one.")
    else:
        sources = dict.fromkeys(find(images, folder), "")
    masks = {path: _mask(known or missing, path) for path in sources}
    if known or missing:
        used = {mask.resolve() for mask in masks.values() if mask}
        sources = {path: name for path, name in sources.items() if path.resolve() not in used}
    if not sources:
        raise ImageError("there is no image to restore: name a folder, files, or a pattern.")
    return [
        Job(
            name, path, folder, suffix_for(path),
            known=masks[path] if known else None, missing=masks[path] if missing else None,
            **common,
        )
        for path, name in _named(sources).items()
    ]  # fmt: skip


def find(images: Iterable[str | Path], folder: Path) -> list[Path]:
    """Absolute paths of the images, each once; those of a folder or a pattern sorted.

    What a pattern finds among the outputs, in `folder`, is left out; what is named there is refused.
    """
    found: dict[Path, Path] = {}
    for each in images:
        for path in _matching(each):
            if not path.resolve().is_relative_to(folder.resolve()):
                found.setdefault(path.resolve(), path.absolute())
            elif Path(each).exists():
                raise ImageError(f"{path} is in the outputs' own folder: choose another --output.")
    return list(found.values())


def suffix_for(image: Path) -> str:
    """The kind of file that a restored image is: the same if it can be, and is exact.

    >>> [suffix_for(Path(name)) for name in ("a.PNG", "a.jpg", "a.npz", "a.dcm")]
    ['.png', '.png', '.npz', '.dcm']
    """
    kind = suffix_of(image)
    if kind in LOSSY:
        return ".png"
    return kind if kind in WRITABLE else ".tif"


def require_plain(name: str) -> str:
    """The name, if it is that of a file in any folder. Raises ImageError for paths and oddities."""
    if not PLAIN.fullmatch(name) or RESERVED.fullmatch(name):
        raise ImageError(
            f"the name {name!r} cannot be that of an output: use letters, digits, '-' and '_'."
        )
    return name


def _matching(pattern: str | Path) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        inside = sorted(path.iterdir())
        return [p for p in inside if suffix_of(p) in WRITABLE and p.name[0] != "."]
    if path.exists():
        return [path]
    matches = sorted(glob.glob(str(pattern), recursive=True))
    if not matches:
        raise ImageError(f"{pattern} does not exist: check the name and the folder you are in.")
    return [Path(match) for match in matches if Path(match).is_file()]


def _mask(pattern: str | None, image: Path) -> Path | None:
    """The mask of an image; replaced word by word, for a file's name is no format."""
    if pattern is None:
        return None
    return image.parent / pattern.replace("{stem}", stem_of(image)).replace("{name}", image.name)


def _named(sources: dict[Path, str]) -> dict[Path, str]:
    """A name for each image that has none, so that no two write the same file, upper case or lower."""
    names = {path: given or stem_of(path) for path, given in sources.items()}
    taken = Counter(file for path, name in names.items() for file in _files(path, name))
    for path, name in names.items():
        plain = PLAIN.fullmatch(name) and not RESERVED.fullmatch(name)
        if plain and all(taken[file] == 1 for file in _files(path, name)):
            continue
        if sources[path]:
            raise ImageError(f"the name {name!r} is given twice: give each image one of its own.")
        letters = re.sub(r"[^\w-]", "_", name).strip("_-") or "image"
        mark = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
        names[path] = f"{letters}-{mark[:HASH_DIGITS]}"
    return names


def _files(path: Path, name: str) -> set[str]:
    """What an image of this name would write, all in lower case."""
    stem = name.casefold()
    made = Outputs.of(Path(f"{stem}{suffix_for(path)}"), Path(f"{stem}.npz"))
    return {made.image.name, f"{stem}-std.tif", f"{stem}.npz", f"{stem}.json"}
