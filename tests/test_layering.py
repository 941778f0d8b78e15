"""The order of the house: who may import whom, and the one home of each third-party package."""

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "bdip"

# Module or sub-package of bdip -> what it may import of bdip. An entry "networks" covers all that
# is in it; "networks.base" only that file. Within a sub-package imports are free.
HELPERS = "_version types trees files lock errors compiling cache"
ENGINE = "operators networks samplers moments diagnostics noise likelihood given_noise settings problem potential chain fleet abreast stopping checkpoint recovery keeping driving"
MAY_IMPORT = {
    # 0: small type and pytree helpers
    "_version": "",
    "words": "_version",
    "types": "",
    "files": "",
    "lock": "",
    "errors": "",
    "compiling": "",
    "cache": "",
    "trees": "types",
    # 1: knows of arrays only
    "operators": f"{HELPERS} likelihood",
    "networks": HELPERS,
    "samplers": HELPERS,
    "moments": HELPERS,
    "diagnostics": HELPERS,
    "noise": HELPERS,
    "likelihood": HELPERS,
    "progress": HELPERS,
    "settings": HELPERS,
    "citation": HELPERS,
    "views": HELPERS,
    # 2 to 6: the way from a problem to its answer
    "given_noise": f"{HELPERS} noise likelihood",
    "problem": f"{HELPERS} operators likelihood given_noise",
    "potential": f"{HELPERS} problem networks.base",
    "chain": f"{HELPERS} potential problem likelihood networks.base samplers.base moments",
    "memory": f"{HELPERS} networks.base",
    "fleet": f"{HELPERS} chain networks.base samplers.base problem settings",
    "abreast": f"{HELPERS} chain",
    "stopping": f"{HELPERS} chain abreast diagnostics",
    "checkpoint": HELPERS,
    "recovery": f"{HELPERS} chain stopping",
    "keeping": f"{HELPERS} chain stopping checkpoint recovery",
    "driving": f"{HELPERS} chain stopping keeping recovery progress settings",
    "holdout": f"{HELPERS} likelihood operators problem settings",
    "filling": f"{HELPERS} operators problem",
    "posterior": f"{HELPERS} operators chain moments diagnostics likelihood problem filling views",
    "answer": f"{HELPERS} chain moments posterior problem",
    "job": f"{HELPERS} {ENGINE} holdout answer memory",
    "api": f"{HELPERS} {ENGINE} holdout posterior answer progress memory job",
    "tiling": f"{HELPERS} {ENGINE} holdout memory posterior answer progress api",
    # 7: what surrounds the answer
    "io": HELPERS,
    "plot": f"{HELPERS} posterior api diagnostics",
    "report": f"{HELPERS} posterior api diagnostics io plot citation",
    "interchange": f"{HELPERS} posterior",
    "live": f"{HELPERS} chain io",
    "record": f"{HELPERS} posterior",
    "jpeg": f"{HELPERS} operators io",
    "restoring": f"{HELPERS} posterior api tiling io jpeg operators",
    "batch": f"{HELPERS} {ENGINE} answer api progress io plot restoring",
    "compare": f"{HELPERS} {ENGINE} posterior api progress io plot",
    "demo": f"{HELPERS} {ENGINE} posterior api progress io plot compare",
    # 8: may import everything
    "cli": "*",
    "__main__": "*",
    "__init__": "*",
}

# Upward imports that are allowed inside a function, and why.
DEFERRED = {
    ("views", "plot"): "posterior.plot() is a shorthand, and matplotlib is slow to import",
    ("views", "interchange"): "posterior.to_xarray() is a shorthand, and xarray is an extra",
    ("views", "report"): "posterior.report() is a shorthand for a page with pictures",
    ("live", "plot"): "bdip.Live is imported with bdip, and matplotlib is slow to import",
}

