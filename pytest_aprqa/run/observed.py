"""What a procedure brings back: a judgement and everything it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.observation import Generation


@dataclass(frozen=True, slots=True)
class Observed:
    """The result of one procedure, before it becomes evidence."""

    judgement: Judgement
    prompt: str | None = None
    answer: str | None = None
    raw: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    observation: dict[str, Any] = field(default_factory=dict)
    engine: str = ""
    artifact_digest: str = ""


class BlockedError(Exception):
    """A check cannot be made because something it rests on is missing; the message says what."""


def generation_record(generation: Generation) -> dict[str, Any]:
    """Return a generation as JSON values, without what the evidence holds elsewhere."""
    record = asdict(generation)
    for elsewhere in ("text", "raw", "rendered_prompt"):
        del record[elsewhere]
    return {key: value for key, value in record.items() if value not in (None, "", 0.0)}
