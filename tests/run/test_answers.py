"""How long the answers of a model are kept."""

from __future__ import annotations

import gc

from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.words import Backend, Cell, Format, Modality

PLAYBOOK = """\
name: kept
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [safetensors, gguf]}
test_matrix:
  {modalities: [run, chat, serve], backends: [cpu], scenario_count: 1, prompts: [What is 2+2?]}
metadata: {tier: mvp}
"""


def question(laboratory: Laboratory, format: Format, modality: Modality) -> Check:
    """Return the question that is planned in every cell, for one of them."""
    cell = Cell(format, Backend.CPU, modality)
    planned = [c for c in laboratory.scenarios(cell) if c.cell == cell and c.scenario]
    [check] = [c for c in planned if c.scenario and c.scenario.prompt == "What is 2+2?"]
    return check


def answers_held() -> int:
    """Return how many answers this process holds on to."""
    gc.collect()
    return sum(type(held) is Generation for held in gc.get_objects())


def test_an_answer_is_kept_until_the_server_of_its_engine_was_held_against_it(
    laboratory: Laboratory,
) -> None:
    chat = question(laboratory, Format.GGUF, Modality.CHAT)
    serve = question(laboratory, Format.GGUF, Modality.SERVE)
    answer = laboratory.answers.of(chat)
    laboratory.answers.forget(chat)
    assert laboratory.answers.direct(serve) is answer
    laboratory.answers.forget(serve)
    assert laboratory.answers.direct(serve) is not answer


def test_an_answer_of_the_reference_is_kept_until_whoever_may_need_it_was_asked(
    laboratory: Laboratory,
) -> None:
    twin = question(laboratory, Format.SAFETENSORS, Modality.RUN)
    check = question(laboratory, Format.GGUF, Modality.RUN)
    answer = laboratory.answers.of(twin)
    laboratory.answers.forget(twin)
    assert laboratory.answers.reference(check) is answer
    laboratory.answers.forget(check)
    laboratory.answers.forget(question(laboratory, Format.SAFETENSORS, Modality.SERVE))
    assert laboratory.answers.of(twin) is not answer


def test_when_every_question_was_asked_no_answer_is_kept(laboratory: Laboratory) -> None:
    scenarios = [c for c in laboratory.plan.checks if c.kind is CheckKind.SCENARIO]
    for gateway in (
        c for c in laboratory.plan.checks if c.name.startswith(("G0", "G1", "G2", "G4"))
    ):
        run_check(gateway, laboratory)
    before = answers_held()
    assert all(run_check(check, laboratory).outcome.executed for check in scenarios)
    assert answers_held() == before
