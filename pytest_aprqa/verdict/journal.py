"""The journal: evidence on disk before the next check starts, one record a line, hash-chained.

Every line begins with its own digest, the sha256 of what the line is without it, and every line after
the first carries the sha256 of the line before it, newline excluded, so that a line that was changed,
dropped or added shows, and of the last one that it was changed. Of a journal whose first lines are from
before lines had digests of their own, those are held together by the chain alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from pytest_aprqa.verdict.canonical import canonical_json
from pytest_aprqa.verdict.evidence import SCHEMA_VERSION, Evidence
from pytest_aprqa.verdict.plan import RunPlan
from pytest_aprqa.verdict.record import RecordError, check_schema_version


class JournalError(RecordError):
    """The journal cannot be written or continued; one sentence says why."""


class RunHeader(BaseModel):
    """The first line of a journal: which run this is, and its plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = SCHEMA_VERSION
    run_id: str
    started: str
    plan: RunPlan
    plan_digest: str

    @classmethod
    def of(cls, run_id: str, started: str, plan: RunPlan) -> Self:
        """Return the header of a run that begins now."""
        return cls(run_id=run_id, started=started, plan=plan, plan_digest=plan.digest())


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    previous: str
    record: Evidence


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What a journal holds.

    Attributes:
        header: None when not even the first line is whole.
        records: those before the first break of the chain.
        torn_tail: the last line was cut off by a crash, and is dropped.
        broken_at: 1-based number of the first line that is not what its digest says or does not
            follow from the one before it, or None.
        head: sha256 of the last good line.
        size: bytes up to the end of the last good line.
    """

    header: RunHeader | None
    records: tuple[Evidence, ...] = ()
    torn_tail: bool = False
    broken_at: int | None = None
    head: str = ""
    size: int = 0

    @property
    def breach(self) -> str:
        """What is wrong at `broken_at`, or ""."""
        if self.broken_at is None:
            return ""
        return f"line {self.broken_at} was changed, or does not follow from the line before it"

    @property
    def latest(self) -> tuple[Evidence, ...]:
        """The last record of each check; a resumed run may have carried one out again."""
        return latest(self.records)


def latest(records: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Return the last record of each check, in the order in which the checks first came."""
    return tuple({record.check: record for record in records}.values())


def read_journal(path: Path) -> JournalContent:
    """Read a journal, also one that is being written.

    Raises:
        RecordError: there is no such file, it cannot be read, or another schema version wrote it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"the journal {path} cannot be read: {error.strerror}") from error
    lines = content.split(b"\n")
    torn = lines.pop() != b""
    header, head, size, has_digests = None, "", 0, False
    records: list[Evidence] = []
    for number, line in enumerate(lines, start=1):
        content, digest = _without_digest(line)
        parsed = _parse(content, where=f"{path}, line {number}")
        last = number == len(lines) and not torn
        if parsed is None and last:
            torn = True
            break
        if number == 1:
            header = parsed if isinstance(parsed, RunHeader) else None
            follows = header is not None
        else:
            follows = isinstance(parsed, _Line) and parsed.previous == head
        has_digests = has_digests or bool(digest)
        if not follows or digest != (_sha256(content) if has_digests else ""):
            return JournalContent(header, tuple(records), torn, number, head, size)
        if isinstance(parsed, _Line):
            records.append(parsed.record)
        head, size = _sha256(line), size + len(line) + 1
    return JournalContent(header, tuple(records), torn, None, head, size)


_DIGEST = re.compile(rb'\{"digest":"([0-9a-f]{64})",')


def _with_digest(content: bytes) -> bytes:
    """Return a line with its own digest; its keys stay sorted."""
    return b'{"digest":"%s",%s' % (_sha256(content).encode("ascii"), content[1:])


def _without_digest(line: bytes) -> tuple[bytes, str]:
    """Return a line as it was before its digest was put into it, and the digest or ""."""
    found = _DIGEST.match(line)
    return (b"{" + line[found.end() :], found[1].decode("ascii")) if found else (line, "")


def _parse(line: bytes, where: str) -> RunHeader | _Line | None:
    try:
        content: Any = json.loads(line)
        if isinstance(content, dict) and "previous" in content:
            return _Line.model_validate(content)
        check_schema_version(content, where)
        return RunHeader.model_validate(content)
    except RecordError:
        raise
    except (ValueError, RecursionError):
        return None


_flush = getattr(os, "fdatasync", os.fsync)
"""Brings a file's content and length to disk, and where it can leaves its times for later."""


