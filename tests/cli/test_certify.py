from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_aprqa.cli.run_options import RunOptions

REGISTRY = """\
model_id,family,parameters,size_category,status,mqs_score,grade,certified_tier,last_certified,\
g1,g2,g3,g4,tps_gguf_cpu,tps_gguf_gpu,tps_apr_cpu,tps_apr_gpu,tps_st_cpu,tps_st_gpu,\
provenance_verified
aprqa/aprqa-reference,tiny,2.6M,tiny,PENDING,0,-,none,,false,false,false,false,,,,,,,false
org/Other-1B-Instruct,tiny,1B,small,PENDING,0,-,none,,false,false,false,false,,,,,,,false
"""


@pytest.fixture
def checkout(tmp_path, certified):
    """A registry of two models, of which one has a playbook."""
    (tmp_path / "certifications").mkdir()
    (tmp_path / "certifications" / "models.csv").write_text(REGISTRY)
    playbooks = tmp_path / "playbooks" / "models"
    playbooks.mkdir(parents=True)
    (playbooks / "aprqa-reference-mvp.playbook.yaml").write_text(certified.playbook.read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_run_is_pytest_underneath_and_leaves_its_evidence(certified):
    assert certified.result.code == 1, certified.result
    assert "certificate of aprqa/aprqa-reference" in certified.result.out
    folder = certified.evidence.parent
    assert {"evidence.json", "evidence.jsonl", "report.html", "report.md"} <= {
        path.name for path in folder.iterdir()
    }
    assert (certified.root / "copies/tiny.json").read_bytes() == certified.evidence.read_bytes()
    command = json.loads(certified.evidence.read_text())["environment"]["command"]
    assert command.startswith("pytest playbooks/models/tiny-mvp.playbook.yaml")
    assert "--aprqa-check-timeout=60.0" in command


def test_options_become_those_of_pytest():
    assert RunOptions(workers=3, timeout=1500, engine_memory=2.5, no_gpu=True).arguments() == [
        "--aprqa-check-timeout=1.5",
        "--aprqa-engine-memory=2.5",
        "--aprqa-no-gpu",
        "-n",
        "3",
    ]
    assert "-n" not in RunOptions(workers=1).arguments()


def test_a_model_by_its_path_alone_gets_a_playbook_from_its_own_configuration(
    cli, builtin, tmp_path
):
    result = cli("certify", "--model-path", builtin, "--tier", "smoke", "--no-gpu", "--dry-run")
    assert result.code == 0, result
    assert "plan of local/aprqa-reference" in result.out
    written = tmp_path / "certifications/aprqa-reference/aprqa-reference.playbook.yaml"
    assert "expected_vocab_size: 1024" in written.read_text()


def test_a_dry_run_shows_the_plan_and_leaves_nothing(cli, certified, tmp_path):
    result = cli(
        "run", certified.playbook, "--dry-run", "--no-gpu", "--output", "out", "--", "-k", "G0"
    )
    assert result.code == 0, result
    assert "plan of aprqa/aprqa-reference" in result.out
    assert "1 checks, 0 of them scenarios" in result.out
    assert not (tmp_path / "out").exists()


def test_certify_finds_playbooks_by_family_and_names_the_files_it_missed(cli, checkout):
    result = cli("certify", "--family", "tiny", "--tier", "mvp", "--dry-run", "--no-gpu")
    # The one playbook there is tests a GGUF alone, which the tier cannot be made of.
    assert result.code == 2
    assert "tier mvp needs safetensors, apr" in result.sentence


def test_certify_names_the_candidate_files_of_a_model_without_playbook(cli, checkout):
    result = cli("certify", "other-1b-instruct", "--tier", "mvp")
    assert result.code == 3
    assert "other-1b-instruct-mvp.playbook.yaml, other-1b-mvp.playbook.yaml" in result.sentence


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["certify"], 2, "say which models"),
        (["certify", "x/y", "--all"], 2, "say which models"),
        (["certify", "--family", "none"], 3, "it has tiny"),
        (["certify", "--family", "tinny"], 3, "no family 'tinny' (did you mean 'tiny'?); it has"),
        (["certify", "nobody"], 3, "no model is called 'nobody'; `apr-qa list`"),
        (["certify", "aprqa-referense"], 3, "(did you mean 'aprqa-reference'?)"),
        (["certify", "aprqa-reference", "--fail-fast", "--failure-policy", "collect-all"], 2,
         "exclude each other"),
        (["certify", "--all", "--model-path", "x"], 2, "names one model and 2"),
        (["run", "nowhere.playbook.yaml"], 3, "there is no playbook nowhere.playbook.yaml"),
        (["run", "dir.playbook.yaml"], 2, "is a directory; name a file NAME.playbook.yaml"),
        (["run", "{playbook}", "-o", "pytest.ini"], 2, "pytest.ini is a file; --output names"),
        (["run", "{playbook}", "-o", "pytest.ini/a/b"], 2, "pytest.ini is a file; --output names"),
        (["run", "pytest.ini"], 2, "must end in .playbook.yaml"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_said_in_one_sentence(cli, checkout, arguments, code, words):
    (checkout / "dir.playbook.yaml").mkdir()
    playbook = "playbooks/models/aprqa-reference-mvp.playbook.yaml"
    result = cli(*(playbook if part == "{playbook}" else part for part in arguments))
    assert (result.code, words in result.sentence) == (code, True), result


def test_a_broken_playbook_is_said_with_its_line_before_pytest_starts(cli, tmp_path):
    (tmp_path / "bad.playbook.yaml").write_text("name: bad\nmodel: {hf_repo: nowhere}\n")
    result = cli("run", "bad.playbook.yaml")
    assert result.code == 2
    assert result.sentence.startswith("bad.playbook.yaml:2: model.hf_repo")


def test_a_builtin_model_that_is_none_is_said_with_its_line(cli, certified, tmp_path):
    text = certified.playbook.read_text().replace("builtin: aprqa-ref", "builtin: ref")
    (tmp_path / "x.playbook.yaml").write_text(text)
    result = cli("run", "x.playbook.yaml", "--dry-run")
    assert (result.code, result.sentence[:34]) == (2, "x.playbook.yaml:5: model.builtin: ")
    assert "'reference' is none of aprqa-reference" in result.sentence


def test_a_playbook_that_differs_from_its_lock_is_not_run(cli, checkout):
    path = checkout / "playbooks" / "models" / "aprqa-reference-mvp.playbook.yaml"
    assert cli("lock-playbooks").code == 0
    path.write_text(path.read_text().replace("max_tokens: 4", "max_tokens: 5"))
    result = cli("run", path.relative_to(checkout), "--dry-run", "--no-gpu")
    assert result.code == 1
    assert "test_matrix.max_tokens has changed since it was locked" in result.sentence
    allowed = cli("run", path.relative_to(checkout), "--dry-run", "--no-gpu", "--ignore-lock")
    assert (allowed.code, "plan of aprqa/aprqa-reference" in allowed.out) == (0, True)


def test_an_interrupted_run_ends_with_130(certified, tmp_path):
    options = ["--no-gpu", "--threads", "1", "--output", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_aprqa.cli", "run", certified.playbook, *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    journal = tmp_path / "out" / "aprqa-reference" / "evidence.jsonl"
    _wait_for(journal)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out.decode()
    evidence = json.loads((journal.parent / "evidence.json").read_text())
    assert evidence["interrupted"] is True


def _wait_for(path: Path) -> None:
    """Wait until a journal holds a record."""
    until = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
