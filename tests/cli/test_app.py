from __future__ import annotations

import subprocess
import sys
import time

import pytest

from pytest_aprqa.cli.app import app
from pytest_aprqa.cli.documentation import page
from pytest_aprqa.cli.exits import MEANINGS, Exit


def test_the_page_of_the_documentation_is_what_the_commands_say(checkout_root):
    stored = (checkout_root / "docs" / "cli.md").read_text("utf-8")
    assert stored == page(app), "write it anew with `apr-qa docs`"


def test_every_exit_code_has_a_meaning_and_is_in_the_help(process):
    assert set(MEANINGS) == set(Exit)
    shown = process("--help").out
    assert all(f"{code.value} " in shown for code in Exit)
    for name in ("certify", "rejudge", "validate-contract", "doctor"):
        assert name in shown


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
