"""Breaks a formula of the package at a time and runs the exactness tests on it: each must be caught.

    python -m tests.mutations                     every mutation, until its first failing test
    python -m tests.mutations --whole             every mutation against every file of tests
    python -m tests.mutations --only "mask" …     those whose name holds one of these words

A mutation replaces a piece of the source, which must be there exactly once, in a copy of the package in a
temporary folder; the tests run there in a process of their own. Without a mutation they must pass. The
exit status is 1 if a mutation survives. The table is printed as docs/decisions/0011 has it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("bdip", "tests", "conftest.py", "pyproject.toml")
OPTIONS = ("-q", "-p", "no:cacheprovider", "--exactness-seeds", "0:1")
FILES = ("gaussian", "prior", "linear", "sample", "simulation_based_calibration", "nuts")
FAILED = re.compile(r"^FAILED tests/exactness/test_(\w+)\.py::(\w+)", re.MULTILINE)


class Mutation(NamedTuple):
    """What is broken, in which file, and how: `old` becomes `new`. `first` is the file tried first."""

    name: str
    path: str
    old: str
    new: str
    first: str = "gaussian"


SGLD, PSGLD = "samplers/sgld.py", "samplers/psgld.py"
LIKELIHOOD = "likelihood.py"
MUTATIONS = (
    Mutation("√ε for √(εT) (sgld)", SGLD, "jnp.sqrt(step_size * self.temperature)", "jnp.sqrt(step_size)"),
    Mutation("√(2εT) for √(εT) (sgld)", SGLD, "jnp.sqrt(step_size * self", "jnp.sqrt(2 * step_size * self"),
    Mutation("ε for ε/2 (sgld)", SGLD, "p - step_size / 2 * g", "p - step_size * g"),
    Mutation("T ignored (psgld, no momentum)", PSGLD, "heat = step_size * self.temperature", "heat = step_size"),
    Mutation("T ignored (psgld, momentum)", PSGLD, "fresh = self.temperature * (1", "fresh = (1"),
    Mutation("noise not preconditioned (no momentum)", PSGLD, "jnp.sqrt(heat * gain)", "jnp.sqrt(heat)"),
    Mutation("noise not preconditioned (momentum)", PSGLD, "jnp.sqrt(fresh * gain)", "jnp.sqrt(fresh)"),
    Mutation("G for √G in the noise (momentum)", PSGLD, "jnp.sqrt(fresh * gain)", "jnp.sqrt(fresh) * gain"),
    Mutation("1 − c for 1 − c²", PSGLD, "(1 - kept**2)", "(1 - kept)"),
    Mutation("velocity not halved", PSGLD, "time / 2 * (before + after)", "time * (before + after)"),
    Mutation("second half of the move left out", PSGLD, "time / 2 * (before + after)", "time * before"),
    Mutation("ε for √ε in the kick", PSGLD, "v - time * gain * g", "v - step_size * gain * g"),
    Mutation("kick without G", PSGLD, "v - time * gain * g", "v - time * g"),
    Mutation("preconditioner not frozen", "samplers/preconditioner.py", "jnp.where(step < adapting, self.decay, 1.0)", "self.decay"),
    Mutation("noise uniform, of variance 1", "trees.py", "math.sqrt(2) * jax.lax.erf_inv(symmetric)", "3**0.5 * symmetric"),
    Mutation("one noise for all tensors", "trees.py", "        start += size\n", ""),
    Mutation("mean for sum in the misfit", LIKELIHOOD, "energy = jnp.sum(residual**2)", "energy = jnp.mean(residual**2)", "linear"),
    Mutation("σ for σ²", LIKELIHOOD, "(2 * self.std**2)", "(2 * self.std)", "linear"),
    Mutation("σ² for 2σ²", LIKELIHOOD, "/ (2 * self.std**2)", "/ self.std**2", "linear"),
    Mutation("λ for λ/2", "potential.py", "problem.weight_precision / 2", "problem.weight_precision", "prior"),
    Mutation("prior left out", "potential.py", "return misfit + prior", "return misfit", "linear"),
    Mutation("mask dropped", LIKELIHOOD, "residual = mask * (prediction - data)", "residual = prediction - data", "linear"),
    Mutation("same key for each step", "chain.py", "step_key = jax.random.fold_in(state.key, state.step)", "step_key = state.key", "prior"),
    Mutation("warm-up leaks into the mean", "chain.py", "jnp.where(since >= 0, step_size, 0.0)", "step_size", "prior"),
    Mutation("ε_t not used as weight", "chain.py", "jnp.where(since >= 0, step_size, 0.0)",
             "jnp.where(since >= 0, 1.0, 0.0)", "prior"),
    Mutation("draws from the warm-up", "chain.py", "    draws = _store(kept.draws, image, since, plan.thin)", "    draws = _store(kept.draws, image, step, plan.thin)", "linear"),
    Mutation("one key for all chains", "chain.py", "jax.random.fold_in(key, chain)", "jax.random.fold_in(key, 0)", "sample"),
    Mutation("squared deviations halved in the variance", "moments.py", "weight * deviation * ((1", "0.5 * weight * deviation * ((1", "linear"),
    Mutation("σ not brought to the unit range", "given_noise.py", "Gaussian(jnp.float32(std / scale.span)), std,", "Gaussian(jnp.float32(std)), std,", "sample"),
    Mutation("std not brought to the image's units", "problem.py",
             "return self._axes(np.asarray(unit, np.float32) * np.float32(self.span))",
             "return self._axes(np.asarray(unit, np.float32))", "sample"),
    Mutation("sum for mean in the boxes", "operators/downsample.py", "channels).mean(axis", "channels).sum(axis", "linear"),
)  # fmt: skip


def copied(folder, mutation):
    """A copy of the package and its tests in `folder`, mutated unless `mutation` is None."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, folder / name)
    if mutation is not None:
        path = folder / "bdip" / mutation.path
        source = path.read_text(encoding="utf-8")
        if source.count(mutation.old) != 1:
            raise SystemExit(
                f"{mutation.name}: {mutation.old!r} is in bdip/{mutation.path} {source.count(mutation.old)} "
                "times, expected once: bring the mutation up to date."
            )
        path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")


