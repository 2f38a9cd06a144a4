"""The answers of a model to the planned scenarios, asked for in batches and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import EngineError, Request
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check, Message, Scenario
from pytest_aprqa.words import Backend, Cell, Modality

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

BATCH = 16
"""Most prompts in one batch: torch decodes 16 at seven times the rate of one."""

PAST_CONTEXT_WORD = "word "
"""At least one token in every tokenizer we know."""

Key = tuple[Cell, str]


class Answers:
    """Generations by cell and scenario.

    A raw or chat question is asked in a batch with its neighbours in the plan of its artifact and
    backend; batches are the same whichever of their questions comes first. When a batch fails,
    each prompt is asked alone, so that the fault meets its own check.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._known: dict[Key, Generation] = {}
        self._batches: dict[Cell, dict[str, Sequence[Check]]] = {}

    def of(self, check: Check) -> Generation:
        """Return the answer to a scenario check. Raises EngineError."""
        assert check.scenario is not None
        key = (check.cell, check.scenario.name)
        if key not in self._known and check.cell.modality is not Modality.SERVE:
            self._ask_neighbours(check)
        if key not in self._known:
            self._known[key] = self.ask(check)
        return self._known[key]

    def take(self, check: Check) -> Generation:
        """Return the answer as `of` does, for its record; others are not told `raw` any more."""
        answer = self.of(check)
        assert check.scenario is not None
        self._known[check.cell, check.scenario.name] = replace(answer, raw="")
        return answer

    def direct(self, check: Check) -> Generation:
        """Return the engine's own answer to what a serve check asks over HTTP."""
        assert check.scenario is not None
        modality = Modality.CHAT if self.has_template(check) else Modality.RUN
        key = (replace(check.cell, modality=modality), check.scenario.name)
        if key not in self._known:
            engine = self._laboratory.engine(check.cell)
            limit = self._laboratory.timeout(check)
            self._known[key] = engine.generate([self.request(check)], limit)[0]
        return self._known[key]

    def reference(self, check: Check) -> Generation | None:
        """Return the reference's answer to the same scenario; None when it has none."""
        from pytest_aprqa.run.laboratory import REFERENCE

        assert check.scenario is not None
        cell = Cell(REFERENCE, Backend.CPU, check.cell.modality)
        twin = self._laboratory.planned(f"{check.scenario.name}[{cell}]")
        if twin is None or check.cell.format is REFERENCE:
            return None
        try:
            self._laboratory.require_reference(twin.needs)
            return self.of(twin)
        except EngineError:
            return None

    def request(self, check: Check) -> Request:
        """Return what an engine is asked for a scenario check."""
        assert check.scenario is not None
        scenario = check.scenario
        prompt = scenario.prompt
        if check.params.get("past_context"):
            prompt = PAST_CONTEXT_WORD * (self._laboratory.load(check).context_length + 1)
        chat = check.cell.modality is not Modality.RUN and self.has_template(check)
        return Request(
            prompt=None if chat else prompt,
            messages=conversation(scenario, prompt) if chat else None,
            max_tokens=scenario.max_tokens,
            temperature=scenario.temperature,
            seed=scenario.seed,
        )

    def has_template(self, check: Check) -> bool:
        """Whether the model of a check has a chat template."""
        return self._laboratory.load(check).has_chat_template

    def _ask_neighbours(self, check: Check) -> None:
        """Ask the batch that a check belongs to, once."""
        group = check.cell.engine
        if group not in self._batches:
            self._batches[group] = self._batches_of(group)
        if batch := self._batches[group].get(check.name):
            for asked in batch:
                del self._batches[group][asked.name]
            self._ask_batch(batch)

    def _batches_of(self, group: Cell) -> dict[str, Sequence[Check]]:
        """Return the batch of each check of a format and backend that can be asked in one."""
        checks = [c for c in self._laboratory.scenarios(group) if self._fits_a_batch(c)]
        batches = [checks[start : start + BATCH] for start in range(0, len(checks), BATCH)]
        return {check.name: batch for batch in batches for check in batch}

    def _fits_a_batch(self, check: Check) -> bool:
        if check.cell.modality is Modality.SERVE or check.params.get("past_context"):
            return False
        return check.cell.modality is Modality.RUN or self.has_template(check)

    def _ask_batch(self, checks: Sequence[Check]) -> None:
        engine = self._laboratory.engine(checks[0].cell)
        limit = self._laboratory.timeout(checks[0]) * len(checks)
        try:
            answers = engine.generate([self.request(check) for check in checks], limit)
        except EngineError:
            return
        for check, answer in zip(checks, answers, strict=True):
            assert check.scenario is not None
            self._known[check.cell, check.scenario.name] = answer

    def ask(self, check: Check) -> Generation:
        """Ask a scenario check's question by itself, now. Raises EngineError."""
        limit = self._laboratory.timeout(check)
        request = self.request(check)
        if check.cell.modality is Modality.SERVE:
            return self._laboratory.server(check.cell).generate_over_http(request, limit)
        return self._laboratory.engine(check.cell).generate([request], limit)[0]


def conversation(scenario: Scenario, prompt: str) -> tuple[Message, ...]:
    """Return the messages of a scenario: system, history, then the user's prompt."""
    system = (Message("system", scenario.system),) if scenario.system is not None else ()
    return (*system, *scenario.history, Message("user", prompt))
