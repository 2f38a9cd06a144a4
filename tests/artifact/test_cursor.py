"""Texts behind their lengths are the same whether they are cut one by one or ahead."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.artifact import cursor as module
from pytest_aprqa.artifact.cursor import Cursor
from pytest_aprqa.artifact.model import ArtifactError


def written(texts: list[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<Q", len(text)) + text for text in encoded)


def cursor_of(data: bytes) -> Cursor:
    return Cursor(Path("model.gguf"), np.frombuffer(b"?" + data, np.uint8), 1)


@given(texts=st.lists(st.text(max_size=30), max_size=12), ahead=st.integers(1, 64))
def test_texts_are_read_in_whatever_portions(texts: list[str], ahead: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_AHEAD", ahead)
        data = written(texts)
        cursor = cursor_of(data + b"behind")
        assert cursor.texts(len(texts), "a token") == texts
        assert cursor.position == 1 + len(data)


@pytest.mark.parametrize("ahead", [4, 20, 1 << 20])
@pytest.mark.parametrize(
    ("data", "message", "place"),
    [
        (written(["one", "two"]), "a token takes 8 bytes, 0 are left", 23),
        (written(["one", "two", "three"])[:-2], "a token takes 13 bytes, 11 are left", 23),
        (written(["one", "two", "three"])[:-8], "a token takes 8 bytes, 5 are left", 23),
        (written(["one"]) + b"\x02" + bytes(7) + b"\xff\xff", "a token is not UTF-8", 20),
    ],
)
def test_what_is_cut_off_or_no_text_is_named_with_its_place(
    data: bytes, message: str, place: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AHEAD", ahead)
    with pytest.raises(ArtifactError) as refused:
        cursor_of(data).texts(3, "a token")
    assert message in refused.value.message
    assert refused.value.where == f"model.gguf, byte {place}"
