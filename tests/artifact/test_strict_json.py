from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.artifact.strict_json import JsonError, is_count, parse_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=3))
def test_any_json_object_is_read(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_other_bytes_are_refused_cleanly(data: bytes) -> None:
    try:
        assert isinstance(parse_object(data), dict)
    except JsonError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "expected an object"),
        (b'{"a":1,"a":2}', "'a' occurs twice"),
        (b'{"b":{"a":1,"a":2}}', "'a' occurs twice"),
        (b'{"a":Infinity}', "Infinity is not JSON"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        (b'{"a":"\\udc00"}', "half a surrogate pair"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_the_reason_is_told(data: bytes, said: str) -> None:
    with pytest.raises(JsonError, match=said):
        parse_object(data)


def test_a_whole_surrogate_pair_is_text() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0, True), (7, True), (-1, False), (True, False), (1.0, False), ("1", False)],
)
def test_counts_are_integers_from_zero(value: object, counts: bool) -> None:
    assert is_count(value) is counts
