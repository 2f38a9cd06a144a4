"""Evidence that was changed does not agree with its journal, its records or itself."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from pytest_aprqa.verdict.journal import Journal, RunHeader, read_journal
from pytest_aprqa.verdict.record import Environment, RecordError, Run, conclude
from pytest_aprqa.verdict.verify import Standing, verify_run
from pytest_aprqa.words import Outcome

STARTED = "2026-01-02T03:04:05.000+00:00"


def concluded(told, folder, records=None):
    """Write a journal of a story; return the run and the journal's path."""
    path = folder / "evidence.jsonl"
    with Journal(path, RunHeader.of("run-1", STARTED, told.plan)) as journal:
        for record in told.records:
            journal.append(record)
    run = conclude(
        run_id="run-1",
        started=STARTED,
        finished=STARTED,
        plan=told.plan,
        records=told.records if records is None else records,
        environment=Environment(python="3.11"),
        journal_head=journal.head,
    )
    return run, path


def failures(run, path, content=None):
    points = verify_run(run, content or run.to_json().encode(), read_journal(path))
    return {p.name: p.detail for p in points if p.standing is Standing.FAILED}


@pytest.fixture
def told(story):
    return story(QUAL="CCF", STAB="C")


@pytest.fixture
def verified(told, tmp_path):
    return concluded(told, tmp_path)


def test_what_a_run_left_holds(verified):
    assert failures(*verified) == {}


def test_a_run_whose_metric_is_not_finite_holds(told, tmp_path):
    records = tuple(r.model_copy(update={"metrics": {"x": float("nan")}}) for r in told.records)
    run, path = concluded(type(told)(told.plan, records), tmp_path)
    assert failures(Run.from_json(run.to_json()), path) == {}


def test_checks_that_were_not_run_need_no_line_in_the_journal(story, tmp_path):
    told = story(QUAL="CC.")
    blank = story(QUAL="CCS").records[-1]
    run, path = concluded(told, tmp_path, (*told.records, blank))
    assert failures(run, path) == {}


def test_of_a_check_carried_out_twice_the_last_record_counts(told, tmp_path):
    first = told.records[-1].model_copy(update={"outcome": Outcome.INCONCLUSIVE, "attempts": ()})
    run, path = concluded(type(told)(told.plan, (first, *told.records)), tmp_path, told.records)
    assert failures(run, path) == {}


def test_a_changed_outcome_is_named_with_its_line(verified, told):
    run, path = verified
    records = [
        r.model_copy(update={"outcome": Outcome.CORROBORATED}) if r.check == "QUAL-2" else r
        for r in run.records
    ]
    line = [r.check for r in told.records].index("QUAL-2") + 2
    changed = run.model_copy(update={"records": tuple(records)})
    found = failures(changed, path)
    assert found["records"] == f"QUAL-2.outcome is not that of line {line} of the journal"
    assert found["verdict"].startswith("mqs.")


def test_a_dropped_record_is_named_with_its_line(verified):
    run, path = verified
    fewer = tuple(r for r in run.records if r.check != "QUAL-2")
    found = failures(run.model_copy(update={"records": fewer}), path)
    assert found["records"].startswith("QUAL-2: line ")


def test_an_invented_record_is_named(story, tmp_path):
    told = story(QUAL="CC.")
    invented = story(QUAL="CCC").records[-1]
    run, path = concluded(told, tmp_path, (*told.records, invented))
    assert failures(run, path)["records"] == "QUAL-2: the journal has no such record"


def test_a_changed_score_is_named(verified):
    run, path = verified
    better = run.certificate.model_copy(update={"score": 1000})
    found = failures(run.model_copy(update={"certificate": better}), path)
    assert found["verdict"].startswith("certificate.score: stored 1000, the records say ")


def test_a_lowered_threshold_is_named(verified):
    run, path = verified
    plan = run.plan.model_copy(update={"threshold": 1})
    found = failures(run.model_copy(update={"plan": plan}), path)
    assert found["plan"] == "plan.threshold is not that of line 1 of the journal"


def test_records_cut_off_the_end_of_the_journal_are_found(verified):
    run, path = verified
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert failures(run, path)["journal"].startswith(f"journal_head is {run.journal_head}, ")


def test_another_spelling_is_named_with_its_line(verified):
    run, path = verified
    content = run.to_json().encode().replace(b'"run_id": ', b'"run_id":  ')
    line = content.split(b"\n").index(next(x for x in content.split(b"\n") if b'"run_id":  ' in x))
    assert failures(run, path, content)["schema"].startswith(f"line {line + 1} is not written")


def flipped(content, chance):
    changed = bytearray(content)
    at = chance.randrange(len(content))
    changed[at] ^= chance.randrange(1, 256)
    return bytes(changed), at


def test_any_byte_changed_in_the_journal_is_found_without_a_key(verified):
    run, path = verified
    content, chance = path.read_bytes(), random.Random(20260104)
    for _ in range(300):
        changed, _ = flipped(content, chance)
        path.write_bytes(changed)
        with suppress(RecordError):  # the schema version is another one, and is named
            assert failures(run, path)


SURROUNDINGS = (b'"finished"', b'"environment"', b'"python"', b'"interrupted"', b'"failure"')
"""What a run says of itself that follows from no record: only a signature guards it."""


def test_any_byte_changed_in_the_evidence_is_found_without_a_key_but_in_its_surroundings(verified):
    run, path = verified
    content, chance = run.to_json().encode(), random.Random(20260105)
    found = 0
    for _ in range(600):
        changed, at = flipped(content, chance)
        try:
            unseen = not failures(Run.from_json(changed), path, changed)
        except (RecordError, UnicodeDecodeError):
            unseen = False
        if unseen:
            line = content[: content.index(b"\n", at)].rpartition(b"\n")[2]
            assert line.strip().startswith(SURROUNDINGS)
        found += not unseen
    assert found > 550
