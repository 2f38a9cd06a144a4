"""models.csv: one row a model, changed one row at a time.

Values this version does not know, columns after the twentieth, line ends and the bytes of all other
rows stay as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_aprqa.registry.row import COLUMNS, RegistryRow, row_from_run
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.verdict.run_file import replace_content

__all__ = [
    "COLUMNS",
    "RegistryError",
    "RegistryRow",
    "missing_columns",
    "read_rows",
    "register",
    "row_from_run",
    "update_row",
]

LOCK_SECONDS = 60.0


class RegistryError(ValueError):
    """The registry cannot be read or changed; one sentence says where and why."""


def read_rows(path: Path) -> tuple[RegistryRow, ...]:
    """Read a registry. Missing columns are empty.

    Raises:
        RegistryError: the file cannot be read, has no model_id column, or a broken row.
    """
    return tuple(_Table.read(path).rows())


def missing_columns(path: Path) -> tuple[str, ...]:
    """Return which of the twenty columns a registry's first line does not name.

    Raises:
        RegistryError: as `read_rows`.
    """
    return _Table.read(path).missing


def update_row(path: Path, row: RegistryRow) -> None:
    """Write one row: in place of the model's row, or at the end when it has none.

    The file is replaced at once and durably, under a lock that every writer takes. It is made
    when there is none.

    Raises:
        RegistryError: the file lacks one of the twenty columns, has two rows of the model, is
            not a table, or cannot be locked or written.
    """
    _change(path, row.model_id, lambda _: row)


def register(path: Path, run: Run) -> RegistryRow | None:
    """Write what a run says of its model; return the row, or None when it makes no claim.

    Raises:
        RegistryError: as `update_row`.
    """
    return _change(path, run.plan.model_id, lambda previous: row_from_run(run, previous))


def _change(
    path: Path, model_id: str, new: Callable[[RegistryRow | None], RegistryRow | None]
) -> RegistryRow | None:
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock"), timeout=LOCK_SECONDS):
            table = _Table.read(target) if target.exists() else _Table.empty(target)
            row = new(table.find(model_id))
            if row is not None:
                replace_content(target, table.with_row(row))
            return row
    except Timeout:
        raise RegistryError(f"{path} has been locked by another writer for too long") from None
    except OSError as error:
        raise RegistryError(f"{path} cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Table:
    """A CSV file as its raw records, each with its line end, and the values in them."""

    path: Path
    raw: tuple[str, ...]
    parsed: tuple[tuple[str, ...], ...]

    @classmethod
    def empty(cls, path: Path) -> _Table:
        return cls(path, (",".join(COLUMNS) + "\n",), (COLUMNS,))

    @classmethod
    def read(cls, path: Path) -> _Table:
        try:
            content = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise RegistryError(f"{path} cannot be read: {error.strerror}") from error
        raw = _records(content)
        try:
            parsed = tuple(map(_parsed, raw))
        except csv.Error as error:
            raise RegistryError(f"{path} is not a CSV file: {error}") from None
        if not parsed:
            return cls.empty(path)
        header = tuple(name.removeprefix("\ufeff").strip() for name in parsed[0])
        if "model_id" not in header:
            raise RegistryError(f"{path} has no column model_id in its first line")
        return cls(path, raw, (header, *parsed[1:]))

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in COLUMNS if name not in self.parsed[0])

    def rows(self) -> list[RegistryRow]:
        return [self._row(values) for values in self.parsed[1:] if any(values)]

    def find(self, model_id: str) -> RegistryRow | None:
        index = self._index(model_id)
        return None if index is None else self._row(self.parsed[index])

    def with_row(self, row: RegistryRow) -> bytes:
        """Return the file's new content."""
        if self.missing:
            raise RegistryError(
                f"{self.path} lacks the column {self.missing[0]}: add it and run again"
            )
        index = self._index(row.model_id)
        raw = list(self.raw)
        newline = _line_end(raw[0]) or "\n"
        values = row.columns() | row.extra
        text = _written([values.get(name, "") for name in self.parsed[0]])
        if index is not None:
            raw[index] = text + _line_end(raw[index])
        else:
            raw[-1] += "" if _line_end(raw[-1]) else newline
            raw.append(text + newline)
        return "".join(raw).encode("utf-8", "surrogateescape")

    def _index(self, model_id: str) -> int | None:
        column = self.parsed[0].index("model_id")
        found = [
            index
            for index, values in enumerate(self.parsed[1:], start=1)
            if len(values) > column and values[column] == model_id
        ]
        if len(found) > 1:
            raise RegistryError(f"{self.path} has {len(found)} rows of {model_id}: keep one")
        return found[0] if found else None

    def _row(self, values: tuple[str, ...]) -> RegistryRow:
        named = dict(zip(self.parsed[0], values, strict=False))
        known = {name: named.get(name, "") for name in COLUMNS}
        extra = {name: value for name, value in named.items() if name not in known}
        return RegistryRow(**known, extra=extra)


def _records(content: str) -> tuple[str, ...]:
    """Split a CSV text into records with their line ends; a quoted line end ends no record."""
    records: list[str] = []
    pending = ""
    for line in io.StringIO(content, newline=""):
        pending += line
        if pending.count('"') % 2 == 0:
            records.append(pending)
            pending = ""
    return (*records, pending) if pending else tuple(records)


def _parsed(record: str) -> tuple[str, ...]:
    return tuple(next(csv.reader(io.StringIO(record, newline=""), strict=True), ()))


def _line_end(record: str) -> str:
    return record[len(record.rstrip("\r\n")) :]


def _written(values: list[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow(values)
    return stream.getvalue().removesuffix("\r\n")
