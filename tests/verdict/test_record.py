"""The run as a file: what is written is read, and rescoring finds what does not belong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.playbook.check import Check, CheckKind, Message, Scenario
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.record import (
    ArtifactRecord,
    Environment,
    RecordError,
    Run,
    conclude,
)
from pytest_aprqa.verdict.rescore import rescore
from pytest_aprqa.verdict.run_file import read_run, write_run
from pytest_aprqa.words import Category, Cell, Format, Modality, Outcome, Status


def concluded(told, **more) -> Run:
    return conclude(
        run_id="run-1",
        started="2026-01-02T03:04:05+00:00",
        finished="2026-01-02T03:05:05+00:00",
        plan=told.plan,
        records=told.records,
        environment=Environment(python="3.11", packages={"torch": "2.13", "gguf": "0.19"}),
        **more,
    )


@pytest.fixture
def run(story) -> Run:
    artifacts = {Format.GGUF: ArtifactRecord(digest="1" * 64, files={"m.gguf": "2" * 64})}
    return concluded(story(QUAL="CFyS", PERF="C."), artifacts=artifacts)


def test_a_run_is_read_as_it_was_written(run):
    assert Run.from_json(run.to_json()) == run


def test_writing_twice_gives_the_same_bytes(run):
    assert Run.from_json(run.to_json()).to_json() == run.to_json()


def test_each_record_is_a_line_of_the_file(run):
    _, _, after = run.to_json().partition('"records": [\n')
    lines = after.partition("\n]")[0].split(",\n")
    assert [Evidence.model_validate_json(line) for line in lines] == list(run.records)


def test_keys_are_sorted_at_every_level(run):
    def check(value):
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(json.loads(run.to_json()))


def test_records_stand_in_the_order_of_the_plan(story):
    told = story(QUAL="CFC")
    backwards = type(told)(told.plan, told.records[::-1])
    assert concluded(backwards).records == told.records


def test_a_file_keeps_a_run(run, tmp_path):
    write_run(tmp_path / "model" / "evidence.json", run)
    assert read_run(tmp_path / "model" / "evidence.json") == run
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["evidence.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "2"}, r"evidence.json has schema version '2'.*reads '1'"),
        ({"schema_version": None}, "evidence.json has no schema_version"),
        ({"mqs": 3}, "evidence.json, field mqs: Input should be"),
        ({"surprise": 1}, "evidence.json, field surprise: Extra inputs"),
    ],
)
def test_an_unfit_file_is_one_sentence(run, change, message):
    content = {**json.loads(run.to_json()), **change}
    with pytest.raises(RecordError, match=message):
        Run.from_json(json.dumps(content), where="evidence.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe", "[" * 100_000])
def test_what_is_no_run_is_one_sentence(text):
    with pytest.raises(RecordError, match=r"evidence\.json "):
        Run.from_json(text, where="evidence.json")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(RecordError, match=r"evidence\.json cannot be read: No such file"):
        read_run(tmp_path / "evidence.json")


@settings(deadline=None)
@given(text=st.binary(max_size=60) | st.text(max_size=60))
def test_reading_anything_raises_record_error_alone(text):
    with pytest.raises(RecordError):
        Run.from_json(text)


def test_a_plan_with_a_name_twice_is_refused(run):
    twice = (*run.plan.checks, run.plan.checks[0])
    with pytest.raises(ValueError, match="'G0-0' is planned twice"):
        RunPlan(**{**dict(run.plan), "checks": twice})


def test_the_digest_of_a_plan_does_not_depend_on_the_order_of_its_categories(run):
    one = RunPlan(**{**dict(run.plan), "categories": tuple(Category)})
    other = RunPlan(**{**dict(run.plan), "categories": tuple(Category)[::-1]})
    assert one.digest() == other.digest() != run.plan.digest()


def check(**scenario) -> Check:
    return Check(
        name="arithmetic-001[gguf-cpu-run]",
        gate_id="F-QUAL-001",
        kind=CheckKind.SCENARIO,
        category=Category.QUAL,
        cell=Cell(Format.GGUF, modality=Modality.RUN),
        scenario=Scenario(**{"name": "arithmetic-001", "prompt": "2+2=", **scenario}),
    )


def test_the_prompt_of_a_check_has_the_same_digest_in_every_cell():
    planned = PlannedCheck.of(check())
    assert planned.cell == Cell(Format.GGUF, modality=Modality.RUN)
    assert planned.prompt_digest == PlannedCheck.of(check(name="other", max_tokens=9)).prompt_digest


@pytest.mark.parametrize(
    "scenario",
    [{"prompt": "2+3="}, {"system": "Be brief."}, {"history": (Message("user", "Hello"),)}],
)
def test_what_is_asked_makes_another_prompt(scenario):
    assert (
        PlannedCheck.of(check(**scenario)).prompt_digest != PlannedCheck.of(check()).prompt_digest
    )


def test_rescoring_a_run_finds_the_same_verdict(run):
    assert rescore(run).differences == ()


def test_rescoring_finds_a_verdict_the_records_do_not_lead_to(story):
    run = concluded(story(QUAL="CFFF"))
    better = {"status": Status.CERTIFIED, "score": 1000}
    forged = run.model_copy(update={"certificate": run.certificate.model_copy(update=better)})
    found = rescore(forged)
    assert {difference.field for difference in found.differences} == {
        "certificate.status",
        "certificate.score",
    }
    assert found.certificate == run.certificate
    assert "certificate.score: stored 1000, the records say 250" in map(str, found.differences)


def test_rescoring_finds_a_changed_record(story):
    run = concluded(story(QUAL="CCF"))
    records = tuple(r.model_copy(update={"outcome": Outcome.CORROBORATED}) for r in run.records)
    assert rescore(run.model_copy(update={"records": records})).differences


def test_a_failure_makes_no_claim_but_keeps_what_was_found(story):
    run = concluded(story(QUAL="C."), failure="the model org/tiny was not found")
    assert run.certificate.status is Status.FAIL
    assert run.records
    assert rescore(run).differences == ()
