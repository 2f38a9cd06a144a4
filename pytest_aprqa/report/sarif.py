"""What was found in a model's files, or by a run, as SARIF 2.1.0, which code hosts show beside the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pytest_aprqa.artifact.contract_rules import contract_rules
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.playbook.gate_ids import gate_table
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Attribution, Format, GateSeverity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


_NOT_OF_THE_MODEL = frozenset({Attribution.ENGINE, Attribution.ENVIRONMENT})
_WEIGHTS = tuple(f".{form}" for form in Format)


@dataclass(frozen=True, slots=True)
class _Result:
    """One thing that is wrong: by which rule, how badly, in which file, and where in it."""

    rule: str
    level: str
    text: str
    path: str
    where: str


def sarif(reports: Mapping[str, FileReport], version: str) -> dict[str, Any]:
    """Return one SARIF run of what is wrong with files.

    Args:
        reports: path of the artifact as the user gave it -> what was found in it.
        version: of this tool.
    """
    found = [
        _of_finding(path, finding)
        for path, report in reports.items()
        for finding in report.findings
    ]
    return _log(found, {name: rule.says for name, rule in contract_rules().items()}, version)


def run_sarif(run: Run, version: str) -> dict[str, Any]:
    """Return one SARIF run of the checks that failed, by their gates.

    Faults of an engine or of the machine are not among them: they are no defects of the model.
    """
    found = [
        _of_record(record, run)
        for record in run.records
        if record.outcome.fails and record.attribution not in _NOT_OF_THE_MODEL
    ]
    return _log(found, {gate.id: gate.meaning for gate in gate_table()}, version)


def _of_finding(path: str, finding: Finding) -> _Result:
    return _Result(finding.rule, _LEVEL[finding.severity], finding.message, path, finding.where)


def _of_record(record: Evidence, run: Run) -> _Result:
    artifact = run.artifacts.get(str(record.cell.artifact))
    files = sorted(artifact.files) if artifact else []
    weights = (name for name in files if name.endswith(_WEIGHTS))
    minor = record.severity in (GateSeverity.P1, GateSeverity.P2)
    level = _LEVEL[Severity.WARNING if minor else Severity.ERROR]
    path = next(weights, run.plan.playbook)
    return _Result(record.gate_id, level, record.reason or record.outcome, path, record.check)


def _log(results: list[_Result], meanings: Mapping[str, str], version: str) -> dict[str, Any]:
    rules = sorted({result.rule for result in results})
    driver = {
        "name": "apr-qa",
        "version": version,
        "rules": [_rule(rule, meanings.get(rule)) for rule in rules],
    }
    shown = [_shown(result, rules) for result in results]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": shown}],
    }


def _rule(name: str, meaning: str | None) -> dict[str, Any]:
    return {"id": name} | ({"shortDescription": {"text": meaning}} if meaning else {})


def _shown(result: _Result, rules: list[str]) -> dict[str, Any]:
    uri = quote(one_line(result.path.replace("\\", "/")))
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": uri}}}
    if result.where:
        location["logicalLocations"] = [{"fullyQualifiedName": one_line(result.where)}]
    return {
        "ruleId": result.rule,
        "ruleIndex": rules.index(result.rule),
        "level": result.level,
        "message": {"text": one_line(result.text)},
        "locations": [location],
    }
