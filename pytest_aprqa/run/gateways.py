"""The gateways G0-G4: what must hold before a score counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.judge.gateways import judge_g0, judge_g2, judge_g3, judge_g4
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.playbook.prompts import G2_PROMPT, G4_PROMPTS
from pytest_aprqa.run.observed import Observed, generation_record
from pytest_aprqa.run.probes import probes, question
from pytest_aprqa.run.quality import (
    FAMILY,
    REFERENCE_LOGPROBS,
    SPECIAL_TOKENS,
    reference_logprobs,
    special_tokens,
)
from pytest_aprqa.run.so_far import so_far
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.gateways import STOPPED, settled, times
from pytest_aprqa.words import (
    REFERENCE,
    REFERENCE_ENGINE,
    Attribution,
    Cell,
    Gateway,
    Outcome,
    reference_cell,
)

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

INFERENCE_TOKENS = 8


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Find out whether a gateway holds."""
    return _GATEWAYS[Gateway(check.subject)](check, laboratory)


def _integrity(check: Check, laboratory: Laboratory) -> Observed:
    converted = laboratory.is_converted(check.cell)
    if converted:
        laboratory.require((Gateway.G0,), laboratory.workshop.source)
    artifact = laboratory.artifact(check.cell)
    reference = _sound_reference(check.cell, laboratory)
    report = check_artifact(artifact, laboratory.plan.model, reference)
    return Observed(
        judgement=judge_g0(report, converted=converted),
        observation={
            "artifact": _artifact_record(artifact, laboratory),
            "findings": [asdict(finding) for finding in report.findings],
        },
        artifact_digest=artifact.digest,
    )


def _sound_reference(cell: Cell, laboratory: Laboratory) -> Artifact | None:
    """Return the reference that config and tokenizer are held against, if it is sound itself.

    None for what the reference was made from: it would be held against its own copy.
    """
    if cell.format is REFERENCE or laboratory.is_converted(Cell(REFERENCE)):
        return None
    evidence = laboratory.gateway(Gateway.G0, Cell(REFERENCE))
    sound = evidence is not None and evidence.outcome.passes
    return laboratory.artifact(Cell(REFERENCE)) if sound else None


def _artifact_record(artifact: Artifact, laboratory: Laboratory) -> dict[str, Any]:
    return {
        "name": artifact.path.name,
        "bytes": sum(path.stat().st_size for path in artifact.files),
        "digest": artifact.digest,
        "files": {path.name: laboratory.workshop.digests.sha256(path) for path in artifact.files},
        "expected": dict(artifact.expected_sha256),
        "source": artifact.source,
        "converted_from": artifact.converted_from,
        "derived": artifact.derived,
    }


def _load(check: Check, laboratory: Laboratory) -> Observed:
    loaded = laboratory.load(check)
    return Observed(
        judgement=Judgement(
            outcome=Outcome.CORROBORATED,
            reason=f"loaded by {loaded.engine} as {loaded.dtype} on {loaded.device}",
            compared={"artifacts": 1},
        ),
        metrics={"load_seconds": loaded.seconds},
        observation={"load": asdict(loaded)},
        engine=loaded.engine,
        artifact_digest=laboratory.digest(check.cell),
    )


def _inference(check: Check, laboratory: Laboratory) -> Observed:
    chat = laboratory.load(check).has_chat_template
    request = question(G2_PROMPT, INFERENCE_TOKENS, chat=chat)
    [generation] = laboratory.engine(check.cell).generate([request], laboratory.timeout(check))
    return Observed(
        judgement=_judged(partial(judge_g2, generation), check, laboratory),
        prompt=generation.rendered_prompt or G2_PROMPT,
        answer=generation.text,
        raw=generation.raw,
        observation={"generation": generation_record(generation)},
        engine=laboratory.load(check).engine,
        artifact_digest=laboratory.digest(check.cell),
    )


def _quality(check: Check, laboratory: Laboratory) -> Observed:
    generations = probes(check, laboratory, check.cell)
    answers = "\n".join(generation.text for generation in generations)
    logprobs = reference_logprobs(check, laboratory, G4_PROMPTS, generations)
    shown = [token for token in special_tokens(check.cell, laboratory) if token in answers]
    family = sum(planned.subject == check.subject for planned in laboratory.plan.checks)
    judge = partial(judge_g4, generations, logprobs=logprobs, special_tokens=shown, family=family)
    return Observed(
        judgement=_judged(judge, check, laboratory),
        prompt="\n".join(G4_PROMPTS),
        answer=answers,
        observation={
            "probes": [
                {"prompt": prompt, "answer": generation.text, **generation_record(generation)}
                for prompt, generation in zip(G4_PROMPTS, generations, strict=True)
            ],
            **({REFERENCE_LOGPROBS: logprobs} if logprobs else {}),
            **({SPECIAL_TOKENS: shown} if shown else {}),
            FAMILY: family,
        },
        engine=laboratory.load(check).engine,
        artifact_digest=laboratory.digest(check.cell),
    )


def _judged(judge: Callable[..., Judgement], check: Check, laboratory: Laboratory) -> Judgement:
    """Return a judgement, which looks at the reference's gateway only where it has failed."""
    judgement = judge()
    if judgement.outcome.fails and _reference_holds(check, laboratory):
        return judge(reference_holds=True)
    return judgement


def _reference_holds(check: Check, laboratory: Laboratory) -> bool:
    """Whether the reference, when it is another artifact, passes the gateway of a check."""
    if check.cell.format is REFERENCE:
        return False
    evidence = laboratory.gateway(Gateway(check.subject), REFERENCE_ENGINE)
    return evidence is not None and settled(evidence).passes


def _stability(check: Check, laboratory: Laboratory) -> Observed:
    """Look back over the run: a crash or hang that repeated in a fresh engine fails G3."""
    found = so_far(laboratory)
    records = [
        record
        for record in (found.records if found else ())
        if record.backend is not None and record.check != check.name
    ]
    stopped = [record for record in records if times(record, STOPPED)]
    repeated = [record for record in stopped if not record.flaky]
    judgement = judge_g3(
        repeated=[record.check for record in repeated],
        flaky=[record.check for record in stopped if record.flaky],
        executed=sum(record.outcome.executed for record in records),
        attribution=_whose(repeated, records),
    )
    return Observed(judgement=judgement)


def _whose(repeated: Sequence[Evidence], records: Sequence[Evidence]) -> Attribution:
    """Say whose doing crashes are: the conversion's when the reference passes all these checks."""
    passed = {record.check for record in records if settled(record).passes}
    sound = all(_of_reference(record) in passed for record in repeated)
    return Attribution.CONVERSION if sound else Attribution.ENGINE


def _of_reference(record: Evidence) -> str:
    """Return the name of a record's check in the reference's cell."""
    name, _, _ = record.check.partition("[")
    return f"{name}[{reference_cell(record.modality)}]"


_GATEWAYS: dict[Gateway, Callable[[Check, Laboratory], Observed]] = {
    Gateway.G0: _integrity,
    Gateway.G1: _load,
    Gateway.G2: _inference,
    Gateway.G3: _stability,
    Gateway.G4: _quality,
}
