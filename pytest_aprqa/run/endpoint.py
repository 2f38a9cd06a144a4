"""Ask a server somebody else runs what the model under test would say: `ollama_parity`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.engine.remote import RemoteEngine
from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.judge.endpoint import EndpointAnswer, judge_endpoint
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.probes import PROBE_TOKENS, question

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

OLLAMA = "http://127.0.0.1:11434"
"""Where Ollama listens unless it is told otherwise."""


def compare_with_endpoint(
    check: Check, laboratory: Laboratory
) -> tuple[Judgement, list[Generation]]:
    """Ask the prompts of a check greedily, and hold the answers against the reference."""
    limit = laboratory.timeout(check)
    reference = laboratory.engine(check.cell)
    report = laboratory.load(check)
    settings = laboratory.settings
    server = laboratory.remote(
        check.params["base_url"] or settings.base_url or OLLAMA,
        check.params["model"] or settings.base_url_model,
    )
    asked = [
        question(prompt, PROBE_TOKENS, chat=report.has_chat_template)
        for prompt in check.params["prompts"]
    ]
    said = [_ask(server, request, limit) for request in asked]
    answers = [
        EndpointAnswer(prompt, _gaps(reference, request, answer.text, limit))
        for prompt, request, answer in zip(check.params["prompts"], asked, said, strict=True)
    ]
    judgement = judge_endpoint(answers, budget_for(report.dtype, check.params["dtype"]))
    return judgement, [
        replace(g, rendered_prompt=p) for g, p in zip(said, check.params["prompts"], strict=True)
    ]


def _ask(server: RemoteEngine, request: Request, limit: float) -> Generation:
    """Ask a server. That it fails, in whatever way, is no fault of the engines under test."""
    try:
        return server.generate([request], limit)[0]
    except EngineError as error:
        where = server.serve(limit).base_url
        raise EngineError(Fault.ENVIRONMENT, f"the server {where}: {error.message}") from error


def _gaps(reference: Engine, request: Request, text: str, limit: float) -> tuple[float, ...]:
    """Return how far each token of a text lies behind the reference's best one, in nats."""
    if not text.strip():
        return ()
    rendered = request.prompt
    if request.messages is not None:
        rendered = reference.render(request.messages, limit)
    [prompt] = reference.tokenize([rendered or ""], special=True, timeout=limit)
    [answer] = reference.tokenize([text], special=False, timeout=limit)
    [scores] = reference.score([(*prompt, *answer)], 1, limit)
    first = len(prompt) - 1
    chosen = zip(scores.top_logprobs[first:], scores.logprobs[first:], strict=True)
    return tuple(max(best[0] - logprob, 0.0) for best, logprob in chosen)
