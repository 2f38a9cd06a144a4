"""The engine's own answer to what is asked over HTTP: asked with the batch, and by nobody twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.words import Backend, Cell, Format, Modality, Outcome

PLAYBOOK = """\
name: direct
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [safetensors]}
test_matrix:
  modalities: [run, serve]
  backends: [cpu]
  scenario_count: 3
  prompts: [What is 2+2?, The cat sat on, Hello]
metadata: {tier: mvp}
"""

Kill = Callable[[HostedEngine], None]
Arrange = Callable[[Callable[[HostedEngine, Sequence[Request]], None]], None]


def planned(laboratory: Laboratory, modality: Modality) -> list[Check]:
    """Return the ordinary questions of a modality, once the gateways they need have held."""
    cell = Cell(Format.SAFETENSORS, Backend.CPU, modality)
    checks = [
        check
        for check in laboratory.scenarios(cell)
        if check.cell == cell and check.scenario and not check.scenario.edge
    ]
    laboratory.require(checks[0].needs, cell)
    return checks


def test_it_comes_with_the_batch_of_the_other_questions(
    laboratory: Laboratory, before_a_batch: Arrange
) -> None:
    asked: list[int] = []
    served = planned(laboratory, Modality.SERVE)
    before_a_batch(lambda engine, requests: asked.append(len(requests)))
    laboratory.answers.of(planned(laboratory, Modality.RUN)[0])
    [batch] = asked
    answers = [laboratory.answers.direct(check) for check in served]
    assert asked == [batch]
    assert all(
        check.scenario and check.scenario.prompt in answer.rendered_prompt
        for check, answer in zip(served, answers, strict=True)
    )
    assert len({answer.rendered_prompt for answer in answers}) == len(served)


def test_its_crash_meets_the_check_that_asks_the_same_over_http(
    laboratory: Laboratory, before_a_batch: Arrange, kill: Kill
) -> None:
    served, asked = planned(laboratory, Modality.SERVE)[0], planned(laboratory, Modality.RUN)
    guilty = laboratory.answers.request(served)
    before_a_batch(lambda engine, requests: kill(engine) if guilty in requests else None)
    others = [run_check(check, laboratory) for check in asked]
    crashed = run_check(served, laboratory)
    assert [attempt.outcome for attempt in crashed.attempts] == [Outcome.CRASHED] * 2
    assert all(len(other.attempts) == 1 and other.outcome.executed for other in others)
