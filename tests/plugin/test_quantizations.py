"""A playbook of several quantisations tests each of them as an artifact of its own."""

from __future__ import annotations

import shutil
from collections import defaultdict

PLAYBOOK = """\
name: tiny
model:
  hf_repo: aprqa/aprqa-reference
  builtin: aprqa-reference
  formats: [safetensors, gguf]
  quantizations: [q4_0, q8_0]
test_matrix:
  modalities: [run]
  backends: [cpu]
  scenario_count: 1
  prompts: ["What is 2+2?"]
failure_policy: collect-all
metadata: {tier: mvp}
"""
ARTIFACTS = ("safetensors", "gguf-q4_0", "gguf-q8_0")


def run(session, workers: str) -> dict[str, dict]:
    """Return the records of a first run by check; nothing of an earlier one is left."""
    shutil.rmtree(session.output, ignore_errors=True)
    session.run("-n", workers, playbook=PLAYBOOK)
    return {record["check"]: record for record in session.evidence()["records"]}


def test_each_quantisation_is_an_artifact_of_its_own_from_gateways_to_reports(session):
    found = run(session, "2")
    for artifact in ARTIFACTS:
        assert found[f"G0[{artifact}]"]["outcome"] == "corroborated"
        assert {f"G{n}[{artifact}-cpu]" for n in (1, 2, 4)} <= found.keys()
        assert f"prompt-001[{artifact}-cpu-run]" in found
    kl = {r["quantization"]: r["metrics"] for r in found.values() if r["subject"] == "I-1"}
    assert 0 <= kl["q8_0"]["kl_mean_nats"] < kl["q4_0"]["kl_mean_nats"]

    digests = defaultdict(set)
    for record in found.values():
        digests[record["format"], record.get("quantization")].add(record["artifact_digest"])
    tested = [("safetensors", None), ("gguf", "q4_0"), ("gguf", "q8_0")]
    assert {cell: len(of_it) for cell, of_it in digests.items() if cell[0]} == dict.fromkeys(
        tested, 1
    )
    assert len(set.union(*(digests[cell] for cell in tested))) == len(tested)
    assert tuple(session.evidence()["artifacts"]) == tuple(sorted(ARTIFACTS))
    report = (session.output / "report.md").read_text()
    assert all(f"| {artifact}-cpu |" in report for artifact in ARTIFACTS)

    alone = run(session, "0")
    assert {name: (r["outcome"], r["artifact_digest"]) for name, r in alone.items()} == {
        name: (r["outcome"], r["artifact_digest"]) for name, r in found.items()
    }


def test_the_node_ids_of_an_only_quantisation_do_not_name_it(session):
    one = PLAYBOOK.replace("[q4_0, q8_0]", "[q8_0]")
    none = PLAYBOOK.replace("  quantizations: [q4_0, q8_0]\n", "")
    assert session.collect(playbook=one) == session.collect(playbook=none)
    several = session.collect("-k", "q8_0", playbook=PLAYBOOK)
    assert several
    assert all("[gguf-q8_0" in node for node in several)
