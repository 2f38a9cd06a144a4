"""Ask generated questions of a family until one fails, and then the smallest that fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import EngineError
from pytest_aprqa.judge.answer import judge_answer
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check, Scenario
from pytest_aprqa.playbook.families import Generated, family_of
from pytest_aprqa.run.observed import BlockedError, Observed, generation_record
from pytest_aprqa.run.shrink import smallest_failure
from pytest_aprqa.words import REFERENCE, Attribution, Modality, Outcome, reference_cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Look for the smallest question of a family that is answered wrong."""
    loaded = laboratory.load(check)
    if check.cell.modality is not Modality.RUN and not loaded.has_chat_template:
        raise BlockedError("no chat template")
    asking = _Asking(check, laboratory)
    params = check.params
    try:
        failure = smallest_failure(
            family_of(params["family"]),
            asking.fails,
            count=params["count"],
            max_shrinks=params["max_shrinks"],
            seed=params["seed"],
        )
    except ImportError:
        raise BlockedError(
            "hypothesis is not installed: pip install 'pytest-aprqa[property]'"
        ) from None
    if asking.error is not None:
        raise asking.error
    known = {key: params[key] for key in ("family", "count", "seed")}
    observation: dict[str, object] = {"property": {**known, **asking.counts}}
    if failure is None:
        return Observed(
            judgement=asking.passed(),
            observation=observation,
            engine=laboratory.answering(check),
            artifact_digest=laboratory.digest(check.cell),
        )
    scenario, generation = asking.scenario(failure), asking.ask(failure)
    return Observed(
        judgement=asking.failed(scenario, generation),
        prompt=generation.rendered_prompt or scenario.prompt,
        answer=generation.text,
        raw=generation.raw,
        observation={**observation, "generation": generation_record(generation)},
        engine=laboratory.answering(check),
        artifact_digest=laboratory.digest(check.cell),
    )


class _Asking:
    """Asks questions of one cell and counts what came of them.

    After a fault of the engine nothing more is asked: no smaller question excuses it.
    """

    def __init__(self, check: Check, laboratory: Laboratory) -> None:
        self.error: EngineError | None = None
        self._check = check
        self._laboratory = laboratory
        self._outcomes: Counter[Outcome] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        return {outcome.value: count for outcome, count in self._outcomes.items()}

    def fails(self, question: Generated) -> bool:
        if self.error is not None:
            return False
        try:
            judgement = judge_answer(self.scenario(question), self.ask(question))
        except EngineError as error:
            self.error = error
            return False
        self._outcomes[judgement.outcome] += 1
        return judgement.outcome.fails

    def scenario(self, question: Generated) -> Scenario:
        modality = self._check.cell.modality
        assert modality is not None
        params = self._check.params
        return question.scenario(
            self._check.name, modality, max_tokens=params["max_tokens"], seed=params["seed"]
        )

    def ask(self, question: Generated) -> Generation:
        return self._answer(self._check, question)

    def passed(self) -> Judgement:
        judged = sum(count for outcome, count in self._outcomes.items() if outcome.executed)
        family = self._check.params["family"]
        if not judged:
            return inconclusive(f"no answer of the family {family} could be judged")
        return corroborated(
            f"{judged} generated questions of the family {family} were answered right",
            {"prompts": judged},
            expected="no question of the family that is answered wrong",
        )

    def failed(self, scenario: Scenario, generation: Generation) -> Judgement:
        judgement = judge_answer(scenario, generation, self._reference(scenario))
        tried = self._outcomes.total()
        return falsified(
            f"of {tried} generated questions {sum(self._wrong())} failed, the smallest is "
            f"{scenario.prompt!r}: {judgement.reason}",
            judgement.attribution or Attribution.MODEL,
            {"prompts": tried},
            expected=judgement.expected,
        )

    def _wrong(self) -> list[int]:
        return [count for outcome, count in self._outcomes.items() if outcome.fails]

    def _reference(self, scenario: Scenario) -> Generation | None:
        """Return what the reference answers to the smallest question; None when it cannot."""
        if self._check.cell.format is REFERENCE:
            return None
        cell = reference_cell(self._check.cell.modality)
        try:
            self._laboratory.require_reference()
            return self._laboratory.answers.ask(replace(self._check, cell=cell, scenario=scenario))
        except (BlockedError, EngineError):
            return None

    def _answer(self, check: Check, question: Generated) -> Generation:
        return self._laboratory.answers.ask(replace(check, scenario=self.scenario(question)))
