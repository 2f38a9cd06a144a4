"""Playbook files and their items, seen by pytest as a module of test functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aprqa.playbook.check import Check
from pytest_aprqa.playbook.load import PlaybookError
from pytest_aprqa.plugin.markers import marker_names
from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.plugin.stop import stop_signal
from pytest_aprqa.report.visible import visible
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import FailurePolicy, Outcome

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

MOST_SHOWN = 2000
"""Characters of a prompt or an answer that are shown of a failed check."""

evidence_key = pytest.StashKey[Evidence]()


class CheckFailedError(Exception):
    """Turns evidence of a failure into a pytest failure."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(f"{evidence.outcome}: {visible(evidence.reason)}")
        self.evidence = evidence


def playbook_check(request: pytest.FixtureRequest, aprqa_laboratory: Laboratory) -> None:
    """Run the check of the requesting item: the one test body behind every playbook item."""
    item: PlaybookItem = request.node
    stop = stop_signal(item.config, item.path)
    if kept := aprqa_laboratory.kept.records.get(item.check.name):
        evidence = kept
        item.user_properties.append(("aprqa.resumed", "true"))
    elif reason := stop.reason():
        evidence = not_run(item.check, Outcome.SKIPPED, reason)
    else:
        from pytest_aprqa.run.check import run_check

        evidence = run_check(item.check, aprqa_laboratory)
        stop.consider(evidence)
        if evidence.outcome.fails and stop.policy is FailurePolicy.FAIL_FAST:
            _write_diagnostics(item, evidence, aprqa_laboratory)
    aprqa_laboratory.note(evidence)
    item.stash[evidence_key] = evidence
    item.user_properties += properties(evidence)
    if evidence.outcome.fails:
        raise CheckFailedError(evidence)
    if not evidence.outcome.passes:
        prefix = "" if evidence.outcome is Outcome.SKIPPED else f"{evidence.outcome}: "
        pytest.skip(prefix + visible(evidence.reason))


def _write_diagnostics(item: PlaybookItem, evidence: Evidence, laboratory: Laboratory) -> None:
    from pytest_aprqa.run.diagnostics import write_bundle

    directory = laboratory.journal.parent / "diagnostics"
    write_bundle(directory, item.check, evidence, laboratory, item.nodeid)
    item.add_report_section("call", "diagnostics", f"everything about this failure: {directory}\n")


class PlaybookItem(pytest.Function):
    """A check, with the fixtures, markers and selection of a test function."""

    def __init__(self, *, check: Check, **kwargs: Any) -> None:
        super().__init__(callobj=playbook_check, **kwargs)
        self.check = check
        for name in marker_names(check):
            self.add_marker(name)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, self.check.line, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, CheckFailedError):
            return explanation(excinfo.value.evidence)
        return super().repr_failure(excinfo)


class PlaybookFile(pytest.Module):
    """A playbook. Being a Module is what gives its items fixtures of every scope."""

    obj = None  # there is no Python module behind the file

    def collect(self) -> Iterator[PlaybookItem]:
        try:
            planned = plans_of(self.config).of(self.path)
        except PlaybookError as error:
            raise self.CollectError(str(error)) from error
        fixtures = None
        for check in planned.plan.checks:
            item: PlaybookItem = PlaybookItem.from_parent(
                self, name=check.name, check=check, fixtureinfo=fixtures
            )
            # All items have one body and one parent, so what pytest found out for the first
            # holds for all; where the attribute is gone it finds out each time.
            fixtures = fixtures or getattr(item, "_fixtureinfo", None)
            yield item


def explanation(evidence: Evidence) -> str:
    """Return what a person needs to see of a failed check."""
    lines = [f"{evidence.outcome}: {visible(evidence.reason)}"]
    for label, text in (
        ("prompt", evidence.prompt),
        ("answer", evidence.answer),
        ("expected", evidence.expected),
        ("attributed to", evidence.attribution),
        ("engine", evidence.engine),
    ):
        if text:
            quoted = repr(text[:MOST_SHOWN]) if label in ("prompt", "answer") else visible(text)
            lines.append(f"  {label}: {quoted}")
    stderr = "".join(attempt.stderr for attempt in evidence.attempts[-1:])
    if stderr:
        lines += [
            "  last words of the engine:",
            *(f"    {visible(line)}" for line in stderr.splitlines()[-12:]),
        ]
    return "\n".join(lines)


def properties(evidence: Evidence) -> list[tuple[str, object]]:
    """Return the JUnit properties of a record."""
    named = {
        "outcome": evidence.outcome,
        "gate_id": evidence.gate_id,
        "category": evidence.category,
        "attribution": evidence.attribution,
        "engine": evidence.engine,
        "artifact_digest": evidence.artifact_digest,
    }
    texts = [(f"aprqa.{name}", str(value)) for name, value in named.items() if value]
    counts = [(f"aprqa.compared.{name}", str(count)) for name, count in evidence.compared.items()]
    numbers = [(f"aprqa.{name}", f"{number:.6g}") for name, number in evidence.metrics.items()]
    return [*texts, *counts, *numbers]


def attach_evidence(item: pytest.Item, report: pytest.TestReport) -> None:
    """Send the evidence along with the report, across processes if need be."""
    if report.when == "teardown":
        item.user_properties.clear()  # the report has them; sessions of thousands keep their items
    evidence = item.stash.get(evidence_key, None)
    if evidence is None or report.when != "call":
        return
    del item.stash[evidence_key]
    report.aprqa_evidence = evidence.model_dump_json()  # type: ignore[attr-defined]
    if report.skipped and isinstance(report.longrepr, tuple):
        _, _, reason = report.longrepr
        report.longrepr = (str(item.path), 1, reason)  # one place, so that like reasons fold
