from __future__ import annotations

import json
import shlex
import subprocess
from xml.etree import ElementTree

import pytest


def test_score_recomputes_and_agrees_with_a_sound_run(cli, certified):
    result = cli("score", certified.evidence.parent)
    assert result.code == 0, result
    assert "The stored score and certificate are what the records say." in result.out
    found = cli("score", certified.evidence, "--json").json
    stored = json.loads(certified.evidence.read_text())
    assert found["agrees"] is True
    assert found["mqs"] == stored["mqs"]
    assert found["certificate"] == stored["certificate"]


@pytest.mark.parametrize(
    ("field", "value"), [(("mqs", "raw"), 1000), (("certificate", "status"), "CERTIFIED")]
)
def test_score_says_where_a_forged_verdict_differs(cli, certified, tmp_path, field, value):
    run = json.loads(certified.evidence.read_text())
    run[field[0]][field[1]] = value
    (tmp_path / "evidence.json").write_text(json.dumps(run))
    result = cli("score", "evidence.json")
    assert result.code == 1
    assert f"{'.'.join(field)}: stored {value}" in result.out


def test_score_reads_what_an_interrupted_run_left(cli, certified, tmp_path):
    lines = certified.evidence.with_name("evidence.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_bytes(b"".join(lines[:9]))
    result = cli("score", "part.jsonl", "--json")
    assert result.code == 0, result
    planned = len(json.loads(lines[0])["plan"]["checks"])
    missing = sum(category["not_run"] for category in result.json["mqs"]["categories"])
    assert 0 < missing <= planned - 8
    assert result.json["certificate"]["exit_ok"] is False
    (tmp_path / "cut.jsonl").write_bytes(b"".join(lines[:4] + lines[5:]))
    assert "the chain of digests breaks here" in cli("score", "cut.jsonl").sentence


def test_score_fails_on_a_low_score_only_when_told_to(cli, certified):
    exit_ok = json.loads(certified.evidence.read_text())["certificate"]["exit_ok"]
    assert cli("score", certified.evidence, "--gate").code == (0 if exit_ok else 1)


def test_report_writes_every_format_and_junit_counts_the_plan(cli, certified, tmp_path):
    assert cli("report", certified.evidence, "--output", "out", "--formats", "all").code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html",
        "report.md",
        "junit.xml",
        "report.sarif",
    }
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()[0]
    run = json.loads(certified.evidence.read_text())
    assert int(suite.get("tests")) == len(run["plan"]["checks"])
    fails = sum(record["outcome"] == "falsified" for record in run["records"])
    assert int(suite.get("failures")) == fails == len(suite.findall("testcase/failure"))
    assert cli("report", certified.evidence, "-o", "one", "--formats", "junit").code == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["junit.xml"]


@pytest.mark.parametrize("formats", [["-f", "html", "-f", "junit"], ["--formats", "html, junit"]])
def test_report_writes_every_format_that_is_asked_for(cli, certified, tmp_path, formats):
    assert cli("report", certified.evidence, "-o", "two", *formats).code == 0
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"report.html", "junit.xml"}
    wrong = cli("report", certified.evidence, "-o", "none", "-f", "html,junitt")
    assert wrong.code == 2
    assert "'junitt' is none of" in wrong.sentence
    assert wrong.sentence.endswith("(did you mean 'junit'?)")
    assert not (tmp_path / "none").exists()


def test_report_tells_code_hosts_what_a_run_found_wrong_with_the_model(cli, certified, tmp_path):
    assert cli("report", certified.evidence, "-o", "out", "-f", "sarif").code == 0
    [log] = json.loads((tmp_path / "out" / "report.sarif").read_text())["runs"]
    failed = [
        record
        for record in json.loads(certified.evidence.read_text())["records"]
        if record["outcome"] == "falsified"
        and record["attribution"] not in ("engine", "environment")
    ]
    assert failed
    assert [result["ruleId"] for result in log["results"]] == [r["gate_id"] for r in failed]
    for result, record in zip(log["results"], failed, strict=True):
        [location] = result["locations"]
        assert location["logicalLocations"] == [{"fullyQualifiedName": record["check"]}]
        assert location["physicalLocation"]["artifactLocation"]["uri"].endswith(".gguf")
    assert all(rule["shortDescription"] for rule in log["tool"]["driver"]["rules"])


def test_report_shows_an_earlier_run_beside_this_one(cli, certified, tmp_path):
    run = json.loads(certified.evidence.read_text())
    options = ("--against", certified.evidence, "--formats", "html", "--output", "out")
    assert cli("report", certified.evidence, *options).code == 0
    html = (tmp_path / "out" / "report.html").read_text()
    assert f"Beside the run of {run['finished']}" in html
    assert "Every check that both runs have ended alike." in html


