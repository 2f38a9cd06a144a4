from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_aprqa.falsify.questions import playbook_text
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.words import Backend, Tier


def exam(count: int) -> str:
    tasks = []
    for n in range(count):
        common = {"topic": "capital", "system": None, "history": [], "oracle": "contains"}
        chat, run = f"The capital of {n} is City{n}.", f"City{n}."
        tasks.append(
            {"name": f"q{n}-chat", "prompt": f"Capital of {n}?", "expected": chat, **common}
        )
        tasks.append(
            {"name": f"q{n}-run", "prompt": f"The capital of {n} is", "expected": run, **common}
        )
    return json.dumps(tasks)


def prompts(directory: Path, seed: int) -> list[str]:
    path = directory / "falsify.playbook.yaml"
    path.write_text(playbook_text("org/model", directory, seed))
    playbook = load_playbook(path).playbook
    return [entry.prompt for entry in playbook.test_matrix.prompts]


def test_questions_are_drawn_from_the_exam_by_seed(tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text(exam(100))
    assert prompts(tmp_path, 1) == prompts(tmp_path, 1) != prompts(tmp_path, 2)
    assert len(set(prompts(tmp_path, 1))) == 24


def test_without_an_exam_the_catalogue_asks(tmp_path: Path) -> None:
    assert prompts(tmp_path, 1) == []


def test_the_questions_of_a_playbook_are_kept(tmp_path: Path) -> None:
    base = {"test_matrix": {"prompts": [{"prompt": "What is 2+2?"}], "backends": ["gpu"]}}
    path = tmp_path / "falsify.playbook.yaml"
    path.write_text(playbook_text("org/model", tmp_path, 1, base))
    playbook = load_playbook(path).playbook
    assert [entry.prompt for entry in playbook.test_matrix.prompts] == ["What is 2+2?"]
    assert playbook.test_matrix.backends == (Backend.CPU,)


@pytest.mark.parametrize("tier", [Tier.MVP, Tier.STANDARD])
def test_every_format_is_planned_on_the_cpu(tmp_path: Path, tier: Tier) -> None:
    path = tmp_path / "falsify.playbook.yaml"
    path.write_text(playbook_text("org/model", tmp_path, 1))
    plan = make_plan(load_playbook(path), tier=tier, no_gpu=True)
    assert len(plan.formats) == 3
    assert plan.backends == (Backend.CPU,)
