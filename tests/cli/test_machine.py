from __future__ import annotations

import sys

import pytest

from pytest_aprqa.run.machine import Health, examine_apr

APR = f"""\
#!{sys.executable}
import json, sys, time
tool, *rest = sys.argv[1:]
if tool == "--help":
    print("Commands:")
    for name in ("inspect", "validate", "tensors", "check", "run", "trace", "bench", "tree"):
        print(f"  {{name:10}} does it")
elif tool == "--version":
    print("apr 9.9")
elif tool == "inspect":
    print("note first"); print(json.dumps({{"tensor_count": 38}}))
elif tool == "validate":
    print(json.dumps({{"passed": False}}))  # and exits 0
elif tool == "tensors":
    print("a table, no JSON")
elif tool == "check":
    assert "--no-gpu" in rest
    print(json.dumps({{"all_passed": True}}))
elif tool == "run":
    print(json.dumps({{"text": "  ", "tokens_generated": 8}}))
elif tool == "trace":
    sys.exit(2)
elif tool == "bench":
    time.sleep(60)
elif tool == "tree":
    import os; os.abort()
"""


@pytest.fixture
def apr(tmp_path):
    """A program that answers as builds of apr do, sound and unsound."""
    path = tmp_path / "apr"
    path.write_text(APR)
    path.chmod(0o755)
    return path


def test_tools_read_verdicts_and_not_exit_codes(cli, apr, builtin):
    result = cli("tools", builtin, "--apr-binary", apr, "--no-gpu", "--timeout", 1500, "--json")
    assert result.code == 1
    assert {found["tool"]: found["outcome"] for found in result.json} == {
        "inspect": "corroborated",
        "validate": "falsified",
        "tensors": "inconclusive",
        "check": "corroborated",
        "run": "falsified",
        "trace": "skipped",
        "bench": "timeout",
        "tree": "crashed",
        "lint": "skipped",
        "profile": "skipped",
    }


def test_tools_need_the_program_and_the_model(cli, apr, builtin):
    result = cli("tools", builtin, "--apr-binary", "no-such-program")
    assert (result.code, "no-such-program" in result.sentence) == (3, True)
    assert cli("tools", "nowhere", "--apr-binary", apr).code == 3


def test_doctor_imports_the_engines_and_asks_the_apr_binary(process, apr):
    result = process("doctor", "--apr-binary", apr, "--json")
    assert result.code == 0, result
    found = {one["name"]: one for one in result.json}
    assert found["apr binary"]["text"].endswith("apr 9.9")
    assert found["llama.cpp (GGUF)"]["text"].startswith("xllamacpp")
    assert found["transformers (SafeTensors, APR)"]["health"] == "ok"


def test_an_apr_binary_that_was_asked_for_is_needed():
    named, unnamed = examine_apr("no-such-program"), examine_apr(None)
    assert (named.needed, named.health) == (True, Health.BROKEN)
    assert unnamed.needed is False
