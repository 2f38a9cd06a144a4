from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256

import pytest


@pytest.fixture
def damaged(builtin, tmp_path):
    """The model with one weight that is not a number."""
    path = tmp_path / "damaged"
    shutil.copytree(builtin, path)
    (path / "SHA256SUMS").unlink()
    weights = path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2:] = b"\xff\x7f"  # BF16 NaN
    weights.write_bytes(content)
    return path


def test_a_sound_model_keeps_its_contract(cli, builtin):
    result = cli("validate-contract", builtin)
    assert result.code == 0, result
    assert "0 errors" in result.out


def test_what_breaks_the_contract_is_told_in_every_format(cli, damaged):
    text = cli("validate-contract", damaged)
    assert text.code == 1
    assert "1 of" in text.out
    assert "not finite" in text.out
    found = cli("validate-contract", damaged, "--format", "json").json
    [finding] = [f for f in found["artifacts"][0]["findings"] if f["severity"] == "error"]
    assert found["ok"] is False
    [run] = cli("validate-contract", damaged, "--format", "sarif").json["runs"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [(finding["rule"], "error")]
    [rule] = run["tool"]["driver"]["rules"]
    assert rule["id"] == finding["rule"]
    assert "NaN or infinite" in rule["shortDescription"]["text"]


def test_a_model_is_converted_there_and_back_with_a_record(cli, builtin, tmp_path):
    made = cli("convert", builtin, "out/small.gguf", "--quantize", "Q8_0")
    assert made.code == 0
    record = json.loads((tmp_path / "out" / "small.gguf.conversion.json").read_text())
    found = sha256((tmp_path / "out" / "small.gguf").read_bytes()).hexdigest()
    assert record["target"]["files"] == {"small.gguf": found}
    assert made.out.split()[-1] == record["target"]["digest"]
    assert record["quantization"] == "Q8_0"
    assert record["dtype_changes"]
    assert cli("convert", "out/small.gguf", "back").code == 0
    assert (tmp_path / "back" / "model.safetensors").is_file()
    assert cli("convert", "back", "again.apr").code == 0
    assert cli("validate-contract", "again.apr").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "out", "back", "again.apr", "again.apr.conversion.json",
    }  # fmt: skip


def test_long_work_is_seen_on_a_terminal_and_leaves_the_output_alone(builtin, tmp_path):
    command = [sys.executable, "-m", "pytest_aprqa.cli", "convert", builtin, "model.apr"]
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command,
        check=True,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # a terminal that is gone is no end of file but an error
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert b"Converting" in shown
    assert done.stdout.startswith(b"model.apr: apr, 1 files")


def test_a_conversion_replaces_nothing_that_it_has_not_made(cli, builtin, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    result = cli("convert", builtin, "mine", "--force")
    assert (result.code, "so it is not replaced" in result.sentence) == (2, True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "there.apr").write_text("x")
    assert "--force replaces it" in cli("convert", builtin, "there.apr").sentence
    assert cli("convert", builtin, "there.apr", "--force").code == 0
    assert "is the source" in cli("convert", "there.apr", "there.apr", "--force").sentence


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["convert", "nowhere.gguf", "x.apr"], 3, "does not exist"),
        (["convert", "{model}", "x.zip"], 2, "names no format"),
        (["convert", "{model}", "there/x.gguf", "-q", "Q99"], 2,
         "'Q99' cannot be made for gguf; these can: F32, F16, BF16, "),
        (["convert", "nowhere", "x", "-q", "Q8_0"], 2, "for safetensors; these can: F32, F16, BF16"),
        (["validate-contract", "/dev/null"], 3, "is neither a file nor a directory"),
        (["validate-contract", "."], 3, "holds no model"),
        (["validate-contract", "text.txt"], 3, "is no model file"),
        (["diagnose", "nowhere"], 3, "does not exist"),
        (["diagnose", "{model}", "--format", "safetensors"], 2, "are the reference"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_said_in_one_sentence(cli, builtin, tmp_path, arguments, code, words):
    (tmp_path / "there").mkdir()
    for name in ("text.txt", "there/x.gguf"):
        (tmp_path / name).write_text("no model")
    result = cli(*(str(builtin) if part == "{model}" else part for part in arguments))
    assert (result.code, words in result.sentence) == (code, True), result


def test_diagnose_proves_the_five_invariants_on_real_engines(cli, builtin):
    result = cli("diagnose", builtin, "--format", "gguf", "--threads", 1, "--json")
    assert result.code == 0, result
    assert [(r["subject"], r["format"], r["outcome"]) for r in result.json] == [
        (f"I-{number}", "gguf", "corroborated") for number in range(1, 6)
    ]


def test_diagnose_names_the_invariant_that_a_file_breaks(cli, builtin, tmp_path):
    """An APR whose file says other numbers than the SafeTensors beside it."""
    model = tmp_path / "model"
    shutil.copytree(builtin, model)
    assert cli("convert", builtin, model / "model.apr").code == 0
    apr = bytearray((model / "model.apr").read_bytes())
    middle = len(apr) // 2
    apr[middle : middle + 4096] = apr[middle + 8192 : middle + 8192 + 4096]
    (model / "model.apr").write_bytes(apr)
    result = cli("diagnose", model, "--format", "apr", "--threads", 1, "--json")
    assert result.code == 1
    by_subject = {record["subject"]: record for record in result.json}
    assert not any(by_subject[name]["outcome"] == "corroborated" for name in ("I-1", "I-4"))