# Third-party package -> its homes. One that is not listed may not be imported at all.
ANYWHERE = {"jax", "numpy", "jaxtyping"}
HOMES = {
    "flax": "networks",
    "optax": "samplers",
    "imageio": "io",
    "PIL": "io",
    "tifffile": "io",
    "imagecodecs": "io",
    "astropy": "io",
    "pydicom": "io",
    "nibabel": "io",
    "matplotlib": "plot",
    "tqdm": "progress",
    "skimage": "demo",
    "pywt": "noise",
    "xarray": "interchange",
    "arviz_base": "interchange",
    "IPython": "live",
    "ray": "batch",
    "shtab": "cli",
}


class Import(NamedTuple):
    target: str  # dotted, "bdip." included
    deferred: bool  # inside a function


def modules(package):
    """Dotted name below the package -> path: "samplers.sgld"; "" is the package itself."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imports(source, module="module"):
    """Every import in a source text, those inside functions and type-checking blocks included."""

    def visit(node, deferred):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, deferred) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import: write bdip.name in full"
            # "from bdip import io" may name a module: resolved below, where the modules are known.
            yield from (Import(f"{node.module}.{alias.name}", deferred) for alias in node.names)
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return list(visit(ast.parse(source), False))


def covers(entry, target):
    return entry == "*" or target == entry or target.startswith(f"{entry}.")


def violations(module, source):
    """Sentences about what `module` imports and may not."""
    unit = module.split(".")[0]
    if unit not in MAY_IMPORT:
        return [f"bdip/{module} has no row in MAY_IMPORT: give it a layer"]
    found = []
    for target, deferred in imports(source, module):
        package, _, inner = target.partition(".")
        if package != "bdip":
            third_party = package not in sys.stdlib_module_names | ANYWHERE
            if third_party and unit not in HOMES.get(package, "").split():
                found.append(f"{module} imports {target}, at home in {HOMES.get(package, 'none')}")
            continue
        allowed = [unit, *MAY_IMPORT[unit].split()]
        if any(covers(entry, inner) for entry in allowed):
            continue
        if deferred and (unit, inner.split(".")[0]) in DEFERRED:
            continue
        found.append(f"{module} imports {target}, and may import {', '.join(allowed)}")
    return found


@pytest.mark.parametrize(("module", "path"), modules(PACKAGE).items(), ids=modules(PACKAGE))
def test_every_module_imports_only_from_below(module, path):
    assert violations(module, path.read_text(encoding="utf-8")) == []


def test_the_table_has_no_cycle():
    rows = {
        unit: {entry.split(".")[0] for entry in row.split()} for unit, row in MAY_IMPORT.items()
    }
    above = {unit: row for unit, row in rows.items() if row != {"*"}}
    placed = set()
    while above:
        ready = {unit for unit, row in above.items() if row <= placed}
        assert ready, f"each of these imports another: {sorted(above)}"
        placed |= ready
        above = {unit: row for unit, row in above.items() if unit not in placed}


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("potential", "from bdip.samplers import Sgld", "potential imports bdip.samplers.Sgld"),
        ("potential", "from bdip.networks.hourglass import Hourglass", "and may import"),
        ("operators.blur", "import bdip.networks.base", "operators.blur imports"),
        ("chain", "from bdip import api", "chain imports bdip.api"),
        ("chain", "import bdip", "chain imports bdip"),
        ("chain", "def f():\n    from bdip.api import sample", "chain imports bdip.api.sample"),
        ("posterior", "from bdip.plot import show", "posterior imports bdip.plot.show"),
        ("api", "import flax.nnx", "at home in networks"),
        ("io", "if TYPE_CHECKING:\n    from torch import Tensor", "at home in none"),
        ("novelty", "", "no row in MAY_IMPORT"),
    ],
)
def test_the_check_finds(module, source, complaint):
    (sentence,) = violations(module, source)
    assert complaint in sentence


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("potential", "from bdip.networks.base import Generator"),
        ("samplers.sgld", "from bdip.samplers.base import Sampler\nimport optax, math"),
        ("views", "def plot(self):\n    from bdip.plot import show"),
        ("cli", "import bdip\nfrom bdip import api"),
    ],
)
def test_the_check_allows(module, source):
    assert violations(module, source) == []


def test_a_relative_import_is_refused():
    with pytest.raises(AssertionError, match="relative import"):
        imports("from . import api")
