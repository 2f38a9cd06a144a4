"""Ask the same thing twice, in a batch, with a cache, for long, and stop half-way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Engine, Request
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.stability import (
    judge_batch,
    judge_cache,
    judge_cancellation,
    judge_long_generation,
    judge_repeat,
)
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check, Message
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.run.observed import Observed, generation_record

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

TOKENS = 16
LONG_TOKENS = 64
BATCH = 3
CANCEL_AFTER = 4

Result = tuple[Judgement, list[Generation]]


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Carry out one stability procedure on an engine."""
    loaded = laboratory.load(check)
    ask = _asker(loaded.has_chat_template)
    judgement, generations = _PROCEDURES[check.subject](
        laboratory.engine(check.cell), ask, laboratory.timeout(check)
    )
    first = generations[0]
    return Observed(
        judgement=judgement,
        prompt=first.rendered_prompt,
        answer=first.text,
        raw=first.raw,
        observation={
            "generations": [{"text": g.text, **generation_record(g)} for g in generations]
        },
        engine=loaded.engine,
        artifact_digest=laboratory.digest(check.cell.format),
    )


Ask = Callable[[str], Request]


def _asker(chat: bool) -> Ask:
    def ask(prompt: str) -> Request:
        return Request(
            prompt=None if chat else prompt,
            messages=(Message("user", prompt),) if chat else None,
            max_tokens=TOKENS,
        )

    return ask


def _repeat(engine: Engine, ask: Ask, limit: float) -> Result:
    request = ask(G4_PROMPTS[0])
    [first] = engine.generate([request], limit)
    [second] = engine.generate([request], limit)
    return judge_repeat(first, second), [first, second]


def _batch(engine: Engine, ask: Ask, limit: float) -> Result:
    requests = [ask(prompt) for prompt in G4_PROMPTS[:BATCH]]
    alone = [engine.generate([request], limit)[0] for request in requests]
    together = engine.generate(requests, limit * len(requests))
    return judge_batch(alone, together), [*alone, *together]


def _cache(engine: Engine, ask: Ask, limit: float) -> Result:
    request = ask(G4_PROMPTS[0])
    [without] = engine.generate([request], limit)
    cached = replace(request, cache=True)
    engine.generate([cached], limit)
    [with_cache] = engine.generate([cached], limit)
    return judge_cache(without, with_cache), [without, with_cache]


def _long_generation(engine: Engine, ask: Ask, limit: float) -> Result:
    request = replace(ask("Tell me a story."), max_tokens=LONG_TOKENS)
    [generation] = engine.generate([request], limit)
    return judge_long_generation(generation, LONG_TOKENS), [generation]


def _cancellation(engine: Engine, ask: Ask, limit: float) -> Result:
    request = replace(ask("Tell me a story."), max_tokens=LONG_TOKENS)
    cancelled = engine.stream(request, limit, cancel_after=CANCEL_AFTER)
    [after] = engine.generate([ask(G4_PROMPTS[0])], limit)
    return judge_cancellation(cancelled, after, CANCEL_AFTER), [cancelled, after]


_PROCEDURES: dict[str, Callable[[Engine, Ask, float], Result]] = {
    "repeat": _repeat,
    "batch": _batch,
    "cache": _cache,
    "long-generation": _long_generation,
    "cancellation": _cancellation,
}
