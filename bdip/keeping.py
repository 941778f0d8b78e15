"""A run's way into a checkpoint and out of it again: what it holds, whose it is, and how often.

Chains are written one by one, whatever devices they run on, so that they can go on on others.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from time import monotonic
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bdip.chain import STORES, ChainState, Kept, Plan, Run, Trace
from bdip.checkpoint import Checkpoint, CheckpointError, CheckpointWarning, Content
from bdip.recovery import Copy, Recovery
from bdip.stopping import Converging, Fixed
from bdip.types import Tree

ADDRESS = r" at 0x[0-9a-f]+"  # of a function, in its description
MOST_SHARE = 0.02  # of the time, that writing may take
# What a run that ends by itself may be given more of, once its warm-up is over.
EXTENSIBLE = ("steps", "target_mcse")


class Saved(NamedTuple):
    """One chain's arrays, on the host: the stores as far as they are filled, and the copies to go back to."""

    state: ChainState
    kept: Kept
    trace: Trace
    copies: list[ChainState]


class Keeper:
    """Writes the checkpoints of one run, in time and within its share of it; and reads the last.

    `identity` names what defines the run; only a checkpoint of the same is taken.
    """

    def __init__(self, checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
        self.checkpoint = checkpoint
        self.identity = json.loads(json.dumps(identity))
        self.found: Content | None = None
        self.due = monotonic() + checkpoint.every
        self.written_at: list[int] = []  # steps done of each run
        self.said = False

    def read(self) -> None:
        """Look for a checkpoint of this run. Raises CheckpointError where it is of another."""
        self.found = self.checkpoint.read()
        if self.found is not None:
            _require_same(self.found.header, self.identity, self.checkpoint)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user of the checkpoint that is to be resumed."""
        if self.found is None:
            return ()
        done = sum(each["done"] for each in self.found.header["chains"])
        return (f"resuming {self.checkpoint.path}: {done} steps are done",)

    def resume(self, course: Fixed | Converging, recovery: Recovery) -> None:
        """Set the runs, at their start, to where the checkpoint found left them, if there is one."""
        if self.found is None:
            return
        header = self.found.header
        chains = iter(zip(header["chains"], _trees(course.runs, *self.found), strict=True))
        for place, run in enumerate(course.runs):
            told, saved = zip(*(next(chains) for _ in range(run.width)), strict=True)
            recovery.copies[place] = _put(run, list(told), list(saved))
        course.restore(header["course"])
        recovery.went_back = header["went_back"]
        self.found = None
        self.written_at = [run.done for run in course.runs]

    def offer(self, course: Fixed | Converging, recovery: Recovery) -> None:
        """Write a checkpoint if it is time for one."""
        if monotonic() >= self.due:
            self.write(course, recovery)

    def write(self, course: Fixed | Converging, recovery: Recovery) -> None:
        """Write a checkpoint, unless there is nothing new. Trouble with the disk is said once, not raised."""
        done = [run.done for run in course.runs]
        if done == self.written_at:
            return
        start = monotonic()
        header, arrays = _content(course, recovery)
        try:
            self.checkpoint.write({"identity": self.identity, **header}, arrays)
            self.written_at = done
        except OSError as error:
            self._say(error)
        took = monotonic() - start
        self.due = monotonic() + max(self.checkpoint.every, took / MOST_SHARE)

    def _say(self, error: OSError) -> None:
        if not self.said:
            self.said = True
            warnings.warn(
                f"{self.checkpoint.path} cannot be written ({error.strerror or error}): the run goes on, "
                "and tries again later. Make room there.",
                CheckpointWarning,
                stacklevel=2,
            )


def fingerprint(tree: Tree) -> str:
    """SHA-256 of a tree's structure, and of its arrays with their types and shapes; in any process the same."""
    structure = re.sub(ADDRESS, "", str(jax.tree.structure(tree)))
    found = hashlib.sha256(structure.encode())
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        found.update(f"{array.dtype} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


# ------------------------------------------------------------------------------- whose it is


def _require_same(header: dict[str, Any], identity: dict[str, Any], kept: Checkpoint) -> None:
    there = header["identity"]
    differ = [n for n in {**there, **identity} if there.get(n) != identity.get(n)]
    if differ and not (set(differ) <= set(EXTENSIBLE) and _may_go_on(header, identity)):
        raise CheckpointError(
            f"{kept.path} is of another run: {_difference(differ[0], there, identity)}. Name another "
            "checkpoint, or remove it to start anew."
        )


def _may_go_on(header: dict[str, Any], identity: dict[str, Any]) -> bool:
    """Whether a run that ends by itself is past the warm-up, and is given more steps rather than fewer."""
    past_warmup = header["course"].get("look") is not None
    return past_warmup and identity["steps"] >= max(each["done"] for each in header["chains"])


def _difference(name: str, there: dict[str, Any], here: dict[str, Any]) -> str:
    first, second = there.get(name), here.get(name)
    if isinstance(first, str) and isinstance(second, str) and len(first) == len(second) == 64:
        return f"its {name} differs"  # hashes say nothing to a reader
    if isinstance(first, dict) and isinstance(second, dict):
        inner = next(n for n in {**first, **second} if first.get(n) != second.get(n))
        found = _difference(inner, first, second)
        return f"{name}: {found}"
    return f"{name} is {first} there and {second} here"


# ------------------------------------------------------------------------------ what it holds


def _content(course: Fixed | Converging, recovery: Recovery) -> Content:
    chains, arrays = [], []
    for run, copies in zip(course.runs, recovery.copies, strict=True):
        for saved in _saved(run, copies):
            chains.append(_told(run, copies))
            arrays += jax.tree.leaves(saved)
    header = {
        "course": course.state(), "chains": chains, "went_back": recovery.went_back,
    }  # fmt: skip
    return Content(header, arrays)


def _told(run: Run, copies: list[Copy]) -> dict[str, Any]:
    """What is to be said of a chain in numbers."""
    return {
        "done": run.done,
        "plan": [None if each is None else np.asarray(each).item() for each in run.plan],
        "warmup": int(run.sampler.warmup),
        "halvings": run.halvings,
        "stored": [run.stored("draws"), run.stored("probe")],
        "copies": [copy.step for copy in copies],
    }


def _saved(run: Run, copies: list[Copy]) -> Iterator[Saved]:
    """The arrays of each chain of the run, on the host."""
    tree = (run.state, run.kept, [copy.state for copy in copies])
    rows = run.rows(jax.device_get(_without_keys(tree)))
    for row, trace in zip(rows, run.traces_of_chains(), strict=True):
        state, kept, states = row
        draws, probe = kept.draws[: run.stored("draws")], kept.probe[: run.stored("probe")]
        yield Saved(state, kept._replace(draws=draws, probe=probe), trace, states)


def _trees(runs: list[Run], header: dict[str, Any], arrays: list[NDArray[Any]]) -> Iterator[Saved]:
    """The arrays of each chain as a tree again, in the structure of a chain at its start."""
    left = iter(arrays)
    state, kept = jax.eval_shape(_without_keys, (runs[0].state, runs[0].kept))
    for told in header["chains"]:
        like = Saved(state, kept, runs[0].trace, [state for _ in told["copies"]])
        leaves, structure = jax.tree.flatten(like)
        yield jax.tree.unflatten(structure, [next(left) for _ in leaves])


def _put(run: Run, told: list[dict[str, Any]], saved: list[Saved]) -> list[Copy]:
    """Set a run to where its chains were, and return the copies to go back to."""
    if any(each != told[0] for each in told):
        raise CheckpointError(
            f"chains {run.chain} to {run.chain + len(told) - 1} have come differently far, and cannot go on "
            "side by side: resume on as many devices as the run began with."
        )
    first = told[0]
    if first["warmup"] != int(run.sampler.warmup):
        run.warm_up_to(first["warmup"])
    for _ in range(first["halvings"]):
        run.halve_step()
    run.plan = Plan(*first["plan"])
    filled = [each._replace(kept=_filled(each.kept, run)) for each in saved]
    run.take_traces([each.trace for each in saved])
    state = run.state
    run.state = _placed(run, [each.state for each in filled], state)
    run.kept = _placed(run, [each.kept for each in filled], run.kept)
    return [
        Copy(step, _placed(run, [each.copies[place] for each in filled], state))
        for place, step in enumerate(first["copies"])
    ]


def _filled(kept: Kept, run: Run) -> Kept:
    """The stores at their full length."""
    draws, probe = (_padded(getattr(kept, store), getattr(run.kept, store)) for store in STORES)
    return kept._replace(draws=draws, probe=probe)


def _padded(part: Any, whole: Any) -> Any:
    rest = np.zeros((whole.shape[-4] - len(part), *part.shape[1:]), part.dtype)
    return np.concatenate([part, rest])


def _placed(run: Run, rows: list[Tree], like: Tree) -> Tree:
    """The chains' arrays on the run's devices, laid out as those of `like`."""
    return jax.tree.map(_placed_leaf, like, run.joined(rows))


def _placed_leaf(like: Any, value: NDArray[Any]) -> Any:
    bare = _without_key(like)
    if value.shape != bare.shape or value.dtype != bare.dtype:
        raise CheckpointError(
            f"the checkpoint has an array of {value.dtype} {value.shape} where this run has one of "
            f"{bare.dtype} {bare.shape}: resume it with the version of bdip that wrote it."
        )
    placed = jax.device_put(value, bare.sharding)
    if bare is like:
        return placed
    return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(like))


def _without_keys(tree: Tree) -> Tree:
    return jax.tree.map(_without_key, tree)


def _without_key(leaf: Any) -> Any:
    """A key of random numbers as the words that it is made of; other arrays as they are."""
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf
