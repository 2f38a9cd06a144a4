"""What was found in a model's files as SARIF 2.1.0, which code hosts show beside the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_aprqa.artifact.contract_rules import contract_rules
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.report.visible import one_line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(reports: Mapping[str, FileReport], version: str) -> dict[str, Any]:
    """Return one SARIF run.

    Args:
        reports: path of the artifact as the user gave it -> what was found in it.
        version: of this tool.
    """
    found = [(path, finding) for path, report in reports.items() for finding in report.findings]
    rules = sorted({finding.rule for _, finding in found})
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "apr-qa",
                        "version": version,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "results": [_result(path, finding, rules) for path, finding in found],
            }
        ],
    }


def _rule(name: str) -> dict[str, Any]:
    known = contract_rules().get(name)
    return {"id": name} | ({"shortDescription": {"text": known.says}} if known else {})


def _result(path: str, finding: Finding, rules: list[str]) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": path.replace("\\", "/")}}
    }
    if finding.where:
        location["logicalLocations"] = [{"fullyQualifiedName": one_line(finding.where)}]
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVEL[finding.severity],
        "message": {"text": one_line(finding.message)},
        "locations": [location],
    }
