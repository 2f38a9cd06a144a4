"""A condition holds, fails, or is open; noise and gaps never decide it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.condition import Case, Finding, Value, judge_condition, number, truth
from pytest_aprqa.judge.statistics import Interval
from pytest_aprqa.playbook.condition import parse_condition
from pytest_aprqa.playbook.figures import figure
from pytest_aprqa.words import Attribution, Outcome


def case(**values: Value) -> Case:
    """Return what was found, by metric; a number may be given instead of an interval."""
    found = {figure(name, ()): value for name, value in values.items()}
    return {named: Finding(named, value) for named, value in found.items()}


def exact(value: float) -> Interval:
    return Interval(value, value)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("mqs >= 700", True),
        ("mqs > 700", False),
        ("mqs == 700 and mqs != 701 and mqs <= 700", True),
        ("600 < mqs < 700", False),
        ("mqs / 7 - 50 * 2 == 0", True),
        ("-mqs < 0", True),
        ("G0 and not G3", True),
        ("checks > 1", None),
        ("checks > 1 or G0", True),
        ("checks > 1 or G3", None),
        ("checks > 1 and G3", False),
        ("checks > 1 and G0", None),
        ("not checks > 1", None),
        ("G1 or G3", None),
        ("mqs / (mqs - 700) > 1", None),
        ("load_ms > 8", True),
        ("load_ms > 12", False),
        ("load_ms > 10", None),
        ("load_ms == load_ms", None),
        ("load_ms == 13", False),
        ("2 * load_ms >= 18", True),
        ("mqs / load_ms > 63", True),
        ("100 - load_ms > 89", None),
        ("1 / (load_ms - 10) > 1", None),
    ],
)
def test_truths_follow_kleene_and_numbers_their_intervals(text: str, answer: bool | None) -> None:
    found = case(mqs=exact(700), G0=True, G1=None, G3=False, checks=None, load_ms=Interval(9, 11))
    assert truth(parse_condition(text), found) is answer


NUMBERS = st.floats(-50, 50, allow_nan=False)
INTERVALS = st.builds(lambda a, b: Interval(min(a, b), max(a, b)), NUMBERS, NUMBERS)
TEXTS = ("mqs + checks", "mqs - checks", "mqs * checks", "mqs / checks", "mqs * (mqs - checks)")


@given(INTERVALS, INTERVALS, st.floats(0, 1), st.floats(0, 1), st.sampled_from(TEXTS))
def test_no_value_of_an_interval_leads_out_of_the_result(
    a: Interval, b: Interval, at: float, bt: float, text: str
) -> None:
    def within(interval: Interval, share: float) -> float:
        return min(
            max(interval.low + share * (interval.high - interval.low), interval.low), interval.high
        )

    comparison = parse_condition(f"{text} > 0")
    whole = number(comparison.left, case(mqs=a, checks=b))
    point = number(comparison.left, case(mqs=exact(within(a, at)), checks=exact(within(b, bt))))
    if whole is None:
        assert text == "mqs / checks"
        assert b.low <= 0 <= b.high
    else:
        assert point is not None
        slack = 1e-9 * max(abs(whole.low), abs(whole.high))
        assert whole.low - slack <= point.low <= whole.high + slack


def judged(text: str, *cases: Case) -> tuple[Outcome, str, Attribution | None]:
    judgement = judge_condition(text, parse_condition(text), cases)
    return judgement.outcome, judgement.reason, judgement.attribution


def test_it_must_hold_in_every_case_and_a_failure_tells_the_figures() -> None:
    text = "kl_max_nats < 1"
    good, bad, open_ = (case(kl_max_nats=v) for v in (exact(0.5), exact(2), None))
    assert judged(text, good, good)[0] is Outcome.CORROBORATED
    assert judged(text, good, open_, bad) == (
        Outcome.FALSIFIED,
        "`kl_max_nats < 1` does not hold: kl_max_nats is 2.",
        Attribution.MODEL,
    )
    assert judged(text, good, open_)[:2] == (
        Outcome.INCONCLUSIVE,
        "`kl_max_nats < 1` is open: kl_max_nats was not measured.",
    )


def test_a_miss_of_speed_is_not_laid_at_the_models_door() -> None:
    outcome, _, attribution = judged("load_ms < 1", case(load_ms=Interval(8, 9)))
    assert (outcome, attribution) == (Outcome.FALSIFIED, Attribution.ENVIRONMENT)


def test_noise_that_leaves_it_open_is_told() -> None:
    outcome, reason, _ = judged("load_ms < 10", case(load_ms=Interval(8, 12)))
    assert outcome is Outcome.INCONCLUSIVE
    assert reason.endswith("load_ms is in [8, 12]. The noise is too large to tell.")


def test_a_pass_counts_the_figures_it_rests_on() -> None:
    text = "mqs > 1 and G0"
    judgement = judge_condition(text, parse_condition(text), [case(mqs=exact(2), G0=True)])
    assert judgement.compared == {"figures": 2}
