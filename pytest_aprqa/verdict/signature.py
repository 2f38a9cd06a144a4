"""Signed evidence: an in-toto statement about the files of a run, in a DSSE envelope.

Formats: https://github.com/in-toto/attestation/tree/main/spec/v1 and
https://github.com/secure-systems-lab/dsse. The signature is Ed25519 with a key of one's own, so
that nothing but the public key is needed to verify it, now or in ten years.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_aprqa.verdict.canonical import canonical_json
from pytest_aprqa.verdict.record import RecordError, Run

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PAYLOAD_TYPE: Literal["application/vnd.in-toto+json"] = "application/vnd.in-toto+json"
STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["https://pypi.org/project/pytest-aprqa/certificate/v1"] = (
    "https://pypi.org/project/pytest-aprqa/certificate/v1"
)


class SignatureError(RecordError):
    """A signature does not hold; one sentence says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class FileDigest(_Strict):
    """The digest of a subject, by algorithm."""

    sha256: str


class Subject(_Strict):
    """A file by its name and digest; that of an artifact as `format/name`."""

    name: str
    digest: FileDigest


class Claim(_Strict):
    """What is said of the subjects.

    Attributes:
        row: the model's row of the registry, or None when the run has none.
    """

    model_id: str
    run_id: str
    finished: str
    tier: str
    status: str
    score: int
    row: dict[str, str] | None = None


class Statement(_Strict):
    """An in-toto statement about one run."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://pypi.org/project/pytest-aprqa/certificate/v1"] = Field(
        PREDICATE_TYPE, alias="predicateType"
    )
    predicate: Claim


class _Signature(_Strict):
    keyid: str
    sig: str


class _Envelope(_Strict):
    payload: str
    payloadType: Literal["application/vnd.in-toto+json"] = PAYLOAD_TYPE  # noqa: N815 - DSSE's name
    signatures: tuple[_Signature, ...]


def statement_of(run: Run, files: Mapping[str, bytes], row: Mapping[str, str] | None) -> Statement:
    """Return what there is to sign about a run.

    Args:
        run: the run.
        files: content of its files of evidence by name.
        row: the model's row of the registry as it stands.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for form, artifact in sorted(run.artifacts.items()):
        digests |= {f"{form}/{name}": sha for name, sha in sorted(artifact.files.items())}
    return Statement(
        subject=tuple(
            Subject(name=name, digest=FileDigest(sha256=sha)) for name, sha in digests.items()
        ),
        predicate=Claim(
            model_id=run.plan.model_id,
            run_id=run.run_id,
            finished=run.finished,
            tier=run.plan.tier.value,
            status=run.certificate.status.value,
            score=run.certificate.score,
            row=None if row is None else dict(row),
        ),
    )


def sign(statement: Statement, key: Ed25519PrivateKey) -> bytes:
    """Return a statement in a signed envelope, one line of JSON."""
    return sealed(payload_of(statement), key)


def payload_of(statement: BaseModel) -> bytes:
    """Return an in-toto statement as it is signed: JSON with sorted keys, without white space."""
    plain = statement.model_dump(mode="json", by_alias=True)
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")


def sealed(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return a payload in a signed envelope, one line of JSON."""
    signature = _Signature(
        keyid=key_id(key.public_key()), sig=_base64(key.sign(_authenticated(payload)))
    )
    return _json(_Envelope(payload=_base64(payload), signatures=(signature,))) + b"\n"


def open_signed(content: bytes, key: Ed25519PublicKey) -> Statement:
    """Return the statement of an envelope.

    Raises:
        SignatureError: it is no envelope, was changed, or was signed with another key.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        envelope = _Envelope.model_validate(json.loads(content))
        payload = base64.b64decode(envelope.payload, validate=True)
        [signature] = envelope.signatures
        given = base64.b64decode(signature.sig, validate=True)
    except (ValidationError, ValueError, RecursionError, binascii.Error):
        raise SignatureError("it is no envelope of one signature") from None
    if _json(envelope) + b"\n" != content or _base64(given) != signature.sig:
        raise SignatureError("it is not written as `apr-qa sign` writes it, so it was changed")
    if signature.keyid != key_id(key):
        raise SignatureError(
            f"it was made with the key {signature.keyid[:16]}, not with {key_id(key)[:16]}"
        )
    try:
        key.verify(given, _authenticated(payload))
    except InvalidSignature:
        raise SignatureError("it does not fit its own payload, so one of them changed") from None
    try:
        return Statement.model_validate_json(payload)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise SignatureError(f"its statement is of another form, see its field {field}") from None


def differences(signed: Statement, found: Statement) -> Iterator[str]:
    """Say in what the files that lie there are not those that were signed."""
    now = {subject.name: subject.digest.sha256 for subject in found.subject}
    then = {subject.name: subject.digest.sha256 for subject in signed.subject}
    for name in (*then, *(name for name in now if name not in then)):
        if now.get(name) != then.get(name):
            yield f"{name}: signed with sha256 {_short(then.get(name))}, now {_short(now.get(name))}"
    signed_row, row = signed.predicate.row, found.predicate.row or {}
    for column, value in (signed_row or {}).items():
        if row.get(column) != value:
            yield f"registry row, {column}: signed as {value!r}, now {row.get(column)!r}"
    for field in Claim.model_fields:
        ours, theirs = getattr(found.predicate, field), getattr(signed.predicate, field)
        if field != "row" and ours != theirs:
            yield f"{field}: signed as {theirs!r}, now {ours!r}"


def key_id(key: Ed25519PublicKey) -> str:
    """Return the identity of a public key: sha256 of its DER SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _authenticated(payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _json(model: BaseModel) -> bytes:
    return canonical_json(model).encode("ascii")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _short(digest: str | None) -> str:
    return digest[:16] if digest else "(missing)"
