from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_aprqa.artifact.digest import DigestCache, digest_of, sha256_of_file
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

SHA = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    return path


def test_a_file_has_the_sha256_of_its_bytes(file: Path) -> None:
    assert sha256_of_file(file) == SHA


def test_a_changed_file_is_read_again(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "digests")
    assert cache.sha256(file) == SHA
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(1, 1))
    assert cache.sha256(file) == hashlib.sha256(b"WEIGHTS").hexdigest()


def test_the_directory_remembers_for_another_process(file: Path, tmp_path: Path) -> None:
    directory = tmp_path / "digests"
    DigestCache(directory).sha256(file)
    (remembered,) = directory.iterdir()
    remembered.write_text("0" * 64)
    ask = (
        "from pathlib import Path; from pytest_aprqa.artifact.digest import DigestCache;"
        f"print(DigestCache(Path({str(directory)!r})).sha256(Path({str(file)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0" * 64  # what was written down, not what would be read


def test_a_remembered_digest_that_is_none_is_not_believed(file: Path, tmp_path: Path) -> None:
    directory = tmp_path / "digests"
    directory.mkdir()
    status = file.stat()
    state = f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    (directory / state).write_text("not a digest")
    assert DigestCache(directory).sha256(file) == SHA


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file") as caught:
        sha256_of_file(tmp_path / "nothing")
    assert caught.value.fault is ArtifactFault.NOT_FOUND


def test_a_directory_is_no_file_to_digest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        sha256_of_file(tmp_path)
    assert caught.value.fault is ArtifactFault.MALFORMED


def test_the_identity_of_an_artifact_is_that_of_its_sorted_names_and_digests() -> None:
    text = f"{'1' * 64}  a\n{'2' * 64}  b\n"
    assert digest_of({"b": "2" * 64, "a": "1" * 64}) == hashlib.sha256(text.encode()).hexdigest()
    assert digest_of({"a": "1" * 64}) != digest_of({"b": "1" * 64})


def test_where_a_file_lies_is_no_part_of_its_identity(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.apr").write_bytes(b"same")
        digests.append(DigestCache().digest([tmp_path / name / "model.apr"]))
    assert digests[0] == digests[1]
