"""The checksum of a whole APR file, which is read once per state of the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.apr_layout import FOOTER
from pytest_aprqa.artifact.crc32 import Summed, crc32_in_parts
from pytest_aprqa.artifact.file_state import settled_state
from pytest_aprqa.artifact.malformed import environment, malformed
from pytest_aprqa.artifact.mapped_file import give_back

Bytes = npt.NDArray[np.uint8]

# States of files whose checksum this process has found right.
_SOUND: set[str] = set()


def refuse_checksum(path: Path, data: Bytes, known: Iterable[Summed] = ()) -> None:
    """Raise unless the footer is right; what was right is not read again in the same state.

    Args:
        path: of the file.
        data: all of it.
        known: parts whose CRC-32 is known.
    """
    try:
        state = settled_state([path])
    except OSError as error:
        raise environment(path, error) from error
    if state in _SOUND:
        return
    end = len(data) - FOOTER.size
    (stored,) = FOOTER.unpack(data[end:].tobytes())
    expected = crc32_in_parts(data[:end], give_back, known)
    if stored != expected:
        raise malformed(
            path,
            "G0-CHECKSUM",
            f"file checksum is {stored:08x}, its bytes give {expected:08x}: the file was cut or "
            "changed after it was written",
            f"byte {end}",
        )
    if state:
        _SOUND.add(state)
