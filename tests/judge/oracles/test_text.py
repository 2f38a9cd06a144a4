"""Oracles that compare texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.oracles import OracleAnswer, Ruling

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
Ask = Callable[..., OracleAnswer]


@pytest.mark.parametrize(
    ("answer", "config", "ruling"),
    [
        ("Paris", {"value": "Paris"}, RIGHT),
        (" Paris\n", {"value": "Paris"}, RIGHT),
        ("paris", {"value": "Paris"}, WRONG),
        ("paris", {"value": "Paris", "case_sensitive": False}, RIGHT),
        ("Paris.", {"value": "Paris"}, WRONG),
        ("Paris.", {"value": ["Paris", "Paris."]}, RIGHT),
        ("", {"value": "Paris"}, WRONG),
    ],
)
def test_exact_is_the_whole_answer(
    ask: Ask, answer: str, config: dict[str, Any], ruling: Ruling
) -> None:
    assert ask("exact", answer, **config).ruling is ruling


@pytest.mark.parametrize(
    ("answer", "config", "ruling"),
    [
        ("The capital is Paris.", {"any": ["Paris"]}, RIGHT),
        ("The capital is PARIS.", {"any": ["Paris"]}, RIGHT),
        ("The capital is PARIS.", {"any": ["Paris"], "case_sensitive": True}, WRONG),
        ("A comparison", {"any": ["paris"]}, WRONG),
        ("A comparison", {"any": ["paris"], "whole_words": False}, RIGHT),
        ("14", {"any": ["4"]}, WRONG),
        ("It is 4.", {"any": ["4"]}, RIGHT),
        ("Lyon", {"any": ["Paris", "Lyon"]}, RIGHT),
        ("Lyon", {"all": ["Paris", "Lyon"]}, WRONG),
        ("Paris and Lyon", {"all": ["Paris", "Lyon"]}, RIGHT),
        ("Paris, not Lyon", {"any": ["Paris"], "none": ["Lyon"]}, WRONG),
        ("C++ is a language", {"any": ["C++"]}, RIGHT),
        ("巴黎是首都", {"any": ["巴黎"], "whole_words": False}, RIGHT),
        ("", {"any": ["Paris"]}, WRONG),
        ("首都是巴黎。", {"any": ["巴黎"]}, RIGHT),
        ("首都是Paris。", {"any": ["Paris"]}, RIGHT),
        ("수도는 서울입니다.", {"any": ["서울"]}, RIGHT),
        ("首都是里昂。", {"any": ["巴黎"]}, WRONG),
        ("_Paris_ and __Lyon__", {"all": ["Paris", "Lyon"]}, RIGHT),
        ("A Cafe\u0301.", {"any": ["Caf\u00e9"]}, RIGHT),
        ("A Caf\u00e9.", {"any": ["Cafe\u0301"]}, RIGHT),
        ("A Caf\u00e9.", {"any": ["Cafe"]}, WRONG),
        ("New York.", {"any": ["New York"]}, RIGHT),
        ("-10 degrees", {"any": ["-10"]}, RIGHT),
        ("5-10", {"any": ["-10"]}, WRONG),
        ("1,234 and 2,4,6", {"all": ["1,234", "4"], "none": ["234"]}, RIGHT),
    ],
)
def test_contains_looks_for_whole_words(
    ask: Ask, answer: str, config: dict[str, Any], ruling: Ruling
) -> None:
    assert ask("contains", answer, **config).ruling is ruling


@pytest.mark.parametrize(
    "answer",
    [
        "10",
        "It is 10.",
        "8, 10, 12",
        "8,10,12",
        "**10**",
        "10.0",
        "$10.00",
        "10%",
        "10 km",
        "a top-10 list",
        "3-10",
        "- 10",
        "2*5=10",
        "(10)",
        "10日",
        "_10_",
        "1/2 of 20 is 10, that is 10",
    ],
)
def test_a_number_is_found_among_others(ask: Ask, answer: str) -> None:
    assert ask("contains", answer, any=["10"]).ruling is RIGHT


@pytest.mark.parametrize(
    "answer",
    ["10.5", "-10", "(−10)", "10,000", "1/10", "10/3", "3.10", ".10", "110", "10²", "x10", "10th"],
)
def test_a_number_is_not_found_in_another_value(ask: Ask, answer: str) -> None:
    assert ask("contains", answer, any=["10"]).ruling is WRONG
    assert ask("contains", f"It is {answer}.", any=["10"]).ruling is WRONG


@given(st.text(min_size=1).filter(str.strip), st.text(), st.booleans())
def test_any_word_is_found_where_it_stands_alone(
    ask: Ask, word: str, other: str, whole: bool
) -> None:
    assert ask("contains", f"{word}", any=[word], whole_words=whole).ruling is RIGHT
    assert ask("contains", f"{other}\n{word}\n", any=[word], whole_words=whole).ruling is RIGHT


def test_a_regular_expression_is_searched_for_or_matched_in_full(ask: Ask) -> None:
    assert ask("regex", "born in 1815", pattern=r"\b18\d\d\b").ruling is RIGHT
    assert ask("regex", "born in 1915", pattern=r"\b18\d\d\b").ruling is WRONG
    assert ask("regex", "ADA", pattern="ada", ignore_case=True).ruling is RIGHT
    assert ask("regex", "x 1815", pattern=r"\d+", full=True).ruling is WRONG
    assert ask("regex", " 1815\n", pattern=r"\d+", full=True).ruling is RIGHT


def test_a_regular_expression_that_backtracks_without_end_does_not_stop_the_run(ask: Ask) -> None:
    answer = ask("regex", "a" * 60 + "b", pattern=r"(a|a|aa)+$")
    assert answer.ruling is NOT_APPLICABLE
    assert "did not come to an end" in answer.reason
