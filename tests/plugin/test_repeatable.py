"""The same playbook, seed and machine: the same run, twice. And what cannot be judged never passes."""

from __future__ import annotations

import json
from typing import Any

PLAYBOOK = """\
name: tiny
model:
  hf_repo: aprqa/aprqa-reference
  builtin: aprqa-reference
  formats: [gguf]
test_matrix:
  modalities: [run, chat]
  backends: [cpu]
  scenario_count: 4
  seed: 7
  prompts:
    - What is 2+2?
    - {name: sampled, prompt: Tell me about the sea., temperature: 1.5, oracles: [{type: garbage}]}
    - {name: story, prompt: Tell me a story., oracles: [{type: arithmetic}]}
    - {name: capital, prompt: What is the capital of France?, expected: Paris}
property_tests:
  - {name: sums, generator: arithmetic(), oracle: correct, count: 20}
failure_policy: collect-all
metadata: {tier: mvp}
"""


def evidence(session: Any, directory: str) -> dict[str, Any]:
    session.run("--aprqa-no-result-cache", f"--certifications={directory}", playbook=PLAYBOOK)
    path = session.path / directory / "aprqa-reference" / "evidence.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def told(run: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what the records say of the model, in their order, without times and places."""
    names = ("check", "prompt", "answer", "outcome", "compared", "expected", "attribution")
    return [tuple(record[name] for name in names) for record in run["records"]]


def test_one_playbook_gives_the_same_prompts_order_outcomes_and_score_twice(session: Any) -> None:
    first, second = evidence(session, "one"), evidence(session, "two")
    assert first["plan"] == second["plan"]
    assert told(first) == told(second)
    assert first["mqs"] == second["mqs"]
    assert first["certificate"] == second["certificate"]

    by_check = {record["check"]: record for record in first["records"]}
    for modality in ("run", "chat"):
        story = by_check[f"story[gguf-cpu-{modality}]"]
        assert story["outcome"] == "inconclusive"
        assert story["reason"].startswith("arithmetic does not apply: ")
    assert first["certificate"]["status"] == "PARTIAL"

    sums = by_check["property-01-arithmetic[gguf-cpu-run]"]
    assert sums["outcome"] == "falsified"
    assert "the smallest is " in sums["reason"]
    assert sums["compared"]["prompts"] >= sums["observation"]["property"]["falsified"] > 0


def test_what_no_oracle_can_judge_is_told_and_never_passes(session: Any) -> None:
    result = session.run("-k", "story", "-rs", playbook=PLAYBOOK)
    assert "passed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["SKIPPED*inconclusive: arithmetic does not apply: *"])
