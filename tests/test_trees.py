"""The noise of all samplers: standard normals, independent within a draw and between keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bdip.trees import LANES, MANTISSA, frozen_pytree, normal_like

COUNT = 2**20
LEAST_P = 1e-5  # a false alarm of a test below in so many; there are some forty of them


def draw(seed, count=COUNT):
    return np.asarray(normal_like(jax.random.key(seed), {"a": jnp.zeros(count)})["a"], np.float64)


@pytest.mark.parametrize("seed", range(3))
def test_the_draws_are_standard_normal_in_both_halves_and_in_their_tails(seed):
    # The two words of one evaluation of the generator fill the two halves.
    for half in np.split(draw(seed), 2):
        assert stats.kstest(half, "norm").pvalue > LEAST_P
        beyond = int((abs(half) > 4).sum())
        assert stats.binomtest(beyond, len(half), 2 * stats.norm.sf(4)).pvalue > LEAST_P


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lag", [1, 2, LANES, COUNT // 2])
def test_draws_of_any_distance_are_uncorrelated_and_so_are_their_squares(seed, lag):
    # Var(xy) = 1 and Var((x² − 1)(y² − 1)) = 4 for independent standard normals; the mean over n is nearly normal.
    x = draw(seed)
    before, after = x[:-lag], x[lag:]
    for product, variance in ((before * after, 1), ((before**2 - 1) * (after**2 - 1), 4)):
        z = product.mean() * np.sqrt(len(product) / variance)
        assert 2 * stats.norm.sf(abs(z)) > LEAST_P


def test_draws_of_different_keys_are_uncorrelated_and_of_one_key_the_same():
    z = np.mean(draw(0) * draw(1)) * np.sqrt(COUNT)
    assert 2 * stats.norm.sf(abs(z)) > LEAST_P
    assert np.array_equal(draw(0), draw(0))


def test_the_largest_draw_is_finite_and_symmetric():
    # Of 2²³ equally likely intervals of (−1, 1), the middle of the last is 1 − 2⁻²³.
    largest = np.sqrt(2) * float(jax.lax.erf_inv(jnp.float32(1 - 0.5**MANTISSA)))
    x = draw(0, 2**24)
    assert abs(x).max() <= largest + 1e-6
    assert 5 < -x.min() <= largest + 1e-6


@pytest.mark.parametrize("sizes", [(1,), (5, 7), (LANES, 1), (3, LANES * 2 + 5)])
def test_the_leaves_are_cut_from_one_draw_without_overlap(sizes):
    tree = [jnp.zeros(size) for size in sizes]
    leaves = normal_like(jax.random.key(4), tree)
    assert [leaf.shape for leaf in leaves] == [(size,) for size in sizes]
    values = np.concatenate(leaves)
    # 2²³ values are possible: among n draws n²/2²⁴ pairs are expected to be equal.
    assert len(values) - len(np.unique(values)) < 5 + 10 * len(values) ** 2 / 2**24


@frozen_pytree("shape")
class First:
    value: float
    shape: int


@frozen_pytree("shape")
class Second:
    value: float
    shape: int


def test_classes_with_the_same_fields_are_different_structures():
    # They must be unequal, not only hash otherwise: a table that compares seven bits of a hash takes one for the other.
    first, second = (jax.tree.structure(each(1.0, 2)) for each in (First, Second))
    assert first != second
    assert first == jax.tree.structure(First(3.0, 2))
    assert first != jax.tree.structure(First(1.0, 3))


def test_a_frozen_pytree_comes_back_as_it_was():
    tree = First(1.0, 2)
    leaves, structure = jax.tree.flatten(tree)
    assert leaves == [1.0]
    assert jax.tree.unflatten(structure, leaves) == tree
    ((path, _),), _ = jax.tree_util.tree_flatten_with_path(tree)
    assert jax.tree_util.keystr(path) == ".value"
