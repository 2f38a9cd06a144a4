from __future__ import annotations

import pytest

from pytest_aprqa.judge.judgement import Judgement, all_of, corroborated, falsified, inconclusive
from pytest_aprqa.words import Attribution, Outcome


@pytest.mark.parametrize("compared", [{}, {"tokens": 0}, {"prompts": 0, "tokens": 0}])
def test_nothing_is_corroborated_by_nothing(compared: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="corroborated by nothing"):
        Judgement(Outcome.CORROBORATED, "all 0 tokens agree", compared)


def test_one_thing_compared_is_enough_to_be_corroborated() -> None:
    judgement = corroborated("the answer is 4", {"prompts": 1, "tokens": 0})
    assert judgement.outcome.passes
    assert judgement.attribution is None


def test_a_failure_says_whose_doing_it_is() -> None:
    judgement = falsified("the answer is 5", Attribution.MODEL, {"prompts": 1}, expected="4")
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.MODEL
    assert judgement.expected == "4"


def test_inconclusive_needs_no_count() -> None:
    assert inconclusive("no reference").compared == {}


def test_of_several_judgements_the_worst_one_counts_and_passes_add_up() -> None:
    passed = corroborated("one.", {"prompts": 1})
    unknown = inconclusive("nothing.")
    failed = falsified("two.", Attribution.MODEL, {"prompts": 1})
    assert all_of([passed, unknown, failed]) is failed
    assert all_of([passed, unknown]) is unknown
    both = all_of([passed, corroborated("more.", {"prompts": 2, "tokens": 3})])
    assert both.compared == {"prompts": 3, "tokens": 3}
    assert both.reason == "one. more."
