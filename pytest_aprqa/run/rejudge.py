"""Judge the answers on record again, ours and those of other certifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pytest_aprqa.judge.answer import judge_beside
from pytest_aprqa.judge.edge import judge_edge
from pytest_aprqa.judge.edge_prompt import PROMPT_FAULT
from pytest_aprqa.judge.gateways import judge_g2, judge_g4
from pytest_aprqa.judge.incumbent import NO_TEXT, judge_printed, model_text
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.observation import FinishReason, Generation, Usage
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.run.quality import FAMILY, REFERENCE_LOGPROBS, SPECIAL_TOKENS
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.plan import prompt_digest
from pytest_aprqa.verdict.record import RecordError, Run
from pytest_aprqa.words import Gateway, Modality, Outcome, reference_cell


class Verdict(StrEnum):
    """What a record comes to when its answer is judged again."""

    CORROBORATED = "corroborated"
    FALSIFIED = "falsified"
    INCONCLUSIVE = "inconclusive"
    EMPTY = "empty"
    UNJUDGED = "unjudged"

    @property
    def passes(self) -> bool:
        return self is Verdict.CORROBORATED


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One record, before and after.

    Attributes:
        record: name of the check or id of the record.
        gate_id: what was tested.
        prompt: what was asked.
        text: the model's text.
        old: the outcome on record.
        new: what its answer comes to; EMPTY when no text of a model is on record, UNJUDGED when
            the record is about no answer or cannot be judged from what is kept.
        reason: why.
    """

    record: str
    gate_id: str
    prompt: str
    text: str
    old: Outcome
    new: Verdict
    reason: str

    @property
    def changed(self) -> bool:
        """Whether an answer passed before and does not now, or the other way round."""
        return self.new is not Verdict.UNJUDGED and self.old.passes != self.new.passes


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str = ""
    prompt: str = ""
    modality: str = ""
    backend: str = ""
    format: str = ""


class PrintedRecord(BaseModel):
    """A record of the certifier that keeps a bare JSON array of outputs."""

    model_config = ConfigDict(extra="ignore")

    id: str = ""
    gate_id: str
    outcome: Outcome
    reason: str | None = ""
    output: str | None = ""
    scenario: _Asked = Field(default_factory=_Asked)

    @field_validator("outcome", mode="before")
    @classmethod
    def _in_lower_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


_OF_NO_ANSWER = re.compile(
    r"G0-.*|F-(?:CONV|CONTRACT|GOLDEN|LAYOUT|HF|PERF|PROFILE|OLLAMA|ROSETTA|INSPECT|VALIDATE)-.*"
)
"""Gates of files, conversions and measurements; their prompts are descriptions."""


def read_printed(content: bytes, where: str) -> list[PrintedRecord] | None:
    """Return the records of a bare JSON array, also inside an object under `evidence`.

    None when the content is no such thing.

    Raises:
        RecordError: it is, but a record lacks what a verdict needs.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} is not JSON: {error}") from None
    if isinstance(value, dict) and isinstance(value.get("evidence"), list):
        value = value["evidence"]
    if not isinstance(value, list):
        return None
    records = []
    for number, entry in enumerate(value):
        try:
            records.append(PrintedRecord.model_validate(entry))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "record"
            raise RecordError(f"{where}, record {number}, {field}: {first['msg']}") from None
    return records


def rejudge_printed(records: Sequence[PrintedRecord]) -> Iterator[Rejudged]:
    """Judge the model's text in each output; what is around it counts for nothing."""
    for number, record in enumerate(records):
        asked = record.scenario
        cell = "-".join(part for part in (asked.format, asked.backend, asked.modality) if part)
        name = f"{number}[{cell}]" if cell else str(number)
        if _OF_NO_ANSWER.fullmatch(record.gate_id):
            reason = "a record about files, a conversion or a measurement: no answer to judge"
            yield _rejudged(name, record, "", Verdict.UNJUDGED, reason)
            continue
        printed = record.output or ""
        judgement = judge_printed(asked.prompt, printed)
        yield _rejudged(
            name, record, model_text(printed, asked.prompt), _verdict(judgement), judgement.reason
        )


def _rejudged(
    name: str, record: PrintedRecord, text: str, verdict: Verdict, reason: str
) -> Rejudged:
    return Rejudged(
        name, record.gate_id, record.scenario.prompt, text, record.outcome, verdict, reason
    )


