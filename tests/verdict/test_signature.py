"""A signature holds for exactly the bytes it was made for."""

from __future__ import annotations

import base64
import json
import random
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pytest_aprqa.verdict.journal import Journal, RunHeader
from pytest_aprqa.verdict.provenance import artifacts_of
from pytest_aprqa.verdict.record import Environment, conclude
from pytest_aprqa.verdict.signature import (
    SignatureError,
    differences,
    key_id,
    open_signed,
    sign,
    statement_of,
)
from pytest_aprqa.verdict.signature_keys import (
    PASSPHRASE_VARIABLE,
    KeyFileError,
    read_private_key,
    read_public_key,
    write_key_pair,
)

STARTED = "2026-01-02T03:04:05.000+00:00"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ROW = {"model_id": "org/tiny", "status": "CERTIFIED", "mqs_score": "1000"}
G0 = {
    "artifact": {
        "name": "tiny.gguf",
        "bytes": 5,
        "digest": "d" * 64,
        "files": {"tiny.gguf": "a" * 64},
        "expected": {},
        "source": "here",
        "converted_from": "",
        "derived": False,
    }
}


@pytest.fixture(scope="module")
def exhibits(story, tmp_path_factory):
    """A run, and the content of its files by name."""
    told = story(QUAL="CCC", STAB="C")
    records = [
        record.model_copy(update={"observation": G0}) if record.subject == "G0" else record
        for record in told.records
    ]
    path = tmp_path_factory.mktemp("run") / "evidence.jsonl"
    with Journal(path, RunHeader.of("run-1", STARTED, told.plan)) as journal:
        for record in records:
            journal.append(record)

    run = conclude(
        run_id="run-1",
        started=STARTED,
        finished=STARTED,
        plan=told.plan,
        records=records,
        environment=Environment(python="3.11"),
        artifacts=artifacts_of(records),
        journal_head=journal.head,
    )
    return run, {"evidence.json": run.to_json().encode(), "evidence.jsonl": path.read_bytes()}


@pytest.fixture(scope="module")
def signed(exhibits):
    run, files = exhibits
    return sign(statement_of(run, files, ROW), KEY)


def problems(content, run, files, row=ROW):
    statement = open_signed(content, KEY.public_key())
    return list(differences(statement, statement_of(run, files, row)))


def test_what_was_signed_holds(signed, exhibits):
    assert problems(signed, *exhibits) == []


def test_any_single_byte_changed_in_any_file_is_found_and_the_file_is_named(signed, exhibits):
    run, files = exhibits
    chance = random.Random(20260102)
    for name, content in files.items():
        for _ in range(300):
            at = chance.randrange(len(content))
            changed = bytearray(content)
            changed[at] ^= chance.randrange(1, 256)
            [problem] = problems(signed, run, {**files, name: bytes(changed)})
            assert problem.startswith(f"{name}: signed with sha256 ")


def test_any_single_byte_changed_in_the_signature_is_found(signed):
    chance = random.Random(20260103)
    for at in range(len(signed)):
        changed = bytearray(signed)
        changed[at] ^= chance.randrange(1, 256)
        with pytest.raises(SignatureError):
            open_signed(bytes(changed), KEY.public_key())


def test_every_bit_of_a_digest_counts(signed, exhibits):
    run, files = exhibits
    artifact = run.artifacts["gguf"]
    for position in range(64):
        digest = "a" * position + "b" + "a" * (63 - position)
        other = artifact.model_copy(update={"files": {"tiny.gguf": digest}})
        changed = run.model_copy(update={"artifacts": {"gguf": other}})
        [problem] = problems(signed, changed, files)
        assert problem.startswith("gguf/tiny.gguf: ")


@pytest.mark.parametrize("column", ROW)
def test_a_changed_row_is_found_and_the_column_is_named(signed, exhibits, column):
    [problem] = problems(signed, *exhibits, {**ROW, column: "other"})
    assert problem.startswith(f"registry row, {column}: signed as ")


def test_a_lost_and_an_added_file_are_found(signed, exhibits):
    run, files = exhibits
    lost = problems(signed, run, {"evidence.json": files["evidence.json"]})
    assert lost[0].startswith("evidence.jsonl: signed with sha256 ")
    assert lost[0].endswith("now (missing)")
    added = problems(signed, run, {**files, "more": b""})
    assert added[0].startswith("more: signed with sha256 (missing)")


def test_another_key_is_named_and_not_taken(signed):
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(SignatureError, match=f"{key_id(KEY.public_key())[:16]}, not with"):
        open_signed(signed, other)


def test_a_signature_over_another_payload_does_not_fit(signed):
    envelope = json.loads(signed)
    payload = base64.b64decode(envelope["payload"]).replace(b"CERTIFIED", b"CERTIFIEX")
    envelope["payload"] = base64.b64encode(payload).decode()
    forged = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(SignatureError, match="does not fit its own payload"):
        open_signed(forged, KEY.public_key())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100000])
def test_what_is_no_envelope_is_refused_in_a_sentence(content):
    with pytest.raises(SignatureError, match="no envelope"):
        open_signed(content, KEY.public_key())


def test_the_envelope_is_what_other_tools_read(signed):
    envelope = json.loads(signed)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["name"] for subject in statement["subject"]] == [
        "evidence.json",
        "evidence.jsonl",
        "gguf/tiny.gguf",
    ]
    assert all(len(subject["digest"]["sha256"]) == 64 for subject in statement["subject"])


def test_keys_are_written_and_read_and_the_private_one_is_the_owners(tmp_path):
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    write_key_pair(private, public)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = read_private_key(private)
    assert key_id(key.public_key()) == key_id(read_public_key(public))


def test_a_key_is_never_replaced(tmp_path):
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    public.write_text("mine")
    with pytest.raises(KeyFileError, match=r"a.pub is there already"):
        write_key_pair(private, public)
    assert not private.exists()
    assert public.read_text() == "mine"


def test_an_encrypted_key_needs_its_passphrase(tmp_path, monkeypatch):
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    write_key_pair(private, public, "secret")
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    with pytest.raises(
        KeyFileError, match=f"encrypted: give its passphrase in {PASSPHRASE_VARIABLE}"
    ):
        read_private_key(private)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(KeyFileError, match=f"or {PASSPHRASE_VARIABLE} is wrong"):
        read_private_key(private)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "secret")
    assert key_id(read_private_key(private).public_key()) == key_id(read_public_key(public))


def test_files_that_are_no_keys_are_refused_in_a_sentence(tmp_path):
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    write_key_pair(private, public)
    with pytest.raises(KeyFileError, match="no private key"):
        read_private_key(public)
    with pytest.raises(KeyFileError, match="no public key"):
        read_public_key(private)
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read_public_key(tmp_path / "none")


def test_a_key_of_another_kind_is_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    path = tmp_path / "ec.key"
    key = generate_private_key(SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyFileError, match="no Ed25519 key"):
        read_private_key(path)
