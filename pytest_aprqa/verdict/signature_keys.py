"""Ed25519 keys in PEM files, as OpenSSL reads and writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_aprqa.verdict.record import RecordError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PASSPHRASE_VARIABLE = "APRQA_KEY_PASSPHRASE"
"""Environment variable with the passphrase of an encrypted private key."""


class KeyFileError(RecordError):
    """A key cannot be used; one sentence says which and why."""


def write_key_pair(private: Path, public: Path, passphrase: str = "") -> None:
    """Make a key pair: the private key readable by its owner alone, encrypted with a passphrase.

    Raises:
        KeyFileError: one of the files is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    encryption: form.KeySerializationEncryption = form.NoEncryption()
    if passphrase:
        encryption = form.BestAvailableEncryption(passphrase.encode())
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, encryption)
    open_part = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    for path in (private, public):
        if path.exists():
            raise KeyFileError(f"{path} is there already; a key is never replaced, move it away")
    for path, content, mode in ((private, secret, 0o600), (public, open_part, 0o644)):
        _write_new(path, content, mode)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Return a private key. Raises KeyFileError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    passphrase = os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None
    content = _read(path)
    try:
        key = load_pem_private_key(content, passphrase if b"ENCRYPTED" in content else None)
    except TypeError:
        raise KeyFileError(
            f"{path} is encrypted: give its passphrase in {PASSPHRASE_VARIABLE}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = f", or {PASSPHRASE_VARIABLE} is wrong" if passphrase else ""
        raise KeyFileError(f"{path} is no private key in PEM{wrong}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is no Ed25519 key; `apr-qa keygen` makes one")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return a public key. Raises KeyFileError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path} is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path} is no Ed25519 key; `apr-qa keygen` makes one")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"the key {path} cannot be read: {error.strerror}") from error
