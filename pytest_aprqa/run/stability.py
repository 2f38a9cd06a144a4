"""Ask the same thing twice, in a batch, with a cache, for long, and stop half-way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Engine, Request
from pytest_aprqa.judge.judgement import Judgement, all_of
from pytest_aprqa.judge.stability import (
    judge_batch,
    judge_cache,
    judge_cancellation,
    judge_limit,
    judge_long_generation,
    judge_repeat,
)
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.run.observed import Observed, generation_record
from pytest_aprqa.run.probes import ALONE_TOKENS, alone, ask_alone, question

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

LONG_TOKENS = 64
BATCH = 3
CANCEL_AFTER = 4
TEMPERATURE = 2.0
"""Of the sampled requests: so high that another seed gives another answer."""

Result = tuple[Judgement, list[Generation]]


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Carry out one stability procedure on an engine."""
    loaded = laboratory.load(check)
    desk = _Desk(check, laboratory, loaded.has_chat_template)
    judgement, generations = _PROCEDURES[check.subject](desk)
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
        artifact_digest=laboratory.digest(check.cell),
    )


@dataclass(frozen=True, slots=True)
class _Desk:
    """What asks the engine of a check: one greedy question at a time."""

    check: Check
    laboratory: Laboratory
    chat: bool

    @property
    def engine(self) -> Engine:
        return self.laboratory.engine(self.check.cell)

    @property
    def limit(self) -> float:
        return self.laboratory.timeout(self.check)

    def first(self) -> Generation:
        """The answer to the first prompt, which other checks share."""
        return alone(self.check, self.laboratory)

    def again(self) -> Generation:
        """The answer to the first prompt, asked now."""
        return ask_alone(self.check, self.laboratory)

    def ask(self, request: Request) -> Generation:
        return self.engine.generate([request], self.limit)[0]

    def story(self) -> Request:
        return question("Tell me a story.", LONG_TOKENS, chat=self.chat)


def _repeat(desk: _Desk) -> Result:
    first, second = desk.first(), desk.again()
    sampled = replace(
        question(G4_PROMPTS[0], ALONE_TOKENS, chat=desk.chat), temperature=TEMPERATURE
    )
    one, other = desk.ask(sampled), desk.ask(sampled)
    judgements = [
        judge_repeat(first, second),
        judge_repeat(one, other, between="between two sampled runs with one seed"),
    ]
    return all_of(judgements), [first, second, one, other]


def _batch(desk: _Desk) -> Result:
    requests = [question(prompt, ALONE_TOKENS, chat=desk.chat) for prompt in G4_PROMPTS[:BATCH]]
    single = [desk.first(), *map(desk.ask, requests[1:])]
    together = desk.engine.generate(requests, desk.limit * len(requests))
    return judge_batch(single, together), [*single, *together]


def _cache(desk: _Desk) -> Result:
    without = desk.first()
    before, cached = (
        replace(question(prompt, ALONE_TOKENS, chat=desk.chat), cache=True)
        for prompt in (G4_PROMPTS[1], G4_PROMPTS[0])
    )
    desk.ask(before)
    with_cache = desk.ask(cached)
    return judge_cache(without, with_cache), [without, with_cache]


def _long_generation(desk: _Desk) -> Result:
    generation = desk.ask(desk.story())
    judgement = judge_long_generation(generation, LONG_TOKENS)
    limit = len(generation.token_ids or ()) // 2
    if not judgement.outcome.passes or not limit:
        return judgement, [generation]
    cut = desk.ask(replace(desk.story(), max_tokens=limit))
    return all_of([judgement, judge_limit(generation, cut, limit)]), [generation, cut]


def _cancellation(desk: _Desk) -> Result:
    cancelled = desk.engine.stream(desk.story(), desk.limit, cancel_after=CANCEL_AFTER)
    after = desk.again()
    return judge_cancellation(cancelled, after, CANCEL_AFTER), [cancelled, after]


_PROCEDURES: dict[str, Callable[[_Desk], Result]] = {
    "repeat": _repeat,
    "batch": _batch,
    "cache": _cache,
    "long-generation": _long_generation,
    "cancellation": _cancellation,
}
