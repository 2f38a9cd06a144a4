"""The score: every rule of the MQS."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.verdict.mqs import Grade, Mqs, normalise, score_records
from pytest_aprqa.words import Category, Gateway, Outcome

FULL = dict.fromkeys(Category, "CC")


def scored(story, **letters) -> Mqs:
    told = story(**letters)
    return score_records(told.plan, told.records)


@pytest.mark.parametrize(
    ("letters", "raw"),
    [
        pytest.param({}, 0, id="no evidence scores nothing"),
        pytest.param({"QUAL": "CCCC"}, 1000, id="one category is scaled to the full score"),
        pytest.param({"QUAL": "CCFF"}, 500, id="points are the share of passes"),
        pytest.param(FULL, 1000, id="all six are the full score unscaled"),
        pytest.param({**FULL, "QUAL": "CF"}, 900, id="half of QUAL is 100 points"),
        pytest.param({**FULL, "PERF": "CF"}, 925, id="half of PERF is 75 points"),
        pytest.param({**FULL, "STAB": "CF"}, 900, id="half of STAB is 100 points"),
        pytest.param({**FULL, "COMP": "FF"}, 850, id="COMP is 150 points"),
        pytest.param({**FULL, "EDGE": "FF"}, 850, id="EDGE is 150 points"),
        pytest.param({**FULL, "REGR": "FF"}, 850, id="REGR is 150 points"),
        pytest.param({"QUAL": "CSS"}, 1000, id="skipped is neither a pass nor a failure"),
        pytest.param({"QUAL": "FSSSSSS"}, 0, id="skipping does not outvote a failure"),
        pytest.param(
            {"QUAL": "CCCFssss"}, 750, id="spared questions count at the rate of their cell"
        ),
        pytest.param({"QUAL": "CIF"}, 500, id="inconclusive is neither a pass nor a failure"),
        pytest.param({"QUAL": "CF.."}, 500, id="a check without a record counts as nothing"),
        pytest.param({"QUAL": "CC", "EDGE": "SS"}, 571, id="an empty planned category earns 0"),
        pytest.param({"QUAL": "SS", "EDGE": "SS"}, 0, id="skipping everything scores nothing"),
        pytest.param({"QUAL": "CCh"}, 656, id="a timeout fails and costs 10"),
        pytest.param({"QUAL": "CCy"}, 646, id="a crash that did not repeat fails and costs 20"),
        pytest.param({"QUAL": "CCx"}, 646, id="a crash not tried again fails and costs 20"),
        pytest.param({"QUAL": "CCX"}, 0, id="a crash that repeats fails G3 and scores nothing"),
        pytest.param({"QUAL": "T"}, 0, id="penalties stop at 0"),
        pytest.param({"QUAL": "CC", "G0": "F"}, 0, id="failed G0"),
        pytest.param({"QUAL": "CC", "G1": "CF"}, 0, id="failed G1 in one cell of two"),
        pytest.param({"QUAL": "CC", "G2": "F"}, 0, id="failed G2"),
        pytest.param({"QUAL": "CC", "G3": "F"}, 0, id="failed G3"),
        pytest.param({"QUAL": "CC", "G4": "F"}, 0, id="failed G4"),
        pytest.param({"QUAL": "CC", "G1": "I"}, 1000, id="an open gateway keeps the score"),
        pytest.param({"QUAL": "C" * 849 + "F" * 151}, 849, id="849 stays 849"),
        pytest.param({"QUAL": "C" * 1699 + "F" * 301}, 849, id="849.5 is not rounded up"),
    ],
)
def test_raw_score(story, letters, raw):
    assert scored(story, **letters).raw == raw


def test_categories_outside_the_plan_are_left_out_of_the_breakdown(story):
    mqs = scored(story, QUAL="CF", STAB="C")
    assert [c.category for c in mqs.categories] == [Category.QUAL, Category.STAB]
    assert mqs.raw == 750


def test_a_category_named_by_the_plan_without_any_check_earns_nothing(story):
    mqs = scored(story, QUAL="C", planned_categories=(Category.PERF,))
    assert mqs.raw == 571
    assert mqs.measured == 1000


def test_breakdown_counts_every_ending(story):
    [qual] = scored(story, QUAL="CCFTSI.").categories
    assert (qual.planned, qual.corroborated, qual.executed) == (7, 2, 4)
    assert (qual.skipped, qual.inconclusive, qual.not_run) == (1, 1, 1)
    assert (qual.points, qual.maximum) == (100, 200)


def test_gateway_checks_count_in_no_category(story):
    mqs = scored(story, QUAL="CF", G1="CCCC", G2="CCCC")
    assert sum(category.executed for category in mqs.categories) == 2


def test_each_crash_and_timeout_is_a_penalty_of_its_own(story):
    mqs = scored(story, QUAL="C" * 97 + "yxt")
    assert [(p.points, p.check) for p in mqs.penalties] == [
        (20, "QUAL-97"),
        (20, "QUAL-98"),
        (10, "QUAL-99"),
    ]
    assert mqs.raw == 970 - 50


def test_a_falsified_gateway_costs_everything(story):
    mqs = scored(story, QUAL="CC", G2="F")
    assert [(p.points, p.check) for p in mqs.penalties] == [(1000, "G2-0")]
    assert (mqs.raw, mqs.measured, mqs.normalised, mqs.grade) == (0, 0, 0.0, Grade.F)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(0, 0.0), (100, 27.9), (200, 44.7), (446, 70.0), (700, 86.3), (850, 93.7), (1000, 100.0)],
)
def test_normalised_score(raw, expected):
    assert normalise(raw) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("normalised", "grade"),
    [
        (100, "A+"), (97, "A+"), (96.99, "A"), (93, "A"), (92.99, "A-"), (90, "A-"),
        (89.99, "B+"), (87, "B+"), (86.99, "B"), (83, "B"), (82.99, "B-"), (80, "B-"),
        (79.99, "C+"), (77, "C+"), (76.99, "C"), (73, "C"), (72.99, "C-"), (70, "C-"),
        (69.99, "D+"), (67, "D+"), (66.99, "D"), (63, "D"), (62.99, "D-"), (60, "D-"),
        (59.99, "F"), (0, "F"),
    ],
)  # fmt: skip
def test_grade(normalised, grade):
    assert Grade.of(normalised) == grade


def test_the_rounded_normalised_score_has_the_grade_of_the_exact_one():
    assert all(Grade.of(normalise(n)) is Grade.of(round(normalise(n), 2)) for n in range(1001))


@pytest.mark.parametrize(
    ("letters", "qualifies", "ready"),
    [
        ({"QUAL": "C"}, True, True),
        ({"QUAL": "C" * 772 + "F" * 228}, True, True),
        ({"QUAL": "C" * 771 + "F" * 229}, True, False),
        ({"QUAL": "C" * 446 + "F" * 554}, True, False),
        ({"QUAL": "C" * 445 + "F" * 555}, False, False),
        ({"QUAL": "C", "G4": "F"}, False, False),
        ({"QUAL": "C", "G4": "I"}, False, False),
        ({"QUAL": "C", "G1": "."}, False, False),
        ({}, False, False),
    ],
)
def test_qualifies_and_is_production_ready(story, letters, qualifies, ready):
    mqs = scored(story, **letters)
    assert (mqs.qualifies, mqs.is_production_ready) == (qualifies, ready)


def test_a_record_outside_the_plan_is_refused(story):
    told = story(QUAL="CC")
    stranger = told.records[-1].model_copy(update={"check": "QUAL-9"})
    with pytest.raises(ValueError, match="'QUAL-9' has a record but is not in the plan"):
        score_records(told.plan, [*told.records, stranger])


def test_a_second_record_of_a_check_is_refused(story):
    told = story(QUAL="FC")
    better = told.records[-2].model_copy(update={"outcome": Outcome.CORROBORATED})
    with pytest.raises(ValueError, match="'QUAL-0' has 2 records"):
        score_records(told.plan, [*told.records, better])


outcomes = st.text("CFTSIy.", max_size=12)
runs = st.fixed_dictionaries(dict.fromkeys(Category, outcomes))


@settings(deadline=None)
@given(letters=runs)
def test_a_score_lies_between_0_and_1000(story, letters):
    mqs = scored(story, **letters)
    assert 0 <= mqs.raw <= mqs.measured <= 1000
    assert 0 <= mqs.normalised <= 100
    assert math.isfinite(mqs.normalised)


@settings(deadline=None)
@given(letters=runs, category=st.sampled_from(list(Category)), where=st.integers(0, 11))
def test_turning_a_check_into_a_pass_never_costs_points(story, letters, category, where):
    before = letters[category]
    if where >= len(before):
        return
    after = {**letters, category: before[:where] + "C" + before[where + 1 :]}
    assert scored(story, **after).raw >= scored(story, **letters).raw


@settings(deadline=None)
@given(letters=runs, gateway=st.sampled_from(list(Gateway)))
def test_no_score_survives_a_failed_gateway(story, letters, gateway):
    mqs = scored(story, **letters, **{gateway: "CF"})
    assert mqs.raw == 0
    assert not mqs.qualifies
