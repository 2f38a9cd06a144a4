"""Whatever befalls a run, its evidence stands, and `--resume` makes it whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.verdict.journal import read_journal

AROUND = "Around the run"
BUILTIN = "builtin: aprqa-reference"
ASKED, EARLY, LATE, LAST = "plain[gguf-cpu-run]", "G0[gguf]", "repeat[gguf-cpu]", "G3"

AT = {
    "cache-full": EARLY,
    "cache-missing": EARLY,
    "cache-unwritable": EARLY,
    "certificate-unwritable": LAST,
    "model-truncated": ASKED,
    "target-unwritable": EARLY,
}
"""The check that an accident strikes, where it is not the usual one."""

RESUMED = ("ctrl-c-twice", "journal-torn", "run-killed")
"""Accidents whose promised words are those of the run that goes on."""

WITHOUT_CERTIFICATE = ("certificate-unwritable", "ctrl-c", "disk-full", "run-terminated")

Accident = Callable[..., Any]


@pytest.fixture
def accident(make_folder: Callable[[str], Any], model: Path) -> Accident:
    """Return a function that makes a run meet an accident, and gives its folder."""

    def meet(fault: str, workers: str) -> Any:
        folder = make_folder(workers)
        shutil.copy(model, folder.path / "model.gguf")
        playbook = folder.write("plain", Path("model.gguf"))
        if fault.startswith("cache-"):
            playbook.write_text(playbook.read_text().replace("local_path: model.gguf", BUILTIN))
        folder.ended = _run(folder, fault)
        return folder

    return meet


def _run(folder: Any, fault: str) -> Any:
    variables = {"ACCIDENT": fault, "ACCIDENT_AT": AT.get(fault, LATE)}
    args = ["-p", "accidents"]
    match fault:
        case "cache-missing":
            variables["APRQA_CACHE"] = str(folder.path / "not/there/yet")
        case "cache-unwritable":
            variables["APRQA_CACHE"] = "/proc/cache"
        case "target-unwritable":
            args.append("--certifications=/proc/certifications")
        case "temp-missing":
            variables["TMPDIR"] = str(folder.path / "not/there")
        case "second-run":
            return _run_twice(folder, args, variables)
    ended = folder.run(*args, **variables)
    journal = folder.output("plain") / "evidence.jsonl"
    if fault == "journal-torn":
        journal.write_bytes(journal.read_bytes()[:-7])
    if fault == "journal-changed":
        content = bytearray(journal.read_bytes())
        content[len(content) // 2] ^= 1
        journal.write_bytes(content)
        return folder.run("--resume")
    return ended


def _run_twice(folder: Any, args: list[str], variables: dict[str, str]) -> Any:
    """Start a run, start another one while it waits, and let the first go on."""
    first = folder.start(*args, **variables)
    give_up = time.monotonic() + 60
    while not (folder.path / "waiting").exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    second = folder.run()
    (folder.path / "go-on").touch()
    first.communicate(timeout=60)
    assert first.returncode == 0
    return second


def _exit(promise: Any, workers: str) -> int:
    """Return the promised exit status: the second one, where there is one, is with workers."""
    return int(promise.exits[-1 if workers == "-n2" else 0])


def _is_cut_off(fault: str, workers: str) -> bool:
    """Whether a run ended in the midst of a check, and can go on."""
    killed = fault in (*RESUMED, *WITHOUT_CERTIFICATE)
    return killed or (fault == "worker-killed" and workers == "-n0")


@pytest.mark.sections(AROUND)
def test_an_accident_ends_as_the_table_promises_and_leaves_nothing_behind(
    section: str,
    fault: str,
    promise: Any,
    workers: str,
    accident: Accident,
    verified: Callable[..., None],
) -> None:
    folder = accident(fault, workers)
    assert folder.ended.status == _exit(promise, workers), folder.ended.terminal
    if fault != "ctrl-c-twice":  # which makes Python say where it was
        assert "Traceback" not in folder.ended.terminal, folder.ended.terminal
    if _is_cut_off(fault, workers):
        before = read_journal(folder.output("plain") / "evidence.jsonl")
        assert before.broken_at is None
        resumed = folder.run("--resume")
        folder.ended.terminal += resumed.terminal
        verified(folder, "plain", times=2 if fault == "worker-killed" else 1)
        after = folder.records("plain")
        assert {record["outcome"] for record in after.values()} == {"corroborated"}
        for record in before.latest:
            if record.outcome == "corroborated" and record.check != LAST:
                assert after[record.check]["started"] == record.started
    elif promise.outcome is not None:
        record = folder.records("plain")[AT.get(fault, LATE)]
        assert (record["outcome"], record["attribution"]) == (promise.outcome, promise.attribution)
        assert promise.words in record["reason"]
        verified(folder, "plain")
    if _exit(promise, workers) == 4 or fault in RESUMED:
        assert promise.words in folder.ended.terminal
    assert folder.left_behind() == []