def failures(folder, files, whole, cache):
    """File -> name of its first test that fails in `folder`; of the first file only unless `whole`."""
    paths = [f"tests/exactness/test_{name}.py" for name in files]
    once = ["-p", "tests.mutations"] if whole else ["-x"]
    # Programs that the mutation leaves alone need not be compiled again.
    kept = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *once, *paths],
        cwd=folder, env=os.environ | kept, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return dict(FAILED.findall(done.stdout))


def caught_by(mutation, whole, cache):
    """File -> the test of it that catches the mutation; only the first one unless `whole`."""
    first = FILES[0] if mutation is None else mutation.first
    files = sorted(FILES, key=lambda name: name != first)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder, mutation)
        return failures(folder, files, whole, cache)


FAILED_FILES = set()


def pytest_runtest_setup(item):
    """As a plugin of the tests of a mutation: one failure of a file is enough."""
    if item.path in FAILED_FILES:
        pytest.skip("its file has failed already")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """As a plugin: remember whose file failed."""
    report = yield
    if report.failed:
        FAILED_FILES.add(item.path)
    return report


def line(name, caught):
    """A row of the table: the mutation, the files that catch it, and the first test of each."""
    tests = "; ".join(dict.fromkeys(caught.values()))
    return f"| {name} | {', '.join(caught) or '**none**'} | {tests} |"


def main():
    """Print the table; the number of survivors decides the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--whole", action="store_true", help="every file, not until the first failure"
    )
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="those so named")
    chosen = parser.parse_args()
    survivors = 0
    with tempfile.TemporaryDirectory() as cache:
        if intact := caught_by(None, chosen.whole, cache):
            raise SystemExit(f"the package itself fails, before anything is broken: {intact}")
        for mutation in MUTATIONS:
            if any(word in mutation.name for word in chosen.only):
                caught = caught_by(mutation, chosen.whole, cache)
                survivors += not caught
                print(line(mutation.name, caught), flush=True)
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
