"""A run as JUnit XML, for continuous integration that did not see pytest."""

from __future__ import annotations

from xml.etree import ElementTree

from pytest_aprqa.report.content import NOT_RUN, Item, items
from pytest_aprqa.report.matrix import Mark
from pytest_aprqa.report.visible import one_line, visible
from pytest_aprqa.verdict.record import Run


def render_junit(run: Run) -> str:
    """Return one test suite with a case for every planned check.

    Falsified checks are failures, crashes and timeouts errors; what came to no verdict is skipped
    with its reason. Names and counts are those that pytest's own JUnit report has.
    """
    found = items(run)
    seconds = {record.check: record.seconds for record in run.records}
    failures = [item for item in found if item.mark is Mark.FAILED]
    errors = [item for item in found if item.mark in (Mark.CRASHED, Mark.TIMEOUT)]
    skipped = [item for item in found if not item.failed and item.mark is not Mark.PASSED]
    root = ElementTree.Element("testsuites", name="apr-qa")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_clean(run.plan.model_id),
        tests=str(len(found)),
        failures=str(len(failures)),
        errors=str(len(errors)),
        skipped=str(len(skipped)),
        time=f"{sum(seconds.values()):.3f}",
        timestamp=_clean(run.started),
    )
    _properties(suite, run)
    for item in found:
        _case(suite, item, run, seconds.get(item.name, 0.0))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _properties(suite: ElementTree.Element, run: Run) -> None:
    certificate = run.certificate
    holder = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("aprqa.status", certificate.status),
        ("aprqa.mqs", certificate.score),
        ("aprqa.normalised", f"{certificate.normalised:.2f}"),
        ("aprqa.grade", certificate.grade),
        ("aprqa.tier", certificate.tier),
        ("aprqa.proven", certificate.proven),
        ("aprqa.reused", len(certificate.reused)),
        *((f"aprqa.{gate}", result.outcome) for gate, result in run.mqs.gateways.items()),
    ):
        ElementTree.SubElement(holder, "property", name=name, value=_clean(str(value)))


def _case(suite: ElementTree.Element, item: Item, run: Run, seconds: float) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(run.plan.playbook),
        name=_clean(item.name),
        time=f"{seconds:.3f}",
    )
    if item.mark is Mark.PASSED:
        return
    if not item.failed:
        reason = (
            item.reason
            if item.outcome in (NOT_RUN, item.reason)
            else f"{item.outcome}: {item.reason}"
        )
        ElementTree.SubElement(case, "skipped", message=_clean(reason))
        return
    kind = "failure" if item.mark is Mark.FAILED else "error"
    shown = ElementTree.SubElement(case, kind, message=_clean(item.reason), type=item.outcome)
    told = (("prompt", item.prompt), ("answer", item.answer), ("expected", item.expected))
    shown.text = visible("\n".join(f"{label}: {text}" for label, text in told if text))


def _clean(text: str) -> str:
    """Return text without the characters XML 1.0 cannot hold."""
    return one_line(text)
