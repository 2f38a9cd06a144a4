"""Ask the model and judge its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_aprqa.judge.answer import judge_beside
from pytest_aprqa.judge.edge import judge_edge
from pytest_aprqa.judge.edge_prompt import PROMPT_FAULT
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.serving import judge_serve
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.edge import prompt_fault
from pytest_aprqa.run.observed import BlockedError, Observed, generation_record
from pytest_aprqa.words import Modality

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Ask one scenario in its cell."""
    assert check.scenario is not None
    loaded = laboratory.load(check)
    if check.cell.modality is Modality.CHAT and not loaded.has_chat_template:
        raise BlockedError("no chat template")
    generation = laboratory.answers.take(check)
    fault = prompt_fault(check, generation, laboratory) if check.scenario.edge else ""
    return Observed(
        judgement=_judge(check, generation, laboratory, fault),
        prompt=generation.rendered_prompt or check.scenario.prompt,
        answer=generation.text,
        raw=generation.raw,
        metrics={"seconds": generation.seconds} if generation.seconds else {},
        observation={
            "generation": generation_record(generation),
            **({PROMPT_FAULT: fault} if fault else {}),
        },
        engine=laboratory.answering(check),
        artifact_digest=laboratory.digest(check.cell),
    )


def _judge(
    check: Check, generation: Generation, laboratory: Laboratory, prompt_fault: str
) -> Judgement:
    assert check.scenario is not None
    if check.scenario.edge:
        judgement = judge_edge(check.scenario, generation, prompt_fault)
        if judgement.outcome.fails and (reference := laboratory.answers.reference(check)):
            judgement = judge_edge(check.scenario, generation, prompt_fault, reference)
        return judgement
    judgement = judge_beside(
        check.scenario, generation, lambda: laboratory.answers.reference(check)
    )
    if check.cell.modality is not Modality.SERVE or judgement.outcome.fails:
        return judgement
    served = _judge_transport(check, generation, laboratory)
    return served if served.outcome.fails else judgement


def _judge_transport(check: Check, generation: Generation, laboratory: Laboratory) -> Judgement:
    """Judge what the server said beside the answer: the stream and the token counts."""
    direct = laboratory.answers.direct(check)
    same_text = direct.token_ids is not None and direct.text == generation.text
    return judge_serve(
        generation,
        prompt_tokens=len(direct.prompt_token_ids) if direct.prompt_token_ids else None,
        completion_tokens=len(direct.token_ids or ()) if same_text else None,
    )