def test_tickets_never_let_a_model_reach_the_shell(cli, certified, tmp_path):
    run = json.loads(certified.evidence.read_text())
    nasty = "`touch pwned` $(touch pwned) '; touch pwned; '\x1b[31m\n```\ntouch pwned"
    for record in run["records"]:
        if record["outcome"] == "falsified":
            record |= {"answer": nasty, "reason": f"it says {nasty!r} {nasty}"}
    (tmp_path / "evidence.json").write_text(json.dumps(run))
    result = cli("tickets", "evidence.json", "--repo", "org/repo", "--output", "out")
    assert result.code == 0, result
    commands = result.out.splitlines()
    assert commands
    for line in commands:
        assert shlex.split(line)[:5] == ["gh", "issue", "create", "--repo", "org/repo"]
        subprocess.run(["bash", "-c", f"gh() {{ :; }}; {line}"], cwd=tmp_path, check=True)
    assert not (tmp_path / "pwned").exists()
    body = (tmp_path / "out" / "ticket-01.md").read_text()
    assert "\x1b" not in body + result.out
    assert "````text" in body


def test_a_file_that_cannot_be_written_is_named(cli, certified, tmp_path):
    (tmp_path / "out" / "report.md").mkdir(parents=True)
    result = cli("report", certified.evidence, "-o", "out", "-f", "markdown")
    assert (result.code, result.sentence) == (2, "out/report.md: Is a directory")
    (tmp_path / "file").touch()
    result = cli("report", certified.evidence, "-o", "file/below", "-f", "markdown")
    assert (result.code, "file is a file; --output names" in result.sentence) == (2, True)


def test_tickets_are_for_a_repository(cli, certified):
    result = cli("tickets", certified.evidence, "--repo", "not a repo; rm")
    assert (result.code, result.out) == (2, "")
    assert result.sentence == "'not a repo; rm' is no repository; it has the form owner/name"


def test_tickets_group_by_root_cause(cli, certified):
    found = cli("tickets", certified.evidence, "--json").json
    failed = [
        record["check"]
        for record in json.loads(certified.evidence.read_text())["records"]
        if record["outcome"] == "falsified"
    ]
    assert sorted(check for ticket in found for check in ticket["checks"]) == sorted(failed)
    none = cli("tickets", certified.evidence, "--min-occurrences", 99)
    assert "Nothing failed" in none.out


def test_export_csv_writes_the_row_that_follows_and_leaves_others(cli, certified, tmp_path):
    run = json.loads(certified.evidence.read_text())
    assert cli("export-csv", "-e", certified.root, "-o", "models.csv").code == 0
    row = (tmp_path / "models.csv").read_text().splitlines()[1].split(",")
    certificate = run["certificate"]
    assert row[:2] == ["aprqa/aprqa-reference", "tiny"]
    assert row[4:7] == [certificate["status"], str(certificate["score"]), certificate["grade"]]
    before = (tmp_path / "models.csv").read_text()
    run["certificate"]["status"] = "CERTIFIED"
    (tmp_path / "forged").mkdir()
    (tmp_path / "forged" / "evidence.json").write_text(json.dumps(run))
    result = cli("export-csv", "-e", "forged", "-o", "models.csv")
    assert result.code == 1
    assert "is left out" in result.sentence
    assert (tmp_path / "models.csv").read_text() == before


@pytest.mark.parametrize("newest", ["a", "b"])
def test_export_csv_takes_the_newest_run_of_a_model(cli, certified, tmp_path, newest):
    run = json.loads(certified.evidence.read_text())
    older = json.loads(certified.evidence.read_text()) | {"finished": "2001-01-01T00:00:00+00:00"}
    older["plan"]["family"] = older["certificate"]["family"] = "older"
    for name in ("a", "b"):
        (tmp_path / "all" / name).mkdir(parents=True)
        written = run if name == newest else older
        (tmp_path / "all" / name / "evidence.json").write_text(json.dumps(written))
    result = cli("export-csv", "-e", "all", "-o", "models.csv")
    assert result.code == 0
    left_out = {"a": "b", "b": "a"}[newest]
    assert result.sentence.startswith(f"all/{left_out}/evidence.json is left out")
    row = (tmp_path / "models.csv").read_text().splitlines()[1].split(",")
    assert row[:2] == ["aprqa/aprqa-reference", "tiny"]
    assert len(result.out.splitlines()) == 1


def test_export_evidence_is_one_document_about_the_model_asked_for(cli, certified):
    found = cli("export-evidence", certified.evidence, "--model", "aprqa/aprqa-reference").json
    run = json.loads(certified.evidence.read_text())
    assert found["mqs"]["score"] == run["mqs"]["raw"]
    assert found["summary"]["planned"] == len(run["plan"]["checks"])
    assert len(found["evidence"]) == len(run["records"])
    other = cli("export-evidence", certified.evidence, "--model", "org/other")
    assert (other.code, "is about aprqa/aprqa-reference" in other.sentence) == (2, True)


@pytest.mark.parametrize("command", ["score", "report", "rejudge", "tickets", "export-evidence"])
def test_evidence_that_is_not_there_or_none_is_said_so(cli, tmp_path, command):
    assert cli(command, "nowhere.json").code == 3
    (tmp_path / "bad.json").write_text("{")
    result = cli(command, "bad.json")
    assert result.code == 2
    assert result.sentence.startswith("bad.json is not JSON")


def test_a_bare_array_has_no_score_and_is_sent_to_rejudge(cli, tmp_path):
    (tmp_path / "array.json").write_text("[]")
    result = cli("score", "array.json")
    assert (result.code, "`apr-qa rejudge`" in result.sentence) == (2, True)
