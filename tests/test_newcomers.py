"""The operator, generator and sampler of notebooks/your-own.py pass the tests of those in the package."""

import itertools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from bdip.samplers import Constant, Polynomial
from tests import test_networks, test_operators, test_samplers
from tests.exactness import test_gaussian
from tests.exactness.samplers import Row

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "your-own.py"
SEED = 0


def classes_of(notebook):
    """What the notebook defines: its cells of code up to the one that uses them."""
    source, _, _ = notebook.read_text(encoding="utf-8").partition("# ## All three at work")
    names = {"__name__": "notebook"}
    exec(compile(source, str(notebook), "exec"), names)
    return names


NOTEBOOK_HAS = classes_of(NOTEBOOK)
OPERATOR = NOTEBOOK_HAS["Reflection"](0.5, 2)
GENERATOR = NOTEBOOK_HAS["FourierFeatures"](features=8, width=4)
SAMPLER = NOTEBOOK_HAS["TwoNoises"](Polynomial(0.1, 2.0, 0.5))


def contract(module, table):
    """The tests that the module runs on each row of its table, once for each of their other arguments."""
    found = {}
    for name, test in vars(module).items():
        marks = getattr(test, "pytestmark", [])
        if table.mark not in marks:
            continue
        others = [mark.args for mark in marks if mark != table.mark and mark.name == "parametrize"]
        for values in itertools.product(*(map(plain, values) for _, values, *_ in others)):
            chosen = dict(zip((argument for argument, *_ in others), values, strict=True))
            found[" ".join([name, *map(str, values)])] = (test, chosen)
    return found


def plain(value):
    """An argument of a test, without the marks that it may have."""
    return value.values[0] if hasattr(value, "marks") else value


OPERATORS = contract(test_operators, test_operators.every_operator)
GENERATORS = contract(test_networks, test_networks.every_generator)
SAMPLERS = contract(test_samplers, test_samplers.every_sampler)


def test_there_is_a_contract_for_each():
    for tests, one in ((OPERATORS, "adjoint"), (GENERATORS, "gradient"), (SAMPLERS, "noise")):
        assert len(tests) >= 3
        assert any(one in name for name in tests)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_operator_keeps_the_contract(name):
    test, others = OPERATORS[name]
    test(OPERATOR, test_operators.DATA, **others)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_generator_keeps_the_contract(name):
    test, others = GENERATORS[name]
    test(GENERATOR, **others)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_sampler_keeps_the_contract(name):
    test, others = SAMPLERS[name]
    test(SAMPLER, **others)


def test_the_sampler_says_rightly_that_it_moves_all_weights_alike():
    assert SAMPLER.alike
    test_samplers.test_weights_move_as_one_vector_as_they_do_as_tensors(SAMPLER)


def autocovariances(step_size, curvature, temperature):
    """γ_0, γ_1, … of θ' = aθ + s(ξ_t + ξ_{t+1})/2 with a = 1 − εl/2 and s² = εT.

    θ_t holds s ξ_t/2, so that γ_0 = a² γ_0 + s²/2 + a s²/2, which is T/l; γ_1 = a γ_0 + s²/4, and from
    there γ_{k+1} = a γ_k.
    """
    a = 1 - step_size * curvature / 2
    first = a * temperature / curvature + step_size * temperature / 4
    return np.concatenate([[temperature / curvature], first * a ** np.arange(399)])


@pytest.mark.parametrize("stiffness", [0.8, 3.2])
def test_the_sampler_has_the_covariance_of_its_law_whatever_its_step_size(stiffness):
    row = Row(NOTEBOOK_HAS["TwoNoises"](Constant(1.0)), autocovariances)
    test_gaussian.check(row, 3, stiffness, 2.5, SEED)


def test_the_operator_shows_the_image_twice():
    # Of (1, 10, 100) moved by two and halved: the third gains half of the first.
    seen = OPERATOR(jnp.float32([[[1], [10], [100]]]))
    np.testing.assert_array_equal(seen[0, :, 0], [1, 10, 100.5])
