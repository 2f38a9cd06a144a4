"""The registry of a fleet: rows are gathered while it runs and written when it ends."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Self

from pytest_aprqa.registry.models_csv import RegistryRow, read_rows, register, update_row
from pytest_aprqa.registry.readme import has_table, sync_readme
from pytest_aprqa.verdict.record import Run

REGISTRY = "models.csv"


class StagedRegistry:
    """A copy of the registry that takes the rows of one fleet.

    Attributes:
        folder: where the copy lies.
    """

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self.folder = Path(tempfile.mkdtemp(prefix="aprqa-fleet-"))
        if registry.is_file():
            shutil.copyfile(registry, self.folder / REGISTRY)
        self._before = self._rows()

    def add(self, run: Run) -> None:
        """Take the row of a run that was concluded before. Raises RegistryError."""
        register(self.folder / REGISTRY, run)

    def publish(self, readme: Path) -> None:
        """Write the rows that changed, then the README's table once. Raises RegistryError."""
        changed = [row for row in self._rows() if row not in self._before]
        for row in changed:
            update_row(self._registry, row)
        if changed and readme.is_file() and has_table(readme):
            sync_readme(readme, self._registry)

    def _rows(self) -> tuple[RegistryRow, ...]:
        staged = self.folder / REGISTRY
        return read_rows(staged) if staged.is_file() else ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
