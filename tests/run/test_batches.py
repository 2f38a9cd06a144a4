"""What becomes of a batch that fails: a fault meets its prompt, or is told by who asked first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.protocol import EngineError, Fault, Request
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Backend, Cell, Format, Modality, Outcome

PLAYBOOK = """\
name: batches
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [safetensors, gguf]}
test_matrix:
  modalities: [run]
  backends: [cpu]
  scenario_count: 3
  prompts: [What is 2+2?, The cat sat on, Hello]
metadata: {tier: mvp}
"""
CONVERTED = Cell(Format.GGUF, Backend.CPU, Modality.RUN)
REFERENCE = Cell(Format.SAFETENSORS, Backend.CPU, Modality.RUN)

Kill = Callable[[HostedEngine], None]
Arrange = Callable[[Callable[[HostedEngine, Sequence[Request]], None]], None]


def scenarios(laboratory: Laboratory, cell: Cell = CONVERTED) -> list[Check]:
    """Return the scenario checks that one batch asks, once all gateways they need have held."""
    planned = [c for c in laboratory.scenarios(cell) if not c.params.get("past_context")]
    laboratory.require(planned[0].needs, cell)
    return planned


def evidence_of(laboratory: Laboratory, checks: list[Check]) -> list[Evidence]:
    return [run_check(check, laboratory) for check in checks]


def test_a_crash_of_a_batch_alone_is_an_attempt_of_the_check_that_came_first(
    laboratory: Laboratory, before_a_batch: Arrange, kill: Kill
) -> None:
    checks = scenarios(laboratory)
    before_a_batch(lambda engine, requests: kill(engine) if len(requests) > 1 else None)
    first, *others = evidence_of(laboratory, checks)
    assert (first.outcome, first.flaky) == (Outcome.CRASHED, True)
    assert first.attempts[0].signal == "SIGSEGV"
    assert f"in a batch of {len(checks)} prompts" in first.attempts[0].reason
    assert first.attempts[1].outcome.executed
    assert first.answer
    assert all(len(other.attempts) == 1 and other.outcome.executed for other in others)
    assert Outcome.CRASHED not in {other.outcome for other in others}


def test_a_prompt_that_crashes_alone_too_answers_for_its_batch(
    laboratory: Laboratory, before_a_batch: Arrange, kill: Kill
) -> None:
    checks = scenarios(laboratory)
    guilty = checks[1].scenario
    assert guilty is not None

    def meddle(engine: HostedEngine, requests: Sequence[Request]) -> None:
        if any(request.prompt == guilty.prompt for request in requests):
            kill(engine)

    before_a_batch(meddle)
    first, crashed, *others = evidence_of(laboratory, checks)
    assert [attempt.outcome for attempt in crashed.attempts] == [Outcome.CRASHED] * 2
    assert not crashed.flaky
    assert all(len(other.attempts) == 1 for other in (first, *others))
    assert Outcome.CRASHED not in {other.outcome for other in (first, *others)}


def test_a_batch_without_memory_costs_nothing_and_is_told(
    laboratory: Laboratory, before_a_batch: Arrange
) -> None:
    checks = scenarios(laboratory)

    def meddle(engine: HostedEngine, requests: Sequence[Request]) -> None:
        if len(requests) > 1:
            raise EngineError(Fault.ENVIRONMENT, "no memory: MemoryError")

    before_a_batch(meddle)
    first, *others = evidence_of(laboratory, checks)
    assert first.attempts[0].outcome is Outcome.INCONCLUSIVE
    assert "no memory" in first.attempts[0].reason
    assert (first.outcome, first.flaky) == (first.attempts[1].outcome, False)
    assert all(len(other.attempts) == 1 and other.outcome.executed for other in others)


def test_the_fault_of_a_batch_that_another_check_asked_for_is_kept_for_its_own(
    laboratory: Laboratory, before_a_batch: Arrange, kill: Kill
) -> None:
    [twin, *_] = scenarios(laboratory, REFERENCE)
    before_a_batch(lambda engine, requests: kill(engine) if len(requests) > 1 else None)
    assert laboratory.answers.reference(replace(twin, cell=CONVERTED)) is not None
    first = run_check(twin, laboratory)
    assert (first.outcome, first.flaky) == (Outcome.CRASHED, True)
