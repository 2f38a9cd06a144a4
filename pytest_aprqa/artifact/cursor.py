"""Reading little-endian fields out of a mapped file, never past its end."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.malformed import malformed

_LENGTH = struct.Struct("<Q")
_AHEAD = 1 << 20
"""Bytes that are copied at once to cut texts out of."""


class Cursor:
    """A position in the bytes of a file.

    Every method raises ArtifactError MALFORMED with rule G0-TRUNCATED when the field would pass
    `end`; the check comes before anything is allocated.

    Attributes:
        position: of the next byte to read.
    """

    def __init__(
        self, path: Path, data: npt.NDArray[np.uint8], position: int = 0, end: int | None = None
    ) -> None:
        self.path = path
        self.position = position
        self.end = data.size if end is None else end
        self._data = data.data

    @property
    def where(self) -> str:
        return f"byte {self.position}"

    def need(self, count: int, what: str) -> None:
        """Raise unless this many bytes are left."""
        left = self.end - self.position
        if count > left:
            raise malformed(
                self.path,
                "G0-TRUNCATED",
                f"{what} takes {count} bytes, {left} are left",
                self.where,
            )

    def unpack(self, fields: struct.Struct, what: str) -> tuple[int, ...]:
        """Read a fixed record."""
        self.need(fields.size, what)
        values = fields.unpack_from(self._data, self.position)
        self.position += fields.size
        return values

    def take(self, count: int, what: str) -> bytes:
        """Read this many bytes."""
        self.need(count, what)
        taken = bytes(self._data[self.position : self.position + count])
        self.position += count
        return taken

    def text(self, count: int, what: str) -> str:
        """Read this many bytes of UTF-8."""
        where = self.where
        try:
            return self.take(count, what).decode("utf-8")
        except UnicodeDecodeError:
            raise malformed(self.path, "G0-TEXT", f"{what} is not UTF-8", where) from None

    def texts(self, count: int, what: str) -> list[str]:
        """Read this many texts of UTF-8, each behind its length in 64 bits.

        As `text` does it one by one, at a fifth of the time; vocabularies are long.
        """
        found: list[str] = []
        while len(found) < count:
            found += self._texts_ahead(count - len(found))
            if len(found) < count:
                found.append(self._text_behind_its_length(what))
        return found

    def _texts_ahead(self, count: int) -> list[str]:
        """Read the sound texts that lie whole in the next bytes: copied, they are cut faster."""
        ahead = bytes(self._data[self.position : min(self.position + _AHEAD, self.end)])
        found: list[str] = []
        position = 0
        for _ in range(count):
            begin = position + _LENGTH.size
            if begin > len(ahead):
                break
            stop = begin + _LENGTH.unpack_from(ahead, position)[0]
            if stop > len(ahead):
                break
            try:
                found.append(ahead[begin:stop].decode("utf-8"))
            except UnicodeDecodeError:
                break
            position = stop
        self.position += position
        return found

    def _text_behind_its_length(self, what: str) -> str:
        start = self.position
        (length,) = self.unpack(_LENGTH, what)
        if length > self.end - self.position:
            self.position = start
            self.need(_LENGTH.size + length, what)
        return self.text(length, what)