def _verdict(judgement: Judgement) -> Verdict:
    if judgement.reason == NO_TEXT:
        return Verdict.EMPTY
    return Verdict(judgement.outcome.value)


def rejudge_run(run: Run, checks: Mapping[str, Check]) -> Iterator[Rejudged]:
    """Judge the answers of a run again, with the oracles of its playbook.

    Args:
        run: a run of this tool.
        checks: the checks of its playbook by name, as it says now.
    """
    records = {record.check: record for record in run.records}
    digests = {check.check: check.prompt_digest for check in run.plan.checks}
    for record in run.records:
        judged = _judged_again(record, records, checks.get(record.check), digests)
        verdict = Verdict.UNJUDGED if isinstance(judged, str) else _verdict(judged)
        reason = judged if isinstance(judged, str) else judged.reason
        if verdict not in (Verdict.UNJUDGED, Verdict.EMPTY) and not (record.answer or "").strip():
            verdict = verdict if verdict.passes and _may_be_silent(record) else Verdict.EMPTY
        yield Rejudged(
            record=record.check,
            gate_id=record.gate_id,
            prompt=record.prompt or "",
            text=record.answer or "",
            old=record.outcome,
            new=verdict,
            reason=reason,
        )


def _may_be_silent(record: Evidence) -> bool:
    """Whether a verdict on no text is one on something seen: a refusal, or a turn that ended."""
    kept = record.observation.get("generation", {})
    ended = kept.get("finish") == FinishReason.STOP and bool(kept.get("token_ids"))
    return ended or bool(kept.get("finish") == FinishReason.REFUSED)


def _judged_again(
    record: Evidence,
    records: Mapping[str, Evidence],
    check: Check | None,
    digests: Mapping[str, str],
) -> Judgement | str:
    """Return the new judgement, or why there is none."""
    if record.answer is None:
        return "no answer is on record"
    if judge := _GATEWAYS.get(record.subject if record.kind == CheckKind.GATEWAY else ""):
        return judge(record)
    if record.kind != CheckKind.SCENARIO:
        return "a record about no single answer"
    if check is None or check.scenario is None:
        return "the playbook has no such check"
    if prompt_digest(check.scenario) != digests.get(record.check):
        return "the playbook asks something else now"
    generation = recorded_generation(record)
    if check.scenario.edge:
        return judge_edge(check.scenario, generation, record.observation.get(PROMPT_FAULT, ""))
    twin = records.get(f"{check.scenario.name}[{reference_cell(record.modality)}]")
    known = None if twin is record or twin is None or twin.answer is None else twin
    judgement = judge_beside(
        check.scenario, generation, lambda: recorded_generation(known) if known else None
    )
    about_transport = record.modality is Modality.SERVE and record.outcome.fails
    if about_transport and judgement.outcome.passes:
        return "the answer is right; what the server said beside it was not kept"
    return judgement


def _again_g4(record: Evidence) -> Judgement:
    return judge_g4(
        [_generation(probe.get("answer", ""), probe) for probe in record.observation["probes"]],
        logprobs=record.observation.get(REFERENCE_LOGPROBS, ()),
        special_tokens=record.observation.get(SPECIAL_TOKENS, ()),
        family=record.observation.get(FAMILY, 1),
    )


_GATEWAYS: dict[str, Callable[[Evidence], Judgement]] = {
    Gateway.G2: lambda record: judge_g2(recorded_generation(record)),
    Gateway.G4: _again_g4,
}


def recorded_generation(record: Evidence) -> Generation:
    """Return the generation that a record keeps."""
    kept = record.observation.get("generation", {})
    return _generation(record.answer or "", kept, record.prompt, record.raw or "")


def _generation(
    text: str, kept: Mapping[str, Any], prompt: str | None = None, raw: str = ""
) -> Generation:
    def numbers(name: str) -> Any:
        return tuple(kept[name]) if kept.get(name) is not None else None

    def usage(name: str) -> Usage | None:
        return Usage(**kept[name]) if kept.get(name) else None

    return Generation(
        text=text,
        finish=FinishReason(kept.get("finish", FinishReason.LENGTH)),
        token_ids=numbers("token_ids"),
        logprobs=numbers("logprobs"),
        runner_up=numbers("runner_up"),
        prompt_token_ids=numbers("prompt_token_ids"),
        rendered_prompt=prompt,
        refusal=kept.get("refusal", ""),
        usage=usage("usage"),
        streamed_text=kept.get("streamed_text"),
        streamed_usage=usage("streamed_usage"),
        raw=raw,
    )
