"""The mutations of `tests.mutations` can be made: their run takes minutes, and would find it out too late."""

import pytest

from tests.mutations import MUTATIONS, ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_is_to_be_broken_is_there_once(mutation):
    assert (ROOT / "bdip" / mutation.path).read_text(encoding="utf-8").count(mutation.old) == 1
