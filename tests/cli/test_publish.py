"""`model-card` and `attest`: what a run says in the forms of others."""

from __future__ import annotations

import base64
import json
import shutil

import pytest
import yaml

DSSE = "DSSEv1 28 application/vnd.in-toto+json {size} "


def test_the_statement_binds_the_tests_to_the_files_that_were_tested(cli, certified):
    run = json.loads(certified.evidence.read_text())
    statement = cli("attest", certified.evidence).json
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    files = run["artifacts"]["gguf"]["files"]
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
        f"gguf/{name}": digest for name, digest in files.items()
    }
    found = statement["predicate"]
    failed = [one["check"] for one in run["records"] if one["outcome"] == "falsified"]
    assert found["failedTests"] == failed
    planned = [one["check"] for one in run["plan"]["checks"]]
    told = found["passedTests"] + found["warnedTests"] + found["failedTests"]
    assert sorted(told) == sorted(planned)
    expected = "WARNED" if run["certificate"]["exit_ok"] else "FAILED"
    assert found["result"] == expected
    assert [one["name"] for one in found["configuration"]] == [
        "tiny-mvp.playbook.yaml",
        "plan at tier mvp",
    ]


def test_a_signed_statement_is_an_envelope_that_the_public_key_opens(cli, certified, tmp_path):
    from pytest_aprqa.verdict.signature_keys import read_public_key

    cli("keygen", "me")
    signed = cli("attest", certified.evidence, "--key", "me.key", "--output", "out.json")
    assert signed.code == 0, signed
    envelope = json.loads((tmp_path / "out.json").read_text())
    payload = base64.b64decode(envelope["payload"])
    assert json.loads(payload) == cli("attest", certified.evidence).json
    message = DSSE.format(size=len(payload)).encode() + payload
    [signature] = envelope["signatures"]
    read_public_key(tmp_path / "me.pub").verify(base64.b64decode(signature["sig"]), message)


def test_the_card_of_a_model_says_what_its_run_came_to(cli, certified, tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n\n# Tiny\n")
    options = ("--readme", "README.md", "--dataset", "aprqa/playbooks")
    arguments = ("model-card", certified.evidence, *options)
    assert cli(*arguments).code == 0
    certificate = json.loads(certified.evidence.read_text())["certificate"]
    card = (tmp_path / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    [model] = metadata["model-index"]
    assert model["results"][0]["metrics"][0]["value"] == certificate["score"]
    assert f"**{certificate['status']}**" in card
    [entry] = yaml.safe_load((tmp_path / ".eval_results" / "pytest-aprqa.yaml").read_text())
    assert entry["dataset"] == {"id": "aprqa/playbooks", "task_id": "mvp"}
    assert "was up to date" in cli(*arguments).out


@pytest.mark.parametrize("command", ["attest", "model-card"])
def test_a_forged_verdict_is_not_published(cli, certified, tmp_path, command):
    run = json.loads(certified.evidence.read_text())
    run["certificate"]["status"] = "CERTIFIED"
    (tmp_path / "evidence.json").write_text(json.dumps(run))
    result = cli(command, "evidence.json")
    assert result.code == 1
    assert "is not what the records say: certificate.status" in result.sentence
    assert not (tmp_path / "README.md").exists()


def test_a_card_that_is_not_named_lies_beside_the_evidence(cli, certified, tmp_path):
    (tmp_path / "README.md").write_text("# A project\n")
    (tmp_path / "kept").mkdir()
    shutil.copy(certified.evidence, tmp_path / "kept")
    result = cli("model-card", "kept")
    assert (result.code, result.out) == (0, "kept/README.md has been updated\n")
    assert "model-index" in (tmp_path / "kept" / "README.md").read_text()
    assert (tmp_path / "README.md").read_text() == "# A project\n"


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "org/na me", "/"])
def test_what_is_no_data_set_is_refused_before_anything_is_written(cli, certified, tmp_path, name):
    result = cli("model-card", certified.evidence, "--readme", "card.md", "--dataset", name)
    assert (result.code, "owner/name" in result.sentence) == (2, True)
    assert not (tmp_path / "card.md").exists()
