from __future__ import annotations

import errno
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault


@pytest.fixture
def limited_file_size() -> Iterator[int]:
    """Let no file of this process grow over 64 KiB, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 1 << 16
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write(path: Path, size: int) -> None:
    with atomic_file(path) as file:
        file.write(bytes(size))


def test_the_file_is_there_when_the_block_ends(tmp_path: Path) -> None:
    write(tmp_path / "a", 5)
    assert (tmp_path / "a").read_bytes() == bytes(5)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_others_may_read_it_as_the_umask_allows(tmp_path: Path) -> None:
    write(tmp_path / "a", 5)
    (tmp_path / "plain").touch()
    plain, ours = ((tmp_path / name).stat().st_mode for name in ("plain", "a"))
    assert stat.S_IMODE(ours) == stat.S_IMODE(plain)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")

    def fail() -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_the_file_system_refuses_leaves_nothing(
    tmp_path: Path, limited_file_size: int
) -> None:
    with pytest.raises(ArtifactError) as caught:
        write(tmp_path / "a", limited_file_size + 1)
    assert caught.value.fault is ArtifactFault.ENVIRONMENT
    assert "a: File too large" in caught.value.message
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_the_environments_fault(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_file(tmp_path / "a"), Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(ArtifactError, match="No space left") as caught:
        fill()
    assert caught.value.fault is ArtifactFault.ENVIRONMENT
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_not_there_is_the_environments_fault(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        write(tmp_path / "gone" / "a", 5)
    assert caught.value.fault is ArtifactFault.ENVIRONMENT
