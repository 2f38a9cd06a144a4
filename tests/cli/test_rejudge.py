from __future__ import annotations

import json

import pytest

BANNER = "\x1b[1;36m=== APR Run ===\x1b[0m\n\nSource: out/model.gguf\n\n"
RATES = "\x1b[1;36m=== Benchmark Results ===\x1b[0m\ntokens: 32\nlatency: 24.4ms\nmodel: out/4.gguf"


def record(output, *, prompt="What is 2+2?", outcome="Corroborated", gate="F-A1-001"):
    scenario = {"prompt": prompt, "modality": "run", "backend": "cpu", "format": "gguf"}
    return {
        "id": "0", "gate_id": gate, "outcome": outcome, "reason": "Test passed",
        "output": output, "stderr": None, "scenario": scenario,
    }  # fmt: skip


@pytest.fixture
def array(tmp_path):
    def write(*records):
        path = tmp_path / "array.json"
        path.write_text(json.dumps(records))
        return path

    return write


def test_an_array_of_outputs_is_judged_by_the_models_text_alone(cli, array):
    path = array(
        record(BANNER + RATES),
        record(BANNER + "2 + 2 equals 4.\n\n" + RATES),
        record(json.dumps({"text": " The sum is 5.", "tokens_generated": 4})),
        record("", outcome="Skipped"),
        record("G0 PASS: 4 tensors", gate="G0-PULL-001", prompt="G0 Pull"),
    )
    result = cli("rejudge", path, "--json")
    assert result.code == 1
    assert [(one["old"], one["new"]) for one in result.json["records"]] == [
        ("corroborated", "empty"),
        ("corroborated", "corroborated"),
        ("corroborated", "falsified"),
        ("skipped", "empty"),
        ("corroborated", "unjudged"),
    ]
    assert result.json["changed"] == 2
    assert result.json["totals"]["corroborated -> empty"] == 1


def test_rejudge_ends_well_when_every_pass_stands(cli, array):
    result = cli("rejudge", array(record("4"), record("5", outcome="Falsified")))
    assert result.code == 0, result
    assert "2 answers judged again, 0 with another verdict." in result.out


@pytest.mark.parametrize("records", [[], [record("G0 PASS", gate="G0-PULL-001", prompt="G0 Pull")]])
def test_nothing_to_judge_is_no_success(cli, array, records):
    result = cli("rejudge", array(*records))
    assert (result.code, "holds no answer" in result.sentence) == (1, True)


def test_what_a_model_says_cannot_steer_the_terminal(cli, array):
    result = cli(
        "rejudge", array(record("Output:\n\x1b]0;owned\x07\u202e 17 \x07\nCompleted in 1s"))
    )
    assert "\x07" not in result.out
    assert "\u202e" not in result.out


def test_our_own_evidence_comes_to_the_same_verdicts(cli, certified):
    result = cli("rejudge", certified.evidence, cwd=certified.root)
    assert result.code == 0, result
    assert "0 with another verdict" in result.out
    assert "falsified -> falsified" in result.out


def test_a_forged_pass_is_found_and_a_lost_answer_is_empty(cli, certified, tmp_path):
    run = json.loads(certified.evidence.read_text())
    asked = next(r for r in run["records"] if r["check"].startswith("impossible["))
    asked |= {"outcome": "corroborated", "reason": "trust me"}
    lost = next(r for r in run["records"] if r["check"].startswith("G2["))
    lost |= {"answer": " ", "observation": {}}
    (tmp_path / "evidence.json").write_text(json.dumps(run))
    result = cli("rejudge", "evidence.json", "--playbook", certified.playbook, "--json")
    assert result.code == 1
    changed = {one["record"]: one["new"] for one in result.json["records"] if one["changed"]}
    assert changed == {asked["check"]: "falsified", lost["check"]: "empty"}


def test_our_own_evidence_needs_its_playbook(cli, certified):
    result = cli("rejudge", certified.evidence)
    assert result.code == 3
    assert "give it with --playbook" in result.sentence


def test_an_array_of_something_else_is_said_with_its_place(cli, tmp_path):
    (tmp_path / "array.json").write_text('[{"gate_id": "F-A1-001", "outcome": "Fine"}]')
    result = cli("rejudge", "array.json")
    assert (result.code, result.sentence[:30]) == (2, "array.json, record 0, outcome:")
