from __future__ import annotations

import gc

import pytest

from pytest_aprqa.artifact.uncollected import uncollected


def test_nothing_is_collected_inside_and_again_after_it_also_when_it_fails() -> None:
    assert gc.isenabled()
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="wrong"), uncollected():
        raise ValueError("wrong")
    assert gc.isenabled()
