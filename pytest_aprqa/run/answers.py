"""The answers of a model to the planned scenarios, asked for in batches and kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import BATCH, EngineError, Fault, Request
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check, CheckKind, Message, Scenario
from pytest_aprqa.words import REFERENCE, Cell, Modality, reference_cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

PAST_CONTEXT_WORD = "word "
"""At least one token in every tokenizer we know."""


_TOLD_BY_NO_PROMPT = (Fault.PROTOCOL, Fault.ENVIRONMENT)
"""Faults of a batch that any fault of a prompt alone accounts for."""


class BatchError(EngineError):
    """A batch failed in a way in which none of its prompts fails alone."""

    def __init__(self, error: EngineError, prompts: int) -> None:
        super().__init__(
            error.fault,
            f"in a batch of {prompts} prompts {error.message}, and none of them did so alone",
            stderr=error.stderr,
            signal=error.signal,
        )


class Answers:
    """Generations by cell and scenario.

    Chat goes to the engine, or like serve to the server the user named. A raw or chat question for
    the engine is asked in a batch with its neighbours in the plan of its artifact and backend;
    batches are the same whichever of their questions comes first, and hold the engine's own answers
    to what is asked over HTTP. When a batch fails, its prompts are asked one by one until one of
    them accounts for the fault, which then meets its own check. When none does, the check that came
    first meets the fault of the batch (BatchError).

    An answer is kept until the last planned check that may ask for it is done.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._known: defaultdict[str, dict[Cell, Generation]] = defaultdict(dict)
        self._open: defaultdict[str, set[Cell]] = defaultdict(set)
        for check in laboratory.plan.checks:
            if check.kind is CheckKind.SCENARIO and check.scenario:
                self._open[check.scenario.name].add(check.cell)
        self._batches: dict[Cell, dict[str, Sequence[Check]]] = {}
        self._faults: dict[str, EngineError] = {}

    def of(self, check: Check) -> Generation:
        """Return the answer to a scenario check. Raises EngineError.

        A fault that was met while its batch was asked is raised once: the next call asks again.
        """
        self._ask_neighbours(check)
        if fault := self._faults.pop(check.name, None):
            raise fault
        return self._answer(check)

    def _answer(self, check: Check) -> Generation:
        assert check.scenario is not None
        known = self._known[check.scenario.name]
        if check.cell not in known:
            known[check.cell] = self.ask(check)
        return known[check.cell]

    def take(self, check: Check) -> Generation:
        """Return the answer as `of` does, for its record; others are not told `raw` any more."""
        answer = self.of(check)
        assert check.scenario is not None
        self._known[check.scenario.name][check.cell] = replace(answer, raw="")
        return answer

    def forget(self, check: Check) -> None:
        """Let go of the answers that only this check, which is done, would have asked for."""
        if check.scenario is None:
            return
        still_open = self._open[check.scenario.name]
        still_open.discard(check.cell)
        known = self._known[check.scenario.name]
        for cell in tuple(known):
            if not any(_may_ask(asking, cell) for asking in still_open):
                del known[cell]
        if not still_open:
            del self._known[check.scenario.name], self._open[check.scenario.name]

    def direct(self, check: Check) -> Generation:
        """Return the engine's own answer to what a serve check asks over HTTP. Raises EngineError."""
        assert check.scenario is not None
        if twin := self._direct_twin(check):
            return self.of(twin)
        # The chat cell holds the named server's answer.
        cell, known = replace(check.cell, modality=None), self._known[check.scenario.name]
        if cell not in known:
            engine = self._laboratory.engine(check.cell)
            limit = self._laboratory.timeout(check)
            known[cell] = engine.generate([self.request(check)], limit)[0]
        return known[cell]

    def reference(self, check: Check) -> Generation | None:
        """Return the reference's answer to the same scenario; None when it has none."""
        assert check.scenario is not None
        cell = reference_cell(check.cell.modality)
        twin = self._laboratory.planned(f"{check.scenario.name}[{cell}]")
        if twin is None or check.cell.format is REFERENCE:
            return None
        try:
            self._laboratory.require_reference(twin.needs)
            self._ask_neighbours(twin)
            # What its batch met is for its own check to tell.
            fault = self._faults.get(twin.name)
            return None if fault and not isinstance(fault, BatchError) else self._answer(twin)
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
        """Ask the batch that a check belongs to, once, unless its answer is known."""
        assert check.scenario is not None
        if check.cell in self._known[check.scenario.name] or not self._fits_a_batch(check):
            return
        group = check.cell.engine
        if group not in self._batches:
            self._batches[group] = self._batches_of(group)
        if batch := self._batches[group].get(check.name):
            for asked in batch:
                del self._batches[group][asked.name]
            self._ask_batch(check, batch)

    def _batches_of(self, group: Cell) -> dict[str, Sequence[Check]]:
        """Return the batch of each check of a format and backend that can be asked in one.

        What is asked over HTTP is in it too, for the engine's own answer.
        """
        checks: dict[str, Check] = {}
        for check in self._laboratory.scenarios(group):
            assert check.scenario is not None
            # Nobody looks at the engine's own answer to an edge case.
            beside = check.cell.modality is Modality.SERVE and not check.scenario.edge
            asked = self._direct_twin(check) if beside else check
            if asked and self._fits_a_batch(asked):
                checks.setdefault(asked.name, asked)
        whole = list(checks.values())
        batches = [whole[start : start + BATCH] for start in range(0, len(whole), BATCH)]
        return {check.name: batch for batch in batches for check in batch}

    def _direct_twin(self, serve: Check) -> Check | None:
        """Return the check that asks the engine itself what a serve check asks over HTTP.

        None when it is a chat, and the chat cell is the named server's.
        """
        assert serve.scenario is not None
        chat = self.has_template(serve)
        if chat and self._laboratory.asks_named_server(serve):
            return None
        cell = replace(serve.cell, modality=Modality.CHAT if chat else Modality.RUN)
        return replace(serve, cell=cell, name=f"{serve.scenario.name}[{cell}]")

    def _fits_a_batch(self, check: Check) -> bool:
        if self._laboratory.asks_named_server(check) or check.params.get("past_context"):
            return False
        if check.cell.modality is Modality.SERVE:
            return False
        return check.cell.modality is Modality.RUN or self.has_template(check)

    def _ask_batch(self, first: Check, checks: Sequence[Check]) -> None:
        engine = self._laboratory.engine(first.cell)
        limit = self._laboratory.timeout(first) * len(checks)
        try:
            answers = engine.generate([self.request(check) for check in checks], limit)
        except EngineError as error:
            if len(checks) == 1:
                self._faults[first.name] = error
            elif not self._is_met_alone(error, checks):
                self._faults[first.name] = BatchError(error, len(checks))
            return
        for check, answer in zip(checks, answers, strict=True):
            assert check.scenario is not None
            self._known[check.scenario.name][check.cell] = answer

    def _is_met_alone(self, error: EngineError, checks: Sequence[Check]) -> bool:
        """Ask the prompts of a failed batch one by one; return whether one accounts for its fault."""
        for check in checks:
            try:
                self._answer(check)
            except EngineError as own:
                self._faults[check.name] = own
                if own.fault is error.fault or error.fault in _TOLD_BY_NO_PROMPT:
                    return True
        return False

    def ask(self, check: Check) -> Generation:
        """Ask a scenario check's question by itself, now. Raises EngineError."""
        limit = self._laboratory.timeout(check)
        request = self.request(check)
        if check.cell.modality is Modality.SERVE:
            return self._laboratory.server(check.cell).generate_over_http(request, limit)
        if self._laboratory.asks_named_server(check):
            return self._laboratory.server(check.cell).generate([request], limit)[0]
        return self._laboratory.engine(check.cell).generate([request], limit)[0]


def _may_ask(asking: Cell, asked: Cell) -> bool:
    """Whether a question's verdict in one cell may rest on its answer in another.

    It may be the answer itself, the engine's own beside its server's, or the reference's.
    """
    is_direct = asking.modality is Modality.SERVE and asking == replace(
        asked, modality=Modality.SERVE
    )
    return is_direct or asked in (asking, reference_cell(asking.modality))


def conversation(scenario: Scenario, prompt: str) -> tuple[Message, ...]:
    """Return the messages of a scenario: system, history, then the user's prompt."""
    system = (Message("system", scenario.system),) if scenario.system is not None else ()
    return (*system, *scenario.history, Message("user", prompt))
