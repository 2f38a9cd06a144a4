from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.words import Format

SOURCES = [TensorSource.of("w", np.ones((2, 3), np.float32), DType.F32)]


def refusal(path: Path) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        open_tensors(path)
    return caught.value


@pytest.mark.parametrize("format", Format)
def test_the_content_decides_and_not_the_name(tmp_path: Path, format: Format) -> None:
    path = tmp_path / "model.bin"
    if format is Format.APR:
        write_apr(path, SOURCES, {})
    elif format is Format.GGUF:
        write_gguf(path, SOURCES, [])
    else:
        write_safetensors(path, SOURCES)
    with open_tensors(path) as file:
        assert file.format is format
        assert file.read("w").sum() == 6


def test_the_checksum_of_an_apr_file_is_checked_unless_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m.apr"
    write_apr(path, SOURCES, {})
    data = bytearray(path.read_bytes())
    data[-64] ^= 1
    path.write_bytes(data)
    assert refusal(path).rule == "G0-CHECKSUM"
    assert open_tensors(path, checksum=False).read("w").shape == (2, 3)


def test_a_directory_is_a_safetensors_model(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", SOURCES)
    assert open_tensors(tmp_path).format is Format.SAFETENSORS


def test_a_pickle_is_refused_by_its_content_and_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(marker),))

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Hostile()))
    assert refusal(path).rule == "G0-PICKLE"
    assert not marker.exists()


def test_a_torch_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    assert "SafeTensors" in refusal(path).message


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.apr"
    path.touch()
    error = refusal(path)
    assert (error.fault, error.rule) == (ArtifactFault.MALFORMED, "G0-FILE")
    assert "empty (0 bytes)" in error.message


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    error = refusal(tmp_path / "gone.gguf")
    assert error.fault is ArtifactFault.NOT_FOUND
    assert "gone.gguf" in error.message


def test_a_directory_in_place_of_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    assert "directory where a file is expected" in refusal(tmp_path).message


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    os.mkfifo(path)
    assert "not a regular file" in refusal(path).message


def test_text_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert refusal(path).rule == "G0-HEADER"


def test_what_is_known_of_a_file_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    long_ago = 1_700_000_000
    for number, name in enumerate(("one", "two")):
        write_gguf(path, [TensorSource.of(name, np.ones((2, 3), np.float32), DType.F32)], [])
        os.utime(path, (long_ago + number, long_ago + number))
        with open_tensors(path) as first, open_tensors(path) as second:
            assert list(first.tensors) == list(second.tensors) == [name]
            assert first.tensors[name] is second.tensors[name]
            first.close()
            assert second.read(name).shape == first.tensors[name].shape


def test_a_file_that_was_written_just_now_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(path, SOURCES, [])
    with open_tensors(path) as first, open_tensors(path) as second:
        assert first.tensors["w"] is not second.tensors["w"]
