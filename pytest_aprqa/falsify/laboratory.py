"""A laboratory for trials: the engine of the sound reference is shared, an engine may be spoilt."""

from __future__ import annotations

import threading
from pathlib import Path

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.falsify.fault import Wrap
from pytest_aprqa.falsify.remembering_engine import RememberingEngine
from pytest_aprqa.playbook.plan import Plan
from pytest_aprqa.run.ahead import Ahead
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import REFERENCE, Backend, Cell, Format


class EnginePool:
    """Engines of sound references, loaded once for many trials."""

    def __init__(self, logs: Path, threads: int | None) -> None:
        self._logs = logs
        self._threads = threads
        self._engines: dict[str, RememberingEngine] = {}
        self._lock = threading.Lock()

    def engine(self, artifact: Artifact) -> RememberingEngine:
        """Return the engine of an artifact, the same one for the same artifact."""
        with self._lock:
            if artifact.digest not in self._engines:
                engine = open_engine(
                    artifact, Backend.CPU, log_dir=self._logs, threads=self._threads
                )
                self._engines[artifact.digest] = RememberingEngine(engine)
            return self._engines[artifact.digest]

    def close(self) -> None:
        """End every engine."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()


class TrialLaboratory(Laboratory):
    """A laboratory in which one format, or none, is on trial.

    The engine of the reference is given unless the reference itself is on trial; what compares with
    it may be answered from memory, a check of its own may not. The engine of the format on trial is
    put into `wrap`.
    """

    def __init__(
        self,
        plan: Plan,
        playbook: Path,
        settings: Settings,
        output: Path,
        *,
        reference: RememberingEngine,
        on_trial: Format | None = None,
        wrap: Wrap | None = None,
    ) -> None:
        super().__init__(plan, playbook, settings, output)
        self._ahead = Ahead(self.workshop, ())  # of the other formats no check will ask
        self._reference = reference
        self._on_trial = on_trial
        self._wrap = wrap
        self._wrapped: Engine | None = None

    def engine(self, cell: Cell) -> Engine:
        """Return the engine of a cell, started at its first use."""
        if cell.format is REFERENCE and self._on_trial is not REFERENCE:
            return self._reference if self._may_borrow(cell.engine) else self._reference.engine
        if self._wrap is None or cell.format is not self._on_trial:
            return super().engine(cell)
        if self._wrapped is None:
            self._wrapped = self._wrap(super().engine(cell))
        return self._wrapped

    def close(self) -> None:
        """End the engines that are not shared."""
        if self._wrapped is not None:
            self._wrapped.close()
        super().close()
