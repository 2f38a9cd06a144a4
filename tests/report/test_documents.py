"""JUnit XML, SARIF and the flat JSON document."""

from __future__ import annotations

from xml.etree import ElementTree

from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.report.export import EvidenceExport, export_run
from pytest_aprqa.report.junit import render_junit
from pytest_aprqa.report.sarif import run_sarif, sarif
from pytest_aprqa.words import Attribution, Outcome

NASTY = "\x00\x1b[31m\ud800 ]]> <b> & \u202e"


def test_junit_is_well_formed_whatever_a_model_said_and_counts_every_check(run_with):
    run = run_with(text=NASTY)
    suite = ElementTree.fromstring(render_junit(run).encode("utf-8"))[0]
    counts = {kind: len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error")}
    skipped = len(suite.findall("testcase/skipped"))
    assert len(suite.findall("testcase")) == int(suite.get("tests", "0")) == len(run.plan.checks)
    assert int(suite.get("failures", "0")) == counts["failure"]
    assert int(suite.get("errors", "0")) == counts["error"] == 1
    assert int(suite.get("skipped", "0")) == skipped > 0


def test_junit_tells_why_a_check_was_skipped(run_with):
    text = render_junit(run_with())
    assert 'message="skipped: no GPU: CUDA is not available"' in text
    assert 'message="not run"' in text


def test_an_export_can_be_read_back_and_counts_the_plan(run_with):
    run = run_with(gguf=Outcome.FALSIFIED)
    export = EvidenceExport.model_validate_json(export_run(run).model_dump_json())
    told = export.summary
    total = told.passed + told.failed + told.skipped + told.inconclusive + told.not_run
    assert told.planned == total == len(run.plan.checks)
    assert (export.mqs.score, export.mqs.status) == (run.mqs.raw, run.certificate.status)


def test_sarif_points_each_result_at_its_rule_and_file():
    report = FileReport(
        (
            Finding("G0-HEADER", "broken\nhere", where="a.gguf:8"),
            Finding("F-DATA-QUALITY-001", "odd", Severity.WARNING),
        )
    )
    [run] = sarif({"models/a.gguf": report}, "1.0")["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding.rule
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/a.gguf"
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    assert run["results"][0]["message"]["text"] == "broken here"


def test_sarif_of_a_run_blames_the_model_for_what_the_model_did_alone(run_with):
    run = run_with(gguf=Outcome.FALSIFIED, text=NASTY)
    failed = [record for record in run.records if record.outcome.fails]
    [log] = run_sarif(run, "1.0")["runs"]
    assert [result["ruleId"] for result in log["results"]] == [r.gate_id for r in failed]
    assert all(result["message"]["text"].isprintable() for result in log["results"])
    blamed = tuple(
        record.model_copy(update={"attribution": Attribution.ENGINE}) for record in run.records
    )
    [none] = run_sarif(run.model_copy(update={"records": blamed}), "1.0")["runs"]
    assert none["results"] == []
