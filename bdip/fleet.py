"""Chains side by side, one a device, in one compiled program.

Every array of the chains under way has a leading axis of chains, cut over the devices, so that each
device holds one chain and takes the very steps of `bdip.chain`. No device waits for another but at
the end of a block.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from bdip.chain import ChainState, Kept, Outcome, Plan, Progress, Run, Trace, block
from bdip.compiling import jit
from bdip.networks.base import Generator
from bdip.problem import Problem
from bdip.samplers.base import Sampler
from bdip.settings import require
from bdip.types import Image, Tree

AXIS = "chain"  # of the mesh
CUT, WHOLE = PartitionSpec(AXIS), PartitionSpec()  # a chain a device; everything on every device


def choose(given: int | Sequence[jax.Device] | None) -> list[jax.Device]:
    """The devices that `given` stands for: the first so many of the local ones, or those named.

    None stands for all local ones, or for JAX's default device where the user has set one. Raises
    SettingsError where there are not so many, or they cannot run one program.
    """
    local = jax.local_devices()
    if given is None:
        default = jax.config.jax_default_device  # type: ignore[attr-defined]
        if isinstance(default, str):  # the name of a platform
            return jax.local_devices(backend=default)[:1]
        return local if default is None else [default]
    if isinstance(given, int | np.integer):
        expected = f"from 1 to {len(local)}, the number of devices here"
        require(1 <= given <= len(local), "devices", given, expected)
        return local[:given]
    chosen = list(given) if isinstance(given, Iterable) else []
    fit = (
        all(isinstance(each, jax.Device) for each in chosen)
        and len({each.platform for each in chosen}) == 1  # none at all is refused, too
        and len(set(chosen)) == len(chosen)
        and all(each.process_index == jax.process_index() for each in chosen)
    )
    expected = "a number, or different devices of one kind, such as jax.local_devices()[:2]"
    require(fit, "devices", given, expected)
    return chosen


def home(devices: list[jax.Device]) -> AbstractContextManager[Any]:
    """A context in which new arrays lie on the first of `devices`."""
    # Where they do so already, a context would only make JAX compile again what it has compiled.
    already = devices[0] == choose(None)[0]
    return nullcontext() if already else jax.default_device(devices[0])


def rounds(chains: int, devices: int) -> list[range]:
    """The numbers of the chains that run side by side, round after round.

    There are no more rounds than `devices` devices need, and within that no more chains a round, so
    that as few devices as possible stand idle: 10 chains on 8 devices are two rounds of 5.
    """
    count = -(-chains // devices)
    width = -(-chains // count)
    return [range(first, min(first + width, chains)) for first in range(0, chains, width)]


def width(chains: int, devices: list[jax.Device]) -> int:
    """How many chains run side by side."""
    return len(rounds(chains, len(devices))[0])


def side_by_side(runs: list[Run], devices: list[jax.Device]) -> list[Run]:
    """`runs`, not yet begun, joined to fleets of a chain a device; as they are on one device."""
    together = width(len(runs), devices)
    if together == 1:
        return runs
    mesh = Mesh(np.asarray(devices[:together]), (AXIS,))
    turns = rounds(len(runs), len(devices))
    return [_fleet([runs[number] for number in turn], mesh) for turn in turns]


@dataclass(kw_only=True)
class Fleet(Run):
    """Chains under way side by side: a Run whose arrays have a leading axis of chains.

    They are the chains from `chain` on, a device of the mesh each. The last `idle` devices have
    none: they hold a copy, which never moves and is never looked at, so that the last round can do
    with the program of the others.
    """

    mesh: Mesh
    idle: int

    @property
    def width(self) -> int:
        """Chains that `advance` moves."""
        return int(self.mesh.size) - self.idle

    def outcomes(self) -> list[Outcome]:
        """What each chain has to show, on the host."""
        kept, trace = jax.device_get(self.kept), self.trace
        return [
            Outcome(
                self.done,
                _row(kept, place),
                _row(trace, place),
                self.stored("draws"),
                self.stored("probe"),
            )
            for place in range(self.width)
        ]

    def traces_of_chains(self) -> list[Trace]:
        """The trace of each chain (t,)."""
        trace = self.trace
        return [_row(trace, place) if self.traces else trace for place in range(self.width)]

    def take_traces(self, traces: list[Trace]) -> None:
        """The way back."""
        self.traces = [jax.tree.map(lambda *columns: np.stack(columns), *traces)]

    def rows(self, tree: Tree) -> list[Tree]:
        """A tree of this run's arrays, cut into one a chain; those of idle devices are left out."""
        return [_row(tree, place) for place in range(self.width)]

    def joined(self, rows: list[Tree]) -> Tree:
        """The way back, of arrays on the host; idle devices have copies of the last chain."""
        every = rows + self.idle * rows[-1:]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *every)

    def _move(self, length: int) -> Trace:
        lengths = np.repeat(np.array([length, 0], np.int32), [self.width, self.idle])
        self.state, self.kept, buffer = run_blocks(
            self.state, self.kept, self.problem, self.sampler, self.plan, lengths, self.generator,
            self.mesh,
        )  # fmt: skip
        trace: Trace = jax.tree.map(
            lambda column: column[: self.width, :length], jax.device_get(buffer)
        )
        return trace

    def _reports(self, trace: Trace, speed: float) -> Iterator[Progress]:
        for place in range(self.width):
            image, mean = (_own(each, place) for each in (self.kept.image, self.kept.moments.mean))
            yield self._report(self.chain + place, trace.chi2[place], speed, image, mean)


