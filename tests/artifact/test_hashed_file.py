"""A file that is hashed while it is written."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from queue import SimpleQueue

import pytest

from pytest_aprqa.artifact.digest import DigestCache, digest_of, remember, sha256_of_file
from pytest_aprqa.artifact.hashed_file import hashed_file, sha256_up_to
from pytest_aprqa.artifact.in_background import in_background
from pytest_aprqa.artifact.model import ArtifactError

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


def test_it_is_there_before_its_sha256(tmp_path: Path) -> None:
    whole = bytes(range(256)) * 4096 * 64
    with hashed_file(tmp_path / "file") as file:
        file.write(whole)
    (tmp_path / "file").rename(tmp_path / "renamed")
    identity = DigestCache().identity([tmp_path / "renamed"])
    (tmp_path / "renamed").unlink()
    found = hashlib.sha256(whole).hexdigest()
    assert str(identity) == digest_of({"renamed": found})


def test_one_that_is_cut_while_it_is_hashed_has_no_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"only this")
    ends: SimpleQueue[int | None] = SimpleQueue()
    for end in (4, 9, 4096, None):
        ends.put(end)
    handle = os.open(path, os.O_RDONLY)
    sha256 = in_background("sha256", lambda: sha256_up_to(handle, ends), daemon=True)
    remember(path, sha256)
    with pytest.raises(ArtifactError, match="file: it was cut while it was read"):
        str(DigestCache().identity([path]))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)
    assert sha256_of_file(path) == hashlib.sha256(b"only this").hexdigest()


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
