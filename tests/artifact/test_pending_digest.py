"""A digest that is still being computed."""

from __future__ import annotations

import pickle
from threading import Event

import pytest

from pytest_aprqa.artifact.pending_digest import PendingDigest, in_background

DIGEST = "0" * 64


def test_it_is_waited_for_and_is_the_digest() -> None:
    given = Event()
    digest = PendingDigest(in_background("digest", lambda: DIGEST if given.wait() else ""))
    assert repr(digest) == "<pending>"
    given.set()
    assert str(digest) == DIGEST
    assert repr(digest) == repr(DIGEST)


def test_it_equals_every_digest_of_the_same_text() -> None:
    digest, same = (PendingDigest(in_background("digest", lambda: DIGEST)) for _ in range(2))
    other = PendingDigest(in_background("digest", lambda: "1" * 64))
    assert DIGEST == digest == same != other
    assert digest != "1" * 64
    assert digest != 0
    assert len({digest, same, DIGEST}) == 1


def test_another_process_gets_its_text() -> None:
    digest = PendingDigest(in_background("digest", lambda: DIGEST))
    assert type(pickle.loads(pickle.dumps(digest))) is str
    assert pickle.loads(pickle.dumps(digest)) == DIGEST


def fail() -> str:
    raise OSError("the disk is broken")


def test_what_goes_wrong_is_met_by_whoever_asks() -> None:
    digest = PendingDigest(in_background("digest", fail))
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is broken"):
            str(digest)


@pytest.mark.parametrize("work", [lambda: DIGEST, fail])
def test_what_follows_it_comes_after_it(work: object) -> None:
    given, followed, order = Event(), Event(), list[str]()

    def compute() -> str:
        given.wait()
        order.append("computed")
        return work()  # type: ignore[operator, no-any-return]

    def follow() -> None:
        order.append("followed")
        followed.set()

    digest = PendingDigest(in_background("digest", compute))
    digest.then(follow)
    given.set()
    assert followed.wait(60)
    assert order == ["computed", "followed"]