@partial(jit, static_argnames=("generator", "mesh"), donate_argnames=("state", "kept"))
def run_blocks(
    state: ChainState,
    kept: Kept,
    problem: Problem,
    sampler: Sampler,
    plan: Plan,
    lengths: Int[Array, "k"],
    generator: Generator,
    mesh: Mesh,
) -> tuple[ChainState, Kept, Trace]:
    """`lengths[k]` steps of chain k, each on its own device: `chain.run_block` with chain axes."""

    def own(chains: Tree, problem: Problem, sampler: Sampler, plan: Plan) -> Tree:
        state, kept, length = _row(chains, 0)  # this device's part of the axis is one chain long
        return _lift(block(state, kept, problem, sampler, plan, length, generator))

    # Nothing passes between devices, so that JAX's check of what does could only be in the way.
    spread = jax.shard_map(
        own, mesh=mesh, in_specs=(CUT, WHOLE, WHOLE, WHOLE), out_specs=CUT, check_vma=False
    )
    moved: tuple[ChainState, Kept, Trace] = spread((state, kept, lengths), problem, sampler, plan)
    return moved


def _fleet(runs: list[Run], mesh: Mesh) -> Fleet:
    """The runs, with their arrays each on its device of the mesh."""
    first, idle = runs[0], mesh.size - len(runs)
    lifted = [jax.jit(_lift)((run.state, run.kept)) for run in runs]
    lifted += idle * lifted[-1:]
    state, kept = jax.tree.map(partial(_join, mesh), *lifted)
    problem, sampler = jax.device_put((first.problem, first.sampler), NamedSharding(mesh, WHOLE))
    return Fleet(
        problem, first.generator, sampler, first.plan, first.steps, state, kept, [], first.chain,
        mesh=mesh, idle=idle,
    )  # fmt: skip


def _join(mesh: Mesh, *parts: Array) -> Array:
    """One array (k, ...) of the parts (1, ...), each moved to its device."""
    shape = (mesh.size, *parts[0].shape[1:])
    placed = [
        jax.device_put(part, device) for part, device in zip(parts, mesh.devices, strict=True)
    ]
    return jax.make_array_from_single_device_arrays(shape, NamedSharding(mesh, CUT), placed)


def _own(array: Array, place: int) -> Image:
    """Row `place` of an array (k, ...), still on its device."""
    shards = {shard.index[0].start: shard.data for shard in array.addressable_shards}
    return shards[place][0]


def _lift(tree: Tree) -> Tree:
    """The tree with a leading axis of length 1 on every array."""
    return jax.tree.map(lambda leaf: leaf[None], tree)


def _row(tree: Any, place: int) -> Any:
    """Row `place` of every array of the tree."""
    return jax.tree.map(lambda leaf: leaf[place], tree)
