"""From a run to the README: nothing is lost on the way, and going it twice changes nothing."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WRITERS = 20
README = "# Models\n\n<!-- CERTIFICATION_TABLE_START -->\n<!-- CERTIFICATION_TABLE_END -->\n"
CHAIN = (
    ("score", "{evidence}"),
    ("report", "{evidence}"),
    ("export-evidence", "{evidence}", "--output", "export.json"),
    ("export-csv",),
    ("sync-readme",),
)


@pytest.fixture
def checkout(certified, tmp_path) -> Path:
    """A copy of the checkout in which a model was certified, with a README."""
    root = Path(shutil.copytree(certified.root, tmp_path / "root"))
    (root / "README.md").write_text(README)
    return root


def _pass(process, root: Path) -> dict[str, bytes]:
    """Go the chain once, each step a process; return the content of every file."""
    evidence = "certifications/aprqa-reference/evidence.json"
    for step in CHAIN:
        result = process(*(word.replace("{evidence}", evidence) for word in step), cwd=root)
        assert result.code == 0, result
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes() for path in files if path.suffix != ".lock"
    }


def test_a_second_pass_from_evidence_to_readme_changes_no_byte(process, checkout):
    first = _pass(process, checkout)
    assert {"export.json", "README.md"} <= set(first)
    assert _pass(process, checkout) == first


def test_nothing_of_the_evidence_is_lost_on_the_way(process, checkout, certified):
    after = _pass(process, checkout)
    folder = "certifications/aprqa-reference"
    for name in ("evidence.json", "report.html", "report.md"):
        assert after[f"{folder}/{name}"] == (certified.root / folder / name).read_bytes(), name
    registry = after["certifications/models.csv"]
    assert registry == (certified.root / "certifications" / "models.csv").read_bytes()
    run = json.loads(after[f"{folder}/evidence.json"])
    export = json.loads(after["export.json"])
    assert export["evidence"] == run["records"]
    [row] = csv.DictReader(registry.decode().splitlines())
    certificate = run["certificate"]
    assert export["mqs"]["score"] == certificate["score"] == int(row["mqs_score"])
    assert export["mqs"]["status"] == certificate["status"] == row["status"]
    shown = f"| {row['status']} | {row['mqs_score']} | {row['grade']} |"
    assert shown in after["README.md"].decode()
    assert process("validate", cwd=checkout).code == 0


@pytest.fixture
def verdict(certified) -> str:
    """The status of the run, which is no pending one."""
    status: str = json.loads(certified.evidence.read_text())["certificate"]["status"]
    assert status != "PENDING"
    return status


@pytest.fixture
def fleet(certified, tmp_path) -> Path:
    """A registry of twenty models without a verdict, and the evidence of a run of each."""
    run = json.loads(certified.evidence.read_text())
    lines = (certified.root / "certifications" / "models.csv").read_text().splitlines()
    for number in range(WRITERS):
        model = f"org/model-{number:02d}"
        run["plan"]["model_id"] = run["certificate"]["model_id"] = model
        folder = tmp_path / "evidence" / f"model-{number:02d}"
        folder.mkdir(parents=True)
        (folder / "evidence.json").write_text(json.dumps(run))
    pending = ",tiny,2M,tiny,PENDING,0,-,none,,false,false,false,false,,,,,,,false"
    rows = [f"org/model-{number:02d}{pending}" for number in range(WRITERS)]
    (tmp_path / "models.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    return tmp_path


def _export(root: Path, evidence: str) -> subprocess.Popen[bytes]:
    command = ["export-csv", "--evidence-dir", evidence, "--output", "models.csv"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_aprqa.cli", *command], cwd=root, stdout=subprocess.DEVNULL
    )


def _statuses(root: Path) -> list[str]:
    """Return the statuses of the registry; raises unless every row is whole."""
    with (root / "models.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [row["model_id"] for row in rows] == [f"org/model-{n:02d}" for n in range(WRITERS)]
    assert all(None not in row and None not in row.values() for row in rows)
    return [row["status"] for row in rows]


def test_twenty_exports_at_once_update_twenty_rows(fleet, verdict):
    assert set(_statuses(fleet)) == {"PENDING"}
    writers = [_export(fleet, f"evidence/model-{number:02d}") for number in range(WRITERS)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * WRITERS
    assert set(_statuses(fleet)) == {verdict}


def test_a_killed_export_leaves_the_old_rows_or_the_new(fleet, verdict):
    seen = []
    for least in (1, 5, 9, 13):
        writer = _export(fleet, "evidence")
        until = time.monotonic() + 60
        while writer.poll() is None and _statuses(fleet).count(verdict) < least:
            assert time.monotonic() < until
            time.sleep(0.001)
        writer.send_signal(signal.SIGKILL)
        writer.wait(timeout=60)
        statuses = _statuses(fleet)
        assert set(statuses) <= {"PENDING", verdict}
        seen.append(statuses.count(verdict))
    assert seen == sorted(seen)
    assert seen[0] < WRITERS, "no writer was killed before its end"
    assert _export(fleet, "evidence").wait(timeout=60) == 0
    assert set(_statuses(fleet)) == {verdict}
