"""Opening a file of tensors by what is in it, whatever it is called."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pytest_aprqa.artifact.apr_file import AprFile
from pytest_aprqa.artifact.file_state import settled_state
from pytest_aprqa.artifact.gguf_file import MAGIC as GGUF_MAGIC
from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.mapped_file import map_file, refuse_pickle
from pytest_aprqa.artifact.safetensors_file import SafeTensorsFile
from pytest_aprqa.artifact.tensor_file import TensorFile
from pytest_aprqa.artifact.tensor_map import MappedTensors

_REMEMBERED = 4
"""Files whose headers and metadata are kept."""


def open_tensors(path: Path, *, checksum: bool = True) -> TensorFile:
    """Open SafeTensors, GGUF or APR, told apart by their first bytes.

    Args:
        path: a file; a SafeTensors index; or a directory of SafeTensors.
        checksum: check the CRC-32 of an APR file, which reads all of it once; to be left out only
            for a file that has been checked already.

    Raises:
        ArtifactError: MALFORMED, UNSUPPORTED, NOT_FOUND or ENVIRONMENT.
    """
    if path.is_dir() or path.suffix == ".json":
        return SafeTensorsFile(path)
    state = ""
    with suppress(OSError):  # opening says better what is wrong
        state = settled_state([path])
    file = _remembered(path, state).again() if state else _open(path)
    if checksum and isinstance(file, AprFile):
        file.refuse_checksum()
    return file


@lru_cache(_REMEMBERED)
def _remembered(path: Path, state: str) -> MappedTensors:
    """Return the closed reader of a file, made once per state: vocabularies of GGUF are long."""
    with _open(path) as file:
        return file


def _open(path: Path) -> MappedTensors:
    head = map_file(path)[:16].tobytes()
    refuse_pickle(path, head)
    if head.startswith(GGUF_MAGIC):
        return GgufFile(path)
    if head.startswith(b"APR"):
        return AprFile(path, checksum=False)
    return SafeTensorsFile(path)
