from __future__ import annotations

import json
from pathlib import Path

from pytest_aprqa.fleet.report import FleetReport, MachineRecord, ModelResult
from pytest_aprqa.words import Outcome, Status

GOOD = ModelResult(
    model_id="org/good",
    playbook="good.playbook.yaml",
    tier="deep",
    evidence="certifications/good/evidence.json",
    checks=10,
    status=Status.CERTIFIED,
    score=990,
    grade="A+",
    outcomes={Outcome.CORROBORATED: 8, Outcome.FALSIFIED: 1, Outcome.SKIPPED: 1},
    losses=2,
    is_met=True,
)
POOR = GOOD.model_copy(update={"model_id": "org/poor", "is_met": False, "losses": 0}).failed(
    "the file a|b\nis not there"
)


def report(*results: ModelResult, interrupted: bool = False) -> FleetReport:
    return FleetReport(
        run_id="1f",
        started="2030-01-01T00:00:00.000+00:00",
        finished="2030-01-01T01:00:00.000+00:00",
        command="apr-qa fleet run playbooks",
        interrupted=interrupted,
        machines=(
            MachineRecord(host="a", is_alive=True, cpus=4, gpus=0, memory=1e9),
            MachineRecord(host="b", is_alive=False, cpus=4, gpus=1, memory=1e9),
        ),
        results=results,
    )


def test_a_fleet_is_met_when_every_model_is() -> None:
    assert report(GOOD).is_met
    assert not report(GOOD, POOR).is_met


def test_the_page_counts_checks_by_what_became_of_them() -> None:
    row = next(line for line in report(GOOD).markdown().splitlines() if "org/good" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "org/good", "deep", "CERTIFIED", "990", "A+", "10", "8", "1", "1", "2", "-",
    ]  # fmt: skip


def test_no_reason_can_break_the_table() -> None:
    page = report(POOR).markdown()
    assert "the file a\\|b is not there |" in page
    assert "| FAIL |" in page


def test_the_page_says_which_machines_lived_and_whether_it_came_to_its_end() -> None:
    page = report(GOOD, POOR, interrupted=True).markdown()
    assert "1 of 2 models reach the threshold of their tier; the fleet was interrupted." in page
    assert "1 of 2 machines alive at the end, 2 tasks lost and run on." in page


def test_both_files_are_written_and_the_json_reads_back(tmp_path: Path) -> None:
    report(GOOD, POOR).write(tmp_path)
    content = json.loads((tmp_path / "fleet.json").read_text("utf-8"))
    assert FleetReport.model_validate(content) == report(GOOD, POOR)
    assert (tmp_path / "fleet.md").read_text("utf-8") == report(GOOD, POOR).markdown()