def _sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True, slots=True)
class _End:
    """Where a journal ended: its length in bytes, and the sha256 of its last line."""

    size: int = 0
    head: str = ""


class Journal:
    """The one writer of a journal. Lines are brought to disk while the next check gets ready.

    Attributes:
        header: of the run being written; the earlier one when it resumes.
        records: what the journal held when it was opened.
        head: sha256 of the last line.
        replaced: where the earlier journal lies that was at its place, or None.
    """

    def __init__(self, path: Path, header: RunHeader, *, resume: bool = False) -> None:
        """Open a journal for writing.

        Args:
            path: of the file; its folder is made. An earlier journal there is kept beside it as
                `<name>.previous`.
            header: of the run.
            resume: continue the journal that lies there, when it is of the same plan.

        Raises:
            JournalError: another run writes here, the disk does not take it, or it is to be
                resumed but is of another plan or was changed.
        """
        self.path = path
        self.header = header
        self.records: tuple[Evidence, ...] = ()
        self.head = ""
        self.replaced: Path | None = None
        self._size = 0
        self._settled = _End()
        self._flushing: Future[None] | None = None
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._descriptor = -1
        self._lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise JournalError(
                f"another run is writing to {path.parent}: wait for it or choose another output folder"
            ) from None
        except OSError as error:
            raise JournalError(f"cannot write {path}: {error.strerror}") from error
        try:
            self._open(resume)
        except BaseException:
            self.close()
            raise

    @property
    def latest(self) -> tuple[Evidence, ...]:
        """The last record of each check the journal held when it was opened."""
        return latest(self.records)

    def append(self, record: Evidence) -> None:
        """Write one record, which outlives this process on return, and the machine after `settle`.

        Raises:
            JournalError: the disk is full or failed, and the journal ends with its last whole line;
                or somebody has removed it.
        """
        self.settle()
        self._write(_Line(previous=self.head, record=record))

    def settle(self) -> None:
        """Wait until all that was written is on disk. Raises JournalError, as `append`."""
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            with self._whole():
                flushing.result()
        self._settled = _End(self._size, self.head)

    def close(self) -> None:
        """Let go of the file and of its lock once all is on disk. Safe to call twice.

        Raises:
            JournalError: as `settle`; the file and its lock are let go of all the same.
        """
        try:
            self.settle()
        finally:
            self._flusher.shutdown()
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, resume: bool) -> None:
        earlier = self.path.exists() and self.path.stat().st_size > 0
        found = read_journal(self.path) if earlier and resume else JournalContent(None)
        if found.broken_at:
            raise JournalError(f"{self.path} cannot be resumed: {found.breach}; start a new run")
        if found.header and found.header.plan_digest != self.header.plan_digest:
            raise JournalError(
                f"{self.path} cannot be resumed: it was written for another plan "
                f"({found.header.plan.playbook}, tier {found.header.plan.tier}); start a new run"
            )
        if earlier and found.header is None:
            self.replaced = self.path.replace(self.path.with_name(self.path.name + ".previous"))
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.ftruncate(self._descriptor, found.size)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise JournalError(f"cannot write {self.path}: {error.strerror}") from error
        self._size, self.head, self.records = found.size, found.head, found.records
        self.settle()
        if found.header:
            self.header = found.header
        else:
            self._write(self.header)
            self.settle()
            _sync_folder(self.path.parent)

    def _write(self, line: BaseModel) -> None:
        content = _with_digest(canonical_json(line).encode("ascii"))
        if not self._is_in_place():
            raise JournalError(
                f"{self.path} was removed or replaced while it was written; start a new run"
            )
        with self._whole():
            _write_all(self._descriptor, content + b"\n")
        self._flushing = self._flusher.submit(_flush, self._descriptor)
        self.head = _sha256(content)
        self._size += len(content) + 1

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Cut the journal off behind what is on disk, when the disk does not take what came after."""
        try:
            yield
        except OSError as error:
            end = self._settled
            os.ftruncate(self._descriptor, end.size)
            os.lseek(self._descriptor, end.size, os.SEEK_SET)
            self._size, self.head = end.size, end.head
            raise JournalError(
                f"cannot write {self.path}: {error.strerror}; what was written before is whole, "
                "so make room and resume"
            ) from error

    def _is_in_place(self) -> bool:
        """Whether the file that is written is still the one under its name."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    """Make a new file's name as durable as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
