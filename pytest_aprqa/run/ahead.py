"""Artifacts are converted and hashed while an engine answers for another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.words import Cell


class Ahead:
    """Prepares the artifacts of a plan in a thread of its own, one after the other.

    What goes wrong is not said here: whoever asks for the artifact later meets it again.
    """

    def __init__(self, workshop: Workshop, artifacts: Sequence[Cell]) -> None:
        self._workshop = workshop
        self._artifacts = artifacts
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, at the first call."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._prepare, name="ahead", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being prepared, so that a measurement has the machine for itself."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Prepare no further artifact; one that is under way is finished without being waited for."""
        self._stopped.set()

    def _prepare(self) -> None:
        for cell in self._artifacts:
            if self._stopped.is_set():
                return
            with suppress(ArtifactError):
                self._workshop.of(cell)
