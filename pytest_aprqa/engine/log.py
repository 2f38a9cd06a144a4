"""The file an engine's process writes its output to, kept to a size."""

from __future__ import annotations

from pathlib import Path

TAIL = 8 * 1024
"""Bytes of the end that go into an error."""

CAP = 8 * 1024 * 1024
"""Bytes a log may hold before it is cut to its end."""


class EngineLog:
    """An append-only file shared with the engine's process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def begin(self) -> None:
        """Note where the words of a new process begin."""
        self._begun = self.size()

    def last_words(self) -> str:
        """Return the last 8 KiB, of what was written since `begin`."""
        return self.tail(self._begun)

    def size(self) -> int:
        return self.path.stat().st_size

    def tail(self, start: int = 0) -> str:
        """Return the last 8 KiB, of what was written from byte `start` on."""
        with self.path.open("rb") as log:
            log.seek(max(start, self.size() - TAIL))
            return log.read(TAIL).decode("utf-8", errors="replace")

    def trim(self) -> None:
        """Cut a log that has grown over its cap to its tail; writers append behind it."""
        if self.size() <= CAP:
            return
        kept = self.last_words()
        self._begun = 0
        with self.path.open("r+b") as log:
            log.truncate(0)
            log.write(b"[cut]\n" + kept.encode())
