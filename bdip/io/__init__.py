"""Images and masks from and to files: the only package that knows of file formats.

A file is read in its own numbers or not at all: whatever would be changed without a word (16-bit
colour cut to 8 bits, a page dropped, transparency ignored) is refused, and the message says what
to do instead. No header is believed before it is checked: see `limits`. The table of what is read,
written, kept and refused is docs/files.md.
"""

from bdip.io.jpeg import load_planes as load_planes
from bdip.io.pictures import encode_png as encode_png
from bdip.io.read import READABLE, load, load_image, load_mask
from bdip.io.record import ImageError, Loaded
from bdip.io.write import WRITABLE, check_output, save_image
from bdip.io.write import stem_of as stem_of
from bdip.io.write import suffix_of as suffix_of

__all__ = [
    "READABLE", "WRITABLE", "ImageError", "Loaded", "check_output", "load", "load_image", "load_mask",
    "save_image",
]  # fmt: skip
