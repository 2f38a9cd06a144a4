"""The conditions of a playbook are items that judge what the run has found."""

from __future__ import annotations

import pytest

GATES = """
falsification_gates:
  - {id: sound, condition: mqs >= 700 and G0 and G3 and pass_rate.QUAL.chat == 1 and crashes == 0}
  - {id: fast, condition: load_ms > 0 and memory_mb.gguf.cpu > 1, severity: P2}
  - {id: other, condition: tokens_per_second.gguf.cpu > tokens_per_second.gguf.cpu}
  - {id: never, condition: checks < 3, severity: P0}
  - {id: after, condition: checks > 3}
"""


def gates(session) -> dict[str, str]:
    return {
        record["check"]: record["outcome"]
        for record in session.evidence()["records"]
        if record["kind"] == "condition"
    }


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_gate_has_its_own_verdict(session, workers):
    result = session.run("-n", workers, playbook=session.playbook + GATES)
    assert gates(session) == {
        "gate-sound": "corroborated",
        "gate-fast": "corroborated",
        "gate-other": "inconclusive",
        "gate-never": "falsified",
        "gate-after": "corroborated",
    }
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*Status*BLOCKED: gate-never: `checks < 3` does not hold*"])
    never = next(r for r in session.evidence()["records"] if r["check"] == "gate-never")
    [low, high] = never["observation"]["figures"]["checks"]
    assert low == high > 3


def test_a_p0_gate_stops_a_run_that_stops_at_p0_and_others_do_not(session):
    playbook = session.playbook.replace("collect-all", "stop-on-p0") + GATES
    session.run("-n", "0", playbook=playbook.replace("never", "first").replace("checks < 3", "G4"))
    assert gates(session)["gate-after"] == "corroborated"
    session.run("-n", "0", playbook=playbook)
    assert gates(session)["gate-after"] == "skipped"


def test_regressions_that_have_just_been_found_are_seen_by_conditions(session):
    playbook = f"{session.playbook}\nfalsification_gates:\n  - {{id: same, condition: failures.REGR == 0}}\n"
    assert not [node for node in session.collect(playbook=playbook) if "gate-same" in node]
    session.run("-n", "0", playbook=playbook)
    session.run("-n", "2", playbook=playbook)
    assert gates(session) == {"gate-same": "corroborated"}
