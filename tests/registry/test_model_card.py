from __future__ import annotations

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from pytest_aprqa.registry.model_card import END, START, eval_results, update_card
from pytest_aprqa.registry.models_csv import RegistryError

CARD = """\
---
license: mit  # as upstream
model-index:
- name: Tiny
  results:
  - task: {type: text-generation}
    dataset: {name: Others, type: others}
    metrics:
    - {type: accuracy, value: 0.5}
tags:
- small
---

# Tiny

Text of the author.
"""


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(CARD)
    return path


def metadata(path):
    return yaml.safe_load(path.read_text().split("---\n")[1])


def test_results_of_others_and_the_authors_text_stay(card, run_with):
    run = run_with()
    assert update_card(card, run) is True
    text = card.read_text()
    assert "license: mit  # as upstream\n" in text
    assert "tags:\n- small\n---\n\n# Tiny\n\nText of the author.\n" in text
    [model] = metadata(card)["model-index"]
    others, ours = model["results"]
    assert others["metrics"] == [{"type": "accuracy", "value": 0.5}]
    assert ours["dataset"] == {"type": "pytest-aprqa", "name": run.plan.playbook, "config": "mvp"}
    assert ours["metrics"][0]["value"] == run.certificate.score
    assert f"**{run.certificate.status}**" in text


def test_a_second_time_changes_no_byte(card, run_with):
    update_card(card, run_with())
    before = card.read_bytes()
    assert update_card(card, run_with()) is False
    assert card.read_bytes() == before


def test_a_later_run_takes_the_place_of_the_earlier(card, run_with):
    update_card(card, run_with(passed=10))
    update_card(card, run_with(passed=8, failed=1))
    assert len(metadata(card)["model-index"][0]["results"]) == 2
    assert card.read_text().count(START) == card.read_text().count(END) == 1


def test_the_hubs_own_library_reads_the_results(card, run_with):
    update_card(card, run_with())
    results = ModelCard.load(card).data.eval_results
    assert {"accuracy", "mqs", "pass_rate_lower_bound"} <= {one.metric_type for one in results}


def test_a_card_is_made_when_there_is_none(tmp_path, run_with):
    path = tmp_path / "new" / "README.md"
    assert update_card(path, run_with()) is True
    assert f"# {run_with().plan.model_id}" in path.read_text()
    assert update_card(path, run_with()) is False


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"---\na: [\n---\n", "no YAML"),
        (b"---\n- a\n---\n", "no mapping"),
        (b"\xff", "cannot be read"),
        (START.encode(), "once each"),
        (b"---\nmodel-index:\n# mine\n- {name: x, results: []}\n---\n", "without comments"),
    ],
)
def test_a_card_that_cannot_be_changed_is_one_sentence_and_stays(card, run_with, content, words):
    card.write_bytes(content)
    with pytest.raises(RegistryError, match=words):
        update_card(card, run_with())
    assert card.read_bytes() == content


def test_eval_results_are_what_the_hub_reads(run_with):
    run = run_with()
    [entry] = parse_eval_result_entries(yaml.safe_load(eval_results(run, "org/bench", "mvp")))
    assert (entry.dataset_id, entry.task_id, entry.value) == (
        "org/bench",
        "mvp",
        run.certificate.score,
    )
