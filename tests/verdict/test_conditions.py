"""What a condition came to follows from the other records, for whoever holds them."""

from __future__ import annotations

import pytest

from pytest_aprqa.verdict.conditions import CONDITION, hold_against, misjudged
from pytest_aprqa.words import Outcome

TEXT = "pass_rate.QUAL >= 0.9 and G4"


def with_text(told, text):
    """Return the records of a story whose condition has a text."""
    return [
        record.model_copy(update={"observation": {CONDITION: text}})
        if record.kind == "condition"
        else record
        for record in told.records
    ]


@pytest.mark.parametrize(
    ("letters", "outcome", "rate"),
    [
        ({"QUAL": "CCC"}, Outcome.CORROBORATED, [1.0, 1.0]),
        ({"QUAL": "CF"}, Outcome.FALSIFIED, [0.5, 0.5]),
        ({"QUAL": "SI"}, Outcome.INCONCLUSIVE, None),
        ({"QUAL": "SI", "G4": "F"}, Outcome.FALSIFIED, None),
    ],
)
def test_a_condition_is_held_against_records(story, letters, outcome, rate) -> None:
    told = story(**letters)
    held = hold_against(TEXT, told.plan, told.records)
    assert (held.judgement.outcome, held.figures["pass_rate.QUAL"]) == (outcome, rate)


def test_what_no_check_of_a_plan_measures_stays_open(story) -> None:
    told = story(QUAL="C")
    held = hold_against("load_ms > 1", told.plan, told.records)
    assert held.judgement.outcome is Outcome.INCONCLUSIVE
    assert "nothing that was planned measures what `load_ms > 1` names" in held.judgement.reason


@pytest.mark.parametrize(
    ("letter", "text", "said"),
    [
        ("C", TEXT, None),
        ("C", "pass_rate < 0.5", "P0-0 is corroborated, the other records make it falsified"),
        ("F", TEXT, "P0-0 is falsified, the other records make it corroborated"),
        ("C", "os.system", "P0-0: 'os' is no figure of a run"),
        (".", "pass_rate < 0.5", None),
    ],
)
def test_a_verdict_that_does_not_follow_is_told(story, letter, text, said) -> None:
    told = story(QUAL="C", P0=letter)
    found = misjudged(told.plan, with_text(told, text))
    assert (found is None) == (said is None)
    assert (found or "").startswith(said or "")
