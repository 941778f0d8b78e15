"""What a public name's docstring must have: an example that runs, errors, shapes, and its source.

That the examples run is pytest's own affair (--doctest-modules). Which part a name may do without, and why, is
said in the tables; a line there that is no longer needed fails, too.
"""

import importlib
import inspect
import re

import pytest

import bdip

MODULES = ("bdip", "bdip.diagnostics", "bdip.samplers", "bdip.networks", "bdip.operators", "bdip.io")  # fmt: skip
# Whose names stand for something published, or say that they do not.
PUBLISHED = ("bdip.diagnostics", "bdip.samplers", "bdip.networks")

EXAMPLE = re.compile(r"^\s*>>> ", re.MULTILINE)
RAISES = re.compile(r"\braises?\b|Error", re.IGNORECASE)
RAISING = re.compile(r"\braise \w|\brequire\w*\(|\b_?check_\w+\(")
# "(H, W[, C])", "(n,)", "of shape …", "any shape", or that it has the shape of something else.
SHAPE = re.compile(r"\([A-Za-z.]\w*, ?[^()]*\)|shapes?\b|\bmaps?\b|pixel by pixel|H W")
ARRAYS = re.compile(r"ArrayLike|NDArray|Float\[|Values|Map\b")
YEAR = re.compile(r"\b(19|20)\d\d\b")

PROTOCOL = "a protocol: those that follow it have examples"
NO_EXAMPLE = {
    "bdip.networks.Generator": PROTOCOL,
    "bdip.samplers.Sampler": PROTOCOL,
    "bdip.samplers.Schedule": PROTOCOL,
    "bdip.operators.Operator": "a base class: its operators have examples",
    "bdip.Progress": "made by bdip alone, for callbacks",
}
OWN = "bdip's own"
NO_SOURCE = {
    "bdip.diagnostics.Blocks": "a record of chi2_blocks",
    "bdip.diagnostics.chi2_drift": "two means",
    "bdip.diagnostics.coverage": "the definition of an interval",
    "bdip.diagnostics.mixing_numbers": "those of Mixing",
    "bdip.diagnostics.negative_log_likelihood": "the logarithm of the normal density",
    "bdip.diagnostics.psnr": "a definition",
    "bdip.diagnostics.relative_chi2": OWN,
    "bdip.diagnostics.scores": "those of its parts",
    "bdip.diagnostics.verdict": "its limits have theirs, in the module",
    "bdip.diagnostics.z_scores": "a definition",
    "bdip.networks.Generator": PROTOCOL,
    "bdip.networks.generate": OWN,
    "bdip.samplers.Constant": "a number",
    "bdip.samplers.Cooling": OWN,
    "bdip.samplers.Sampler": PROTOCOL,
    "bdip.samplers.Schedule": PROTOCOL,
    "bdip.samplers.is_exact": OWN,
    "bdip.samplers.schedule": OWN,
}


def public_names():
    """Every public class and function once, under its last name, and every part of `Posterior`."""
    found = {}
    for module in MODULES:
        loaded = importlib.import_module(module)
        names = getattr(loaded, "__all__", None) or [n for n in vars(loaded) if n[0] != "_"]
        for name in names:
            thing = getattr(loaded, name)
            if callable(thing) and getattr(thing, "__module__", "").startswith(module):
                found[id(thing)] = (f"{module}.{name}", thing)
    ours = [kind for kind in bdip.Posterior.__mro__ if kind.__module__.startswith("bdip")]
    parts = {n: part for kind in ours for n, part in vars(kind).items() if n[0] != "_"}
    fields = bdip.Posterior.__dataclass_fields__
    found |= {id(p): (f"Posterior.{n}", p) for n, p in parts.items() if n not in fields}
    return dict(found.values())


def text_of(thing):
    """Its own docstring, not one inherited."""
    return inspect.cleandoc(vars(thing).get("__doc__") or "" if inspect.isclass(thing) else thing.__doc__ or "")  # fmt: skip


def functions_of(thing):
    """What runs when it is called or read: the function itself, or of a class what makes one."""
    if inspect.isclass(thing):
        makers = ("__init__", "__post_init__")
        return [f for n, f in vars(thing).items() if n in makers and f.__module__[:4] == "bdip"]
    inner = getattr(thing, "fget", None) or getattr(thing, "func", None)
    return [inner or getattr(thing, "__func__", None) or thing]


def source_of(thing):
    """Source of the functions that a dataclass has not made itself."""
    found = []
    for function in functions_of(thing):
        try:
            found.append(inspect.getsource(function))
        except OSError:  # made by the dataclass
            continue
    return "\n".join(found)


def is_error(thing):
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def lacks(name, thing):
    """The parts that the docstring lacks of those that it should have."""
    text, source = text_of(thing), source_of(thing)
    signature = "" if inspect.isclass(thing) else source.partition('"""')[0]
    missing = set()
    if not text.partition("\n")[0]:
        missing.add("first line")
    if not is_error(thing) and not EXAMPLE.search(text):
        missing.add("example")
    if RAISING.search(source) and not RAISES.search(text):
        missing.add("errors")
    if ARRAYS.search(signature) and not SHAPE.search(text + signature):
        missing.add("shapes")
    if name.rpartition(".")[0] in PUBLISHED and not YEAR.search(text):
        missing.add("source")
    return missing


def excused(name):
    return {part for part, table in (("example", NO_EXAMPLE), ("source", NO_SOURCE)) if name in table}  # fmt: skip


NAMES = public_names()


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_says_what_it_should(name):
    found = lacks(name, NAMES[name])
    assert found - excused(name) == set(), f"{name} lacks: {', '.join(sorted(found))}"
    assert excused(name) <= found, f"{name} has what it is excused of: take it out of the table"


def test_every_name_excused_is_a_public_one():
    assert {*NO_EXAMPLE, *NO_SOURCE} <= NAMES.keys()


def test_every_field_of_the_answer_is_described():
    text = text_of(bdip.Posterior)
    for field in bdip.Posterior.__dataclass_fields__:
        assert re.search(rf"^{field}: ", text, re.MULTILINE), f"Posterior.{field} is not described"


def bare(image: "NDArray[np.float32]") -> float:
    """A number."""
    raise ValueError(image)


def whole(image: "NDArray[np.float32]") -> float:
    """A number of an image (H, W). Raises ValueError (Author 1999).

    >>> 1
    1
    """
    raise ValueError(image)


def test_the_check_finds_what_is_missing():
    assert lacks("bdip.samplers.bare", bare) == {"example", "errors", "shapes", "source"}
    assert lacks("bdip.samplers.whole", whole) == set()
