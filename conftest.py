"""What holds for all tests."""

import os

import jax
import pytest

# No test may write into the home of whoever runs it, nor depend on what lies there.
os.environ["BDIP_CACHE"] = "off"


@pytest.fixture(autouse=True, scope="module")
def programs_are_let_go():
    """Let go of a file's compiled programs after it.

    Each takes memory maps, of which Linux gives a process 65,530 (vm.max_map_count): beyond them XLA aborts.
    """
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def the_examples_have_an_answer(request, doctest_namespace):
    """In docstrings `posterior` is what `bdip.sample` returned: of 16 × 16 grey pixels, two chains, 24 draws each."""
    if isinstance(request.node, pytest.DoctestItem):
        from tests.answers import answer

        doctest_namespace["posterior"] = answer((16, 16), draws=24)


def pytest_addoption(parser):
    """The seeds of the exactness tests, which a fresh range of can be asked for."""
    parser.addoption(
        "--exactness-seeds", default="0:1", metavar="FIRST:END",
        help="seeds of the exactness tests, such as 1000:1020 for twenty fresh ones",
    )  # fmt: skip


def pytest_generate_tests(metafunc):
    """An exactness test runs once for each seed asked for, all in one process."""
    if "exactness_seed" in metafunc.fixturenames:
        first, end = metafunc.config.getoption("--exactness-seeds").split(":")
        metafunc.parametrize("exactness_seed", range(int(first), int(end)))
