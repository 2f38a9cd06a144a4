"""A digest of what is still being hashed."""

from __future__ import annotations

import pickle

import pytest

from pytest_aprqa.artifact.pending_digest import PendingDigest

DIGEST = "0" * 64


def test_it_is_waited_for_once_and_is_the_digest() -> None:
    asked: list[str] = []
    digest = PendingDigest(lambda: asked.append("once") or DIGEST)
    assert repr(digest) == "<pending>"
    assert asked == []
    assert str(digest) == DIGEST
    assert repr(digest) == repr(DIGEST)
    assert asked == ["once"]


def test_it_equals_every_digest_of_the_same_text() -> None:
    digest, same = (PendingDigest(lambda: DIGEST) for _ in range(2))
    other = PendingDigest(lambda: "1" * 64)
    assert DIGEST == digest == same != other
    assert digest != "1" * 64
    assert digest != 0
    assert len({digest, same, DIGEST}) == 1


def test_another_process_gets_its_text() -> None:
    digest = PendingDigest(lambda: DIGEST)
    assert type(pickle.loads(pickle.dumps(digest))) is str
    assert pickle.loads(pickle.dumps(digest)) == DIGEST


def test_what_goes_wrong_is_met_by_whoever_asks() -> None:
    def fail() -> str:
        raise OSError("the disk is broken")

    digest = PendingDigest(fail)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is broken"):
            str(digest)
