"""Every fault of an engine gives what docs/faults.md promises, and spoils nothing besides."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

QUESTIONS, HTTP, LOADING = (
    "While a question is answered",
    "While a question is answered over HTTP",
    "While a model is loaded or served",
)


@pytest.fixture(scope="session")
def struck(
    make_folder: Callable[[str], Any], model: Path, tables: dict[str, dict[str, Any]]
) -> Callable[[str], Any]:
    """Return a function that gives the one run with so many workers that met every fault."""
    ended: dict[str, Any] = {}

    def run(workers: str) -> Any:
        if workers not in ended:
            ended[workers] = _meet_every_fault(make_folder(workers), model, tables)
        return ended[workers]

    return run


def _meet_every_fault(folder: Any, model: Path, tables: dict[str, dict[str, Any]]) -> Any:
    def copy(name: str) -> Path:
        return Path(shutil.copy(model, folder.path / f"{name}.gguf"))

    folder.write("asked", copy("asked"), scenarios=tuple(tables[QUESTIONS]))
    folder.write(
        "served",
        copy("served"),
        scenarios=tuple(tables[HTTP]),
        modality="serve",
        question="What is 2+2?",
    )
    for name in tables[LOADING]:
        modality = "serve" if name.startswith("serve-") else "run"
        folder.write(name, copy(name), modality=modality, timeout=400 if "hang" in name else 4000)
    os.truncate(folder.path / "load-truncated.gguf", model.stat().st_size // 2)
    folder.ended = folder.run("-p", "accidents")
    return folder


def _met(folder: Any, section: str, fault: str) -> tuple[str, dict[str, Any]]:
    """Return the playbook a fault struck in, and the record of the check that met it."""
    if section == QUESTIONS:
        return "asked", folder.records("asked")[f"{fault}[gguf-cpu-run]"]
    if section == HTTP:
        return "served", folder.records("served")[f"{fault}[gguf-cpu-serve]"]
    records = folder.records(fault)
    if fault.startswith("serve-"):
        return fault, records["plain[gguf-cpu-serve]"]
    return fault, records["G0[gguf]" if fault == "load-truncated" else "G1[gguf-cpu]"]


@pytest.mark.sections(QUESTIONS, HTTP, LOADING)
def test_a_fault_has_the_outcome_and_the_attribution_that_the_table_promises(
    section: str, fault: str, promise: Any, workers: str, struck: Callable[[str], Any]
) -> None:
    folder = struck(workers)
    _, record = _met(folder, section, fault)
    assert (record["outcome"], record["attribution"]) == (promise.outcome, promise.attribution)
    assert promise.words in record["reason"]
    if promise.outcome != "corroborated":
        assert promise.words in folder.ended.terminal


def test_crashes_and_hangs_are_tried_twice_and_other_faults_once(
    workers: str, struck: Callable[[str], Any]
) -> None:
    for record in struck(workers).records("asked").values():
        assert len(record["attempts"]) == (2 if record["outcome"] in ("crashed", "timeout") else 1)


def test_whatever_was_not_struck_has_its_ordinary_outcome(
    workers: str, struck: Callable[[str], Any], tables: dict[str, dict[str, Any]]
) -> None:
    folder = struck(workers)
    faults = {*tables[QUESTIONS], *tables[HTTP]}
    for playbook in ("asked", "served"):
        for name, record in folder.records(playbook).items():
            if name.partition("[")[0] not in faults and name != "G3":
                assert record["outcome"] == "corroborated", (name, record["reason"])
        assert folder.records(playbook)["G3"]["outcome"] == "falsified"


def test_a_model_that_cannot_be_loaded_costs_the_checks_behind_the_gateway_and_no_others(
    workers: str, struck: Callable[[str], Any], tables: dict[str, dict[str, Any]]
) -> None:
    folder = struck(workers)
    for fault in tables[LOADING]:
        _, met = _met(folder, LOADING, fault)
        for record in folder.records(fault).values():
            if fault.startswith("load-") and record["backend"] and record["subject"] != "G1":
                assert record["outcome"] == "skipped"
                assert met["reason"] in record["reason"]


def test_the_evidence_of_every_playbook_is_whole(
    workers: str, struck: Callable[[str], Any], verified: Callable[..., None]
) -> None:
    folder = struck(workers)
    playbooks = sorted(path.name.partition(".")[0] for path in folder.path.glob("*.playbook.yaml"))
    assert len(playbooks) > 10
    for playbook in playbooks:
        verified(folder, playbook)


def test_nothing_is_left_behind(workers: str, struck: Callable[[str], Any]) -> None:
    folder = struck(workers)
    assert folder.left_behind() == []
    assert not psutil.pid_exists(int((folder.path / "grandchild").read_text()))


def test_no_control_character_reaches_the_terminal_or_a_report(
    workers: str, struck: Callable[[str], Any]
) -> None:
    folder = struck(workers)
    shown = {"terminal": folder.ended.terminal}
    for playbook in ("asked", "served", "load-exception"):
        for name in ("report.html", "report.md"):
            shown[f"{playbook}/{name}"] = (folder.output(playbook) / name).read_text("utf-8")
    for place, text in shown.items():
        assert not {c for c in text if ord(c) < 32} - set("\n\t"), place
        assert "<script>alert" not in text or place == "terminal"


def test_huge_answers_and_logs_do_not_make_the_evidence_huge(
    workers: str, struck: Callable[[str], Any]
) -> None:
    assert (struck(workers).output("asked") / "evidence.jsonl").stat().st_size < 1 << 20
