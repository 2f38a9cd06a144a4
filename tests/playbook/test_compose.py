from __future__ import annotations

import pytest

from pytest_aprqa.judge.oracles import make_oracle
from pytest_aprqa.playbook.compose import extending, generated, playbook_text, short_name
from pytest_aprqa.playbook.load import load_playbook


@pytest.mark.parametrize("count", [1, 12, 700])
def test_a_generated_playbook_loads_and_every_question_has_a_working_oracle(tmp_path, count):
    path = tmp_path / "made.playbook.yaml"
    path.write_text(
        playbook_text(generated({"hf_repo": "org/name"}, count, kernels=["mqa", "rope"])),
        encoding="utf-8",
    )
    scenarios = load_playbook(path).playbook.scenarios
    assert len({scenario.name for scenario in scenarios}) == count
    for scenario in scenarios:
        [oracle] = scenario.oracles
        make_oracle(oracle.type, oracle.config)


def test_an_extending_playbook_takes_the_rest_from_its_template(tmp_path):
    path = tmp_path / "made-mvp.playbook.yaml"
    fields = extending("mvp", "made-mvp", {"hf_repo": "org/name", "family": "f: [odd] #1"})
    path.write_text(playbook_text(fields))
    playbook = load_playbook(path).playbook
    assert playbook.model.family == "f: [odd] #1"
    assert playbook.test_matrix.scenario_count == 1


@pytest.mark.parametrize(
    ("model", "name"), [("Qwen/Qwen2.5-1.5B", "qwen2.5-1.5b"), ("a b/c d!", "c-d"), ("/", "model")]
)
def test_a_short_name_is_safe_in_file_names(model, name):
    assert short_name(model) == name
