from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from jsonschema import Draft202012Validator

from pytest_aprqa.cli.app import app
from pytest_aprqa.cli.documentation import made_from_code
from pytest_aprqa.cli.exits import MEANINGS, Exit


@pytest.mark.parametrize("name", made_from_code(app))
def test_a_file_made_from_the_code_is_what_the_code_says(checkout_root, name):
    stored = (checkout_root / name).read_text("utf-8")
    assert stored == made_from_code(app)[name], "write it anew with `apr-qa docs`"


def test_docs_writes_what_check_finds_stale(cli, tmp_path):
    assert cli("docs", "--check").code == 1
    assert cli("docs").code == 0
    assert cli("docs", "--check").code == 0
    (tmp_path / "docs" / "playbooks.md").write_text("old")
    stale = cli("docs", "--check")
    assert (stale.code, "docs/playbooks.md is not what the code says" in stale.out) == (1, True)


def test_evidence_of_a_run_fits_the_published_schema(certified, checkout_root):
    schema = json.loads((checkout_root / "playbooks" / "evidence.schema.json").read_text())
    run = json.loads(certified.evidence.read_text())
    validator = Draft202012Validator(schema)
    assert list(validator.iter_errors(run)) == []
    run["certificate"]["status"] = "SPLENDID"
    assert list(validator.iter_errors(run))


def test_every_exit_code_has_a_meaning_and_is_in_the_help(process):
    assert set(MEANINGS) == set(Exit)
    shown = process("--help").out
    assert all(f"{code.value} " in shown for code in Exit)
    for name in ("certify", "rejudge", "validate-contract", "doctor"):
        assert name in shown


def test_help_shows_what_stands_in_for_an_option_and_that_a_flag_takes_nothing(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = cli("run", "--help").out
    assert "the evidence; FILE.json: also write the evidence there" in shown
    assert "[default: (certifications)]" in shown
    assert "[default: 1]" in shown
    for command in (["--help"], ["run", "--help"], ["list", "-h"], ["fleet", "run", "--help"]):
        assert "bool" not in cli(*command).out.lower()


def test_help_imports_no_engine_and_no_pytest():
    code = (
        "import sys\nfrom pytest_aprqa.cli.app import app\n"
        "heavy = {'torch', 'transformers', 'xllamacpp', 'numpy', 'pydantic', 'pytest', 'scipy'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_is_there_at_once(process):
    took = []
    for _ in range(3):
        begun = time.process_time(), _children_seconds()
        assert process("--help").code == 0
        took.append(_children_seconds() - begun[1])
    assert min(took) < 0.4


def _children_seconds() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "--nonsense"], ["run"], ["certify", "--workers", "0"]]
)
def test_a_wrong_command_line_is_a_usage_error(cli, arguments):
    result = cli(*arguments)
    assert result.code == 2
    assert result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["certify", "x", "--tier", "mvpp"],
         "'mvpp' is none of smoke, mvp, quick, standard, deep (did you mean 'mvp'?)"),
        (["diagnose", ".", "--format", "guff"],
         "'guff' is none of safetensors, apr, gguf (did you mean 'gguf'?)"),
        (["run", "x", "-n", "abc"], "Invalid value for '--workers' / '-n': must be a whole number"),
        (["run", "x", "-n", "0"], "must be greater than or equal to 1"),
        (["run", "x", "--engine-memory", "all"], "'--engine-memory': must be a number"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_said_in_the_words_of_the_product(cli, monkeypatch, arguments, words):
    monkeypatch.setenv("COLUMNS", "200")
    result = cli(*arguments)
    assert result.code == 2
    assert words in result.err
    assert "Value error" not in result.err


def test_the_version_is_told(cli):
    from importlib.metadata import version

    assert cli("--version").out == f"apr-qa {version('pytest-aprqa')}\n"


def test_a_reader_that_goes_away_is_no_error(checkout_root):
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_aprqa.cli", "generate", "org/name", "-c", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
