"""Every command once as a process of its own: the entry point, the exit code, the streams."""

from __future__ import annotations

import shutil

import pytest

COMMANDS = {
    "certify": (["APRQA-Reference", "--tier", "quick", "--no-gpu", "--dry-run"], 0),
    "score": (["{evidence}"], 0),
    "report": (["{evidence}", "-o", "."], 0),
    "rejudge": (["{evidence}"], 0),
    "tickets": (["{evidence}"], 0),
    "export-csv": (["-o", "other.csv"], 0),
    "export-evidence": (["{evidence}"], 0),
    "attest": (["{evidence}"], 0),
    "model-card": (["{evidence}", "--readme", "card.md"], 0),
    "list": ([], 0),
    "sync-readme": ([], 3),
    "generate": (["org/name", "-c", "2"], 0),
    "lock-playbooks": ([], 0),
    "new": (["org/name"], 0),
    "bootstrap": (["{model}", "-o", "b.playbook.yaml"], 0),
    "validate-contract": (["{model}"], 0),
    "convert": (["{model}", "m.apr"], 0),
    "diagnose": (["nowhere"], 3),
    "parity": (["--list"], 3),
    "validate": ([], 0),
    "tools": (["{model}", "--apr-binary", "no-such-program"], 3),
}
"""`run`, `doctor`, `diagnose` and `parity` are run in earnest as processes elsewhere."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_a_process_with_an_exit_code(process, certified, builtin, tmp_path, command):
    shutil.copytree(certified.root, tmp_path / "root")
    names = {"{evidence}": "certifications/aprqa-reference/evidence.json", "{model}": builtin}
    arguments, code = COMMANDS[command]
    result = process(command, *(names.get(a, a) for a in arguments), cwd=tmp_path / "root")
    assert result.code == code, result
    assert "Traceback" not in result.err
    assert bool(result.out) is (code == 0)
    assert bool(result.err) is (code != 0)
