"""A file that is hashed while it is written."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from pytest_aprqa.artifact.digest import DigestCache, sha256_of_file
from pytest_aprqa.artifact.hashed_file import hashed_file

MIB = 1 << 20


def test_it_holds_what_was_written_and_its_checksums_are_known(tmp_path: Path) -> None:
    pieces = [b"head", bytes(3 * MIB + 1), b"", bytes(range(256)) * 4 * 100, b"tail"] * 40
    with hashed_file(tmp_path / "file") as file:
        for piece in pieces:
            file.write(piece)
    whole = b"".join(pieces)
    assert (tmp_path / "file").read_bytes() == whole
    assert file.crc32 == zlib.crc32(whole)
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(whole).hexdigest()


def test_a_change_behind_its_back_is_seen(tmp_path: Path) -> None:
    with hashed_file(tmp_path / "file") as file:
        file.write(b"written")
    (tmp_path / "file").write_bytes(b"changed, and longer")
    found = sha256_of_file(tmp_path / "file")
    assert found == hashlib.sha256(b"changed, and longer").hexdigest()


def test_what_is_known_is_kept_for_other_processes(tmp_path: Path) -> None:
    with hashed_file(tmp_path / "file") as file:
        file.write(b"written")
    kept = tmp_path / "digests"
    sha256 = DigestCache(kept).sha256(tmp_path / "file")
    assert [path.read_text() for path in kept.iterdir()] == [sha256]


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    def fail() -> None:
        with hashed_file(tmp_path / "file") as file:
            file.write(bytes(70 * MIB))
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fail()
    assert list(tmp_path.iterdir()) == []
