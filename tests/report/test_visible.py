"""Text of unknown origin, made safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.report.visible import ascii_only, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcödé, 中文, עברית, 😀", "plain, ünïcödé, 中文, עברית, 😀"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("nul\x00", "nul\\x00"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028end", "line\\u2028end"),
        ("c1\x9b31m", "c1\\x9b31m"),
        ("lone \ud800", "lone \\ud800"),
        ("back\\slash", "back\\slash"),
        ("two\n\tlines\r", "two\n\tlines\\r"),
        ("family 👨‍👩‍👧", "family 👨‍👩‍👧"),
    ],
)
def test_what_steers_is_spelt_out(text, shown):
    assert visible(text) == shown


def test_one_line_keeps_words_apart():
    assert one_line("  a\n\tb\x1b  c ") == "a b\\x1b c"


def test_ascii_only_spells_everything_else():
    assert ascii_only("ü✓😀") == "\\xfc\\u2713\\U0001f600"


@given(st.text(st.characters()))
def test_no_control_character_is_left(text):
    shown = visible(text)
    left = {c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    assert left <= {"\n", "\t"}
    assert "\n" not in one_line(text)
