"""Arithmetic on pytrees of arrays: what samplers and energies need, and no more."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jax.tree_util import GetAttrKey, register_pytree_with_keys
from jaxtyping import Array, Float

from bdip.types import PRNGKey, Scalar, Tree

T = TypeVar("T")

# A round number of draws: XLA works through an odd one several times as slowly on a CPU.
LANES = 1024

PAIR = 2  # words that one evaluation of the generator makes
MANTISSA = 23  # bits of a float32 below its leading one


def normal_like(key: PRNGKey, tree: Tree) -> Tree:
    """Independent standard normals in the shape of `tree`.

    One draw is cut into the leaves: a generator call a leaf would triple the compile time
    of a network with a hundred tensors.
    """
    leaves, treedef = jax.tree.flatten(tree)
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    flat = _normal(key, sum(sizes))
    parts, start = [], 0
    for leaf, size in zip(leaves, sizes, strict=True):
        parts.append(flat[start : start + size].reshape(leaf.shape))
        start += size
    return jax.tree.unflatten(treedef, parts)


def _normal(key: PRNGKey, count: int) -> Float[Array, " rounded"]:
    """At least so many independent standard normals: √2 erf⁻¹(u), u uniform on (−1, 1).

    As `jax.random.normal`, in half its time on a CPU: that one, to have draws that do not depend on their
    number, spends the two words of each evaluation of Threefry (Salmon et al., 2011) on one draw.
    """
    rounded = -(-count // LANES) * LANES
    words = threefry_2x32(jax.random.bits(key, (PAIR,)), jnp.arange(rounded, dtype=jnp.uint32))
    # Random digits behind "1." are uniform on [1, 2), and then in the middle of their intervals of (−1, 1).
    one = jnp.float32(1).view(jnp.uint32)
    uniform = ((words >> (32 - MANTISSA)) | one).view(jnp.float32)
    symmetric = 2 * (uniform - 1.5) + 0.5**MANTISSA
    return math.sqrt(2) * jax.lax.erf_inv(symmetric)


def squared_norm(tree: Tree) -> Scalar:
    """Sum of the squares of all entries of all leaves."""
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)), start=jnp.float32(0))


def inner(first: Tree, second: Tree) -> Scalar:
    """Sum of the products of all entries of two trees alike."""
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), first, second)
    return sum(jax.tree.leaves(products), start=jnp.float32(0))


def select(condition: Scalar, new: Tree, old: Tree) -> Tree:
    """`new` where the traced scalar `condition` holds, else `old`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


@dataclass_transform(frozen_default=True)
def frozen_pytree(*static: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: the class becomes a frozen dataclass and a pytree.

    The fields named are structure; all others are leaves, so that changing a number in them does
    not compile again.
    """

    def register(cls: type[T]) -> type[T]:
        cls = dataclass(frozen=True)(cls)
        leaves = tuple(field.name for field in fields(cls) if field.name not in static)  # type: ignore[arg-type]

        def flatten(tree: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            own = tuple(getattr(tree, name) for name in static)
            return tuple(getattr(tree, name) for name in leaves), (cls, *own)

        def flatten_with_keys(tree: T) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
            values, structure = flatten(tree)
            return tuple(zip(map(GetAttrKey, leaves), values, strict=True)), structure

        def unflatten(structure: tuple[Any, ...], values: Iterable[Any]) -> T:
            tree = object.__new__(cls)  # no checks: what JAX puts in need not be numbers
            for name, value in zip((*static, *leaves), (*structure[1:], *values), strict=True):
                object.__setattr__(tree, name, value)
            return tree

        # Not `register_dataclass`: to it two classes with fields of one form are one structure (JAX 0.10, 0.12), and one
        # time in a hundred the program of the one is run for the other.
        register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
        return cls

    return register
