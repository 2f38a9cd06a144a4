"""`keygen`, `sign`, `verify`: whatever was changed is found and named."""

from __future__ import annotations

import json
import re
import shutil

import pytest


@pytest.fixture
def checkout(certified, tmp_path):
    """A copy of a certified checkout with a model of its own, and where its evidence lies."""
    root = tmp_path / "copy"
    shutil.copytree(certified.root, root)
    return root


@pytest.fixture
def model(builtin, tmp_path):
    return shutil.copytree(builtin, tmp_path / "model")


EVIDENCE = "certifications/aprqa-reference"


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_evidence_is_verified_signed_and_verified_with_the_key(cli, checkout):
    verified = cli("verify", EVIDENCE, cwd=checkout)
    assert verified.code == 0, verified.out
    assert "failed" not in verified.out
    cli("keygen", "me", cwd=checkout)
    signed = cli("sign", EVIDENCE, "--key", "me.key", cwd=checkout)
    assert (signed.code, signed.out.strip()) == (0, f"{EVIDENCE}/evidence.sig.json")
    points = cli("verify", EVIDENCE, "--key", "me.pub", "--json", cwd=checkout).json
    assert points["holds"]
    assert {point["standing"] for point in points["points"]} == {"ok"}
    assert {"records", "verdict", "registry row", "gguf files", "signature"} <= {
        point["name"] for point in points["points"]
    }


def test_a_changed_byte_is_named_wherever_it_is(cli, checkout, model):
    cli("keygen", "me", cwd=checkout)
    assert cli("sign", EVIDENCE, "--key", "me.key", cwd=checkout).code == 0
    verify = ("verify", EVIDENCE, "--key", "me.pub", "--model-path", model)
    assert cli(*verify, cwd=checkout).code == 0

    registry = checkout / "certifications/models.csv"
    sound = registry.read_bytes()
    registry.write_bytes(sound.replace(b",gguf,", b",safetensors,").replace(b"true", b"false", 1))
    row = cli(*verify, cwd=checkout)
    assert row.code == 1
    assert row.sentence.startswith("registry row does not hold: ")
    assert "aprqa/aprqa-reference: g" in row.sentence
    registry.write_bytes(sound)

    evidence = checkout / EVIDENCE / "evidence.json"
    sound = evidence.read_bytes()
    evidence.write_bytes(sound.replace(b'"python":"3', b'"python":"2', 1))
    assert "evidence.json: signed with sha256" in cli(*verify, cwd=checkout).sentence
    score = json.loads(sound)["certificate"]["score"]
    written = b'"score":%d,"status"'
    evidence.write_bytes(sound.replace(written % score, written % (score - 1)))
    assert "verdict does not hold: certificate.score" in cli(*verify, cwd=checkout).sentence
    evidence.write_bytes(sound)

    flip(model / "model.safetensors", -2)
    weights = cli(*verify, cwd=checkout)
    assert weights.code == 1
    assert weights.sentence.startswith("gguf files does not hold: ")


def test_a_report_that_was_changed_or_added_after_signing_is_named(cli, checkout):
    cli("keygen", "me", cwd=checkout)
    page, text = (checkout / EVIDENCE / name for name in ("report.html", "report.md"))
    text.unlink()
    assert cli("sign", EVIDENCE, "--key", "me.key", cwd=checkout).code == 0
    verify = ("verify", EVIDENCE, "--key", "me.pub")
    assert cli(*verify, cwd=checkout).code == 0
    text.write_text("**CERTIFIED**")
    assert "report.md: signed with sha256 (missing), now " in cli(*verify, cwd=checkout).sentence
    text.unlink()
    page.write_text(page.read_text().replace("</h1>", " is CERTIFIED</h1>", 1))
    assert "signature does not hold: report.html: signed" in cli(*verify, cwd=checkout).sentence
    page.unlink()
    assert "report.html: signed with sha256 " in cli(*verify, cwd=checkout).sentence


def test_a_second_row_of_the_model_is_found(cli, checkout):
    cli("keygen", "me", cwd=checkout)
    assert cli("sign", EVIDENCE, "--key", "me.key", cwd=checkout).code == 0
    registry = checkout / "certifications/models.csv"
    [status] = re.findall(r",(CERTIFIED|PROVISIONAL|BLOCKED|PARTIAL),", registry.read_text())
    row = registry.read_text().splitlines()[-1]
    with registry.open("a") as file:
        file.write(row.replace(f",{status},", ",PENDING,") + "\n")
    twice = cli("verify", EVIDENCE, "--key", "me.pub", cwd=checkout)
    assert twice.code == 1
    assert twice.sentence.startswith("registry row does not hold: ")
    assert twice.sentence.endswith("models.csv has 2 rows of aprqa/aprqa-reference, not one")
    assert "registry row" in cli("sign", EVIDENCE, "--key", "me.key", cwd=checkout).sentence
    checked = cli("validate", cwd=checkout)
    assert checked.code == 1
    assert "aprqa/aprqa-reference: has more than one row" in checked.out


def test_what_does_not_hold_is_not_signed(cli, checkout):
    cli("keygen", "me", cwd=checkout)
    journal = checkout / EVIDENCE / "evidence.jsonl"
    flip(journal, journal.stat().st_size // 2)
    refused = cli("sign", EVIDENCE, "--key", "me.key", cwd=checkout)
    assert refused.code == 1
    assert "is not signed: journal: line " in refused.sentence
    assert not (checkout / EVIDENCE / "evidence.sig.json").exists()


def test_mistakes_are_one_sentence(cli, checkout, tmp_path):
    assert "there is no evidence at nowhere" in cli("verify", "nowhere", cwd=checkout).sentence
    missing = cli("sign", EVIDENCE, "--key", "none.key", cwd=checkout)
    assert missing.sentence == "the key none.key cannot be read: No such file or directory"
    cli("keygen", "me", cwd=checkout)
    assert "is there already" in cli("keygen", "me", cwd=checkout).sentence
    unsigned = cli("verify", EVIDENCE, "--key", "me.pub", cwd=checkout)
    assert unsigned.sentence == "signature does not hold: there is no evidence.sig.json"
    journal = cli("verify", f"{EVIDENCE}/evidence.jsonl", cwd=checkout)
    assert "is a journal; give the evidence.json beside it" in journal.sentence
