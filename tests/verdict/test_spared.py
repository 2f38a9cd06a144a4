"""An early stop neither flatters nor punishes the cell that it spares questions."""

from __future__ import annotations

from fractions import Fraction

from pytest_aprqa.judge.statistics import lower_bound
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.verdict.certificate import certify
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.mqs import score_records
from pytest_aprqa.verdict.spared import SPARED, extrapolated
from pytest_aprqa.words import Backend, Category, Format, Modality, Outcome, Status, Tier


def cell(modality: Modality, letters: str) -> list[Evidence]:
    outcomes = {"C": Outcome.CORROBORATED, "F": Outcome.FALSIFIED, "s": Outcome.SKIPPED}
    return [
        Evidence(
            check=f"{number}[{modality}]",
            gate_id="g",
            kind=CheckKind.SCENARIO,
            category=Category.QUAL,
            format=Format.GGUF,
            backend=Backend.CPU,
            modality=modality,
            outcome=outcomes[letter],
            observation={SPARED: {}} if letter == "s" else {},
        )
        for number, letter in enumerate(letters)
    ]


def test_a_bad_cell_that_stopped_early_weighs_as_much_as_a_good_one_that_did_not() -> None:
    records = [*cell(Modality.RUN, "C" * 100), *cell(Modality.CHAT, "F" * 5 + "s" * 95)]
    assert extrapolated(records) == (100, 200)


def test_spared_questions_count_at_the_rate_of_their_own_cell() -> None:
    records = [*cell(Modality.RUN, "CCCF"), *cell(Modality.CHAT, "CFss")]
    assert extrapolated(records) == (5, 8)
    assert extrapolated(cell(Modality.RUN, "CCFsss")) == (4, 6)


def test_a_cell_of_which_nothing_was_asked_counts_nothing() -> None:
    assert extrapolated(cell(Modality.RUN, "sss")) == (Fraction(0), 0)


def test_a_run_that_stopped_early_is_certified_and_proves_less(story) -> None:
    told = story(tier=Tier.DEEP, QUAL="C" * 60 + "s" * 40)
    certificate = certify(told.plan, told.records, score_records(told.plan, told.records))
    assert certificate.status is Status.CERTIFIED
    assert certificate.proof.spared == 40
    assert certificate.proof.lower_bound < lower_bound(60, 60)
    assert certificate.proven.endswith("40 checks spared by an early stop")


def test_a_question_that_was_skipped_for_another_reason_still_leaves_a_gap(story) -> None:
    told = story(tier=Tier.DEEP, QUAL="C" * 60 + "S" * 40)
    certificate = certify(told.plan, told.records, score_records(told.plan, told.records))
    assert certificate.status is Status.PARTIAL
