"""The lock file: proof that playbooks still say what they said.

Each field has a digest of its own, so that a broken lock names what changed. Comments, layout and
the order of fields are not part of what a playbook says.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_aprqa.playbook.canonical import digest_of
from pytest_aprqa.playbook.errors import PlaybookError, Problem, nearest, playbook_error
from pytest_aprqa.playbook.find import nearest_above
from pytest_aprqa.playbook.load import LoadedPlaybook, content
from pytest_aprqa.playbook.source import read_source

FREE = frozenset({"description", "metadata"})
"""Fields that may change without breaking a lock, but for the tier in `metadata`."""

LOCK_NAME = "playbook.lock.yaml"

HEADER = (
    "# Digests of what playbooks say, field by field. Written by a command; not to be edited.\n"
)


class LockError(PlaybookError):
    """A playbook says something else than when it was locked."""


class Entry(BaseModel):
    """What one playbook said when it was locked.

    Attributes:
        digest: sha256 over `fields`.
        fields: sha256 of each locked field; sections field by field (`test_matrix.prompts`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    fields: dict[str, str]


class Lock(BaseModel):
    """Entries by file name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    playbooks: dict[str, Entry] = Field(default_factory=dict)


def lock_entry(loaded: LoadedPlaybook) -> Entry:
    """Return the digests of what a playbook says."""
    fields: dict[str, str] = {}
    for name, value in content(loaded.playbook).items():
        if name not in FREE and isinstance(value, dict):
            fields |= {f"{name}.{key}": digest_of(inner) for key, inner in value.items()}
        elif name not in FREE:
            fields[name] = digest_of(value)
    if tier := loaded.playbook.metadata.tier:
        fields["metadata.tier"] = digest_of(tier)
    return Entry(digest=digest_of(fields), fields=fields)


def make_lock(playbooks: Iterable[LoadedPlaybook]) -> Lock:
    """Return the lock of playbooks. Raises PlaybookError when two have one file name."""
    entries: dict[str, Entry] = {}
    for loaded in playbooks:
        if loaded.path.name in entries:
            text = "another playbook of this file name is in the same lock; rename one"
            raise playbook_error([Problem(text, (), loaded.path, None)])
        entries[loaded.path.name] = lock_entry(loaded)
    return Lock(playbooks=entries)


def lock_text(lock: Lock) -> str:
    """Return a lock as YAML: the same text for the same lock, whatever the order of its making."""
    import yaml

    return HEADER + yaml.safe_dump(lock.model_dump(), sort_keys=True, allow_unicode=True)


def read_lock(path: Path) -> Lock:
    """Read a lock file. Raises PlaybookError when it is none."""
    try:
        source = read_source(path)
    except PlaybookError:
        text = "not a lock file, which `apr-qa lock-playbooks` writes"
        raise playbook_error([Problem(text, (), path, None)]) from None
    try:
        return Lock.model_validate(source.value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = tuple(first["loc"])
        text = f"not a lock file: {first['msg'].lower()}; write it anew"
        raise playbook_error([Problem(text, field, path, nearest(field, source.lines))]) from None


def verify(loaded: LoadedPlaybook, lock: Lock) -> tuple[str, ...]:
    """Return what a playbook says otherwise than when it was locked, a sentence each.

    A playbook that the lock does not know is one such sentence: unlocked is not verified.
    """
    name = loaded.path.name
    if name not in lock.playbooks:
        return (f"{name} is not locked",)
    was, now = lock.playbooks[name].fields, lock_entry(loaded).fields
    changed = sorted(field for field in was.keys() | now.keys() if was.get(field) != now.get(field))
    return tuple(
        f"{name}: {field} {_how(field, was, now)} since it was locked" for field in changed
    )


def require_locked(loaded: LoadedPlaybook) -> None:
    """Raise LockError when a playbook differs from the lock that lists it.

    That is the first lock file in the directories above the playbook. Without one, or where it does
    not list the playbook, there is nothing to hold it against.
    """
    path = lock_above(loaded.path)
    if path is None:
        return
    lock = _lock_as_of(path, path.stat().st_mtime_ns)
    changed = verify(loaded, lock) if loaded.path.name in lock.playbooks else ()
    if changed:
        raise LockError(
            f"{'; '.join(changed)}; lock it again with `apr-qa lock-playbooks`, undo the change, "
            "or run it all the same with --ignore-lock"
        )


def lock_above(playbook: Path) -> Path | None:
    """Return the lock file nearest above a playbook, or None."""
    return nearest_above(playbook.resolve().parent, LOCK_NAME)


@lru_cache(maxsize=8)
def _lock_as_of(path: Path, changed: int) -> Lock:
    """Return a lock, read once for the many playbooks of a session as long as it is not changed."""
    return read_lock(path)


def _how(field: str, was: dict[str, str], now: dict[str, str]) -> str:
    if field not in was:
        return "was added"
    return "has changed" if field in now else "was removed"
