"""Playbooks of one model, which keep their evidence in one folder."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path


def contending(items: Iterable[tuple[str, Path]], *, parallel: bool) -> tuple[str, ...]:
    """Return the playbooks whose records would mix in one journal.

    One after the other they may share it: each has its certificate before the next one begins.

    Args:
        items: the playbook and the journal of each item, in the order of the session.
        parallel: whether workers share the items out.
    """
    turns: dict[Path, list[str]] = {}
    for (playbook, journal), _ in groupby(items):
        turn = turns.setdefault(journal, [])
        if playbook not in turn[-1:]:
            turn.append(playbook)
    for turn in turns.values():
        playbooks = sorted(set(turn))
        if len(playbooks) > 1 and (parallel or len(turn) > len(playbooks)):
            return tuple(playbooks)
    return ()
