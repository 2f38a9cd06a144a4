"""The same question by other ways: over modalities, formats and backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Engine, Request
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.parity import judge_backends, judge_formats, judge_modalities
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.playbook.endpoint import ENDPOINT
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.run.endpoint import compare_with_endpoint
from pytest_aprqa.run.fidelity import pair_of
from pytest_aprqa.run.invariants import explained
from pytest_aprqa.run.observed import BlockedError, Observed, generation_record
from pytest_aprqa.run.probes import ALONE_TOKENS, alone, probes, question
from pytest_aprqa.words import REFERENCE_ENGINE, Backend, Cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

PROMPTS = 4
"""How many prompts two formats or backends are compared on."""


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Ask the same by two or more ways and compare the answers."""
    judgement, generations = _COMPARISONS[check.subject](check, laboratory)
    return Observed(
        judgement=judgement,
        prompt=generations[0].rendered_prompt,
        answer=generations[0].text,
        observation={
            "generations": [{"text": g.text, **generation_record(g)} for g in generations]
        },
        engine=laboratory.load(check).engine if check.cell.backend else "",
        artifact_digest=laboratory.digest(check.cell),
    )


Result = tuple[Judgement, list[Generation]]


def _modalities(check: Check, laboratory: Laboratory) -> Result:
    """Give run the text that chat makes of a question, and serve the question itself."""
    limit = laboratory.timeout(check)
    chat = laboratory.load(check).has_chat_template
    request = question(G4_PROMPTS[0], ALONE_TOKENS, chat=chat)
    by_chat = alone(check, laboratory) if chat else None
    by_run = _by_run(request, by_chat, laboratory.engine(check.cell), limit)
    by_serve = laboratory.server(check.cell).generate_over_http(request, limit)
    judgement = judge_modalities(run=by_run, chat=by_chat, serve=by_serve)
    if laboratory.asks_named_server(check):
        told = f"{laboratory.answering(check)} tells no tokens: its answer is compared as text."
        judgement = replace(judgement, reason=f"{judgement.reason} {told}")
    return judgement, [g for g in (by_run, by_chat, by_serve) if g is not None]


def _by_run(
    request: Request, by_chat: Generation | None, engine: Engine, limit: float
) -> Generation | None:
    """Ask as raw text what the template makes of a question.

    Some tokenizers put a start token before every raw text. A template that writes one itself would
    give two, so its own is left out; one that writes none cannot be said as raw text at all.
    """
    if request.messages is None or by_chat is None:
        return engine.generate([request], limit)[0]
    rendered = engine.render(request.messages, limit)
    raw = replace(request, prompt=rendered, messages=None, parse_special=True)
    [answer] = engine.generate([raw], limit)
    start, wanted = answer.prompt_token_ids or (), by_chat.prompt_token_ids
    if not start or tuple(start[1:]) != wanted:
        return answer
    [text] = engine.detokenize([start[:1]], limit)
    if not rendered.startswith(text):
        return None
    return engine.generate([replace(raw, prompt=rendered.removeprefix(text))], limit)[0]


def _formats(check: Check, laboratory: Laboratory) -> Result:
    """Compare greedy answers with those of the reference, and score the reference's on both."""
    pair = pair_of(check, laboratory)
    reference = _answers(check, REFERENCE_ENGINE, laboratory)
    artifact = _answers(check, check.cell, laboratory)
    sequences = [(*(g.prompt_token_ids or ()), *(g.token_ids or ())) for g in reference]
    ours, theirs, budget = pair.score(sequences)
    judgement = judge_formats(
        reference, artifact, reference_scores=ours, artifact_scores=theirs, budget=budget
    )
    return explained(judgement, check, laboratory), [*artifact, *reference]


def _backends(check: Check, laboratory: Laboratory) -> Result:
    """Compare the greedy answers of the CPU with those of the GPU."""
    by_cpu = _answers(check, replace(check.cell, backend=Backend.CPU), laboratory)
    by_gpu = _answers(check, replace(check.cell, backend=Backend.GPU), laboratory)
    return judge_backends(by_cpu, by_gpu), [*by_cpu, *by_gpu]


def _answers(check: Check, cell: Cell, laboratory: Laboratory) -> list[Generation]:
    if reason := laboratory.unavailable(replace(check, cell=cell)):
        raise BlockedError(reason)
    return [*probes(check, laboratory, cell)[:PROMPTS], *_asked_for(check, cell, laboratory)]


def _asked_for(check: Check, cell: Cell, laboratory: Laboratory) -> list[Generation]:
    """Return the answer to the prompt that the playbook names for this check, if it names one."""
    if "prompt" not in check.params:
        return []
    chat = laboratory.load(replace(check, cell=cell)).has_chat_template
    request = question(check.params["prompt"], check.params["max_tokens"], chat=chat)
    return laboratory.engine(cell).generate([request], laboratory.timeout(check))


_COMPARISONS: dict[str, Callable[[Check, Laboratory], Result]] = {
    "modality": _modalities,
    "format": _formats,
    "backend": _backends,
    ENDPOINT: compare_with_endpoint,
}
