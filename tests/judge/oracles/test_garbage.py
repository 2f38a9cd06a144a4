"""The oracle that looks for garbage."""

from __future__ import annotations

from collections.abc import Callable

from pytest_aprqa.judge.oracles import OracleAnswer, Ruling

RIGHT, WRONG = Ruling.RIGHT, Ruling.WRONG
Ask = Callable[..., OracleAnswer]


def test_limits_of_the_garbage_oracle_leave_short_answers_alone(ask: Ask) -> None:
    limits = {"max_repetition_ratio": 0.3, "min_unique_chars": 10}
    for answer in ("4", "Paris.", "Yes, it is.", "The answer is 4."):
        assert ask("garbage", answer, **limits).ruling is RIGHT
    same = "The red fox, the red hen, the red pig, the red owl and the red ant sleep."
    assert ask("garbage", same, max_repetition_ratio=0.2).ruling is WRONG
    assert ask("garbage", same).ruling is RIGHT
    few = "abba baab abab aabb bbaa cabb acab bcab acba bacb cabc bbca abcc"
    assert ask("garbage", few, min_unique_chars=10).ruling is WRONG
    assert ask("garbage", "ak ak ak ak ak ak").ruling is WRONG
