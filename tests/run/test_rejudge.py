from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.observation import FinishReason, Generation, Usage
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.run.observed import generation_record
from pytest_aprqa.run.rejudge import read_printed, recorded_generation
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.words import Outcome

numbers = st.none() | st.lists(st.floats(-50, 0), min_size=1).map(tuple)
tokens = st.none() | st.lists(st.integers(0, 9999), min_size=1).map(tuple)
usages = st.none() | st.builds(Usage, st.integers(1, 99), st.integers(1, 99))
generations = st.builds(
    Generation,
    text=st.text(),
    finish=st.sampled_from(FinishReason),
    token_ids=tokens,
    logprobs=numbers,
    runner_up=numbers,
    prompt_token_ids=tokens,
    rendered_prompt=st.text(),
    refusal=st.text(),
    usage=usages,
    streamed_text=st.none() | st.text(min_size=1),
    streamed_usage=usages,
    raw=st.text(),
)


@given(generations)
def test_a_generation_comes_back_from_its_record(generation):
    record = Evidence(
        check="c",
        gate_id="g",
        kind=CheckKind.SCENARIO,
        outcome=Outcome.CORROBORATED,
        prompt=generation.rendered_prompt,
        answer=generation.text,
        raw=generation.raw,
        observation={"generation": generation_record(generation)},
    )
    kept = Evidence.model_validate_json(record.model_dump_json())
    assert recorded_generation(kept) == generation


def test_records_are_read_from_an_array_and_from_an_object_around_it():
    array = b'[{"gate_id": "F-A1-001", "outcome": "Timeout", "output": null}]'
    for content in (array, b'{"evidence": ' + array + b"}"):
        [record] = read_printed(content, "x.json")
        assert (record.outcome, record.output) == (Outcome.TIMEOUT, None)
    assert read_printed(b'{"schema_version": "1"}', "x.json") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff", "is not JSON"), (b"[1]", "record 0"), (b'[{"outcome": "Crashed"}]', "gate_id")],
)
def test_what_is_no_record_is_named(content, words):
    with pytest.raises(RecordError, match=words):
        read_printed(content, "x.json")
