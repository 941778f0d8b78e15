"""Compiler options are taken where the compiler knows them, and cannot break a run where it does not."""

import jax
import jax.numpy as jnp
import pytest

from bdip import compiling


@pytest.fixture
def options(monkeypatch):
    """Set CPU_OPTIONS anew, and forget what is known of the old ones."""

    def chosen(new):
        monkeypatch.setattr(compiling, "CPU_OPTIONS", new)
        compiling._known.cache_clear()
        return compiling._known()

    yield chosen
    compiling._known.cache_clear()


def product(a, b):
    return a @ b


def test_an_option_that_the_compiler_does_not_know_is_left_out(options):
    good = {"xla_cpu_prefer_vector_width": 256}
    assert options(good | {"xla_cpu_no_such_option": True}) == good


def test_a_value_that_the_compiler_does_not_know_is_left_out(options):
    assert options({"xla_cpu_experimental_ynn_fusion_type": "NO_SUCH_TYPE"}) == {}


def test_without_any_known_option_it_is_jaxs_jit(options):
    options({"xla_cpu_no_such_option": True})
    assert (
        compiling.jit(product)(jnp.eye(3), jnp.eye(3)).tolist()
        == product(jnp.eye(3), jnp.eye(3)).tolist()
    )


def test_the_options_change_what_multiplies_and_nothing_that_comes_out():
    # 40 terms a sum: each order of summation is off by at most 40 roundings, of 2⁻²⁴, of Σ|ab|.
    key_a, key_b = jax.random.split(jax.random.key(0))
    a, b = jax.random.normal(key_a, (64, 40)), jax.random.normal(key_b, (40, 64))
    plain, chosen = jax.jit(product), compiling.jit(product)
    bound = 2 * 40 * 2.0**-24 * (jnp.abs(a) @ jnp.abs(b))
    assert (jnp.abs(plain(a, b) - chosen(a, b)) <= bound).all()
    multiplies = [each.lower(a, b).compile().as_text().count("kCustom") for each in (plain, chosen)]
    assert multiplies[1] < multiplies[0] or not compiling._known()


def test_static_arguments_and_the_cache_of_programs_are_those_of_jax():
    count = compiling.jit(lambda x, n: x * n, static_argnames="n")
    assert [float(count(2.0, n=n)) for n in (1, 2, 2)] == [2.0, 4.0, 4.0]
    assert count.jitted._cache_size() == 2
