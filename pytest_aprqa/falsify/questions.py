"""The playbook that a model is put on trial with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import yaml

EXAM = "prompts.json"
"""Beside a model's files: what it must answer. Each question stands there as chat and as run."""

_QUESTIONS = 24
_TOPICS = ("capital", "fact", "question")
_LONGEST = 24
"""Characters of an answer that is a word or two, not a text to recite."""

_TIMEOUT_MS = 20_000


def playbook_text(
    model_id: str, directory: Path, seed: int, base: Mapping[str, Any] | None = None
) -> str:
    """Return a playbook that plans every format on the CPU.

    Args:
        model_id: `org/name`.
        directory: of the model; when an exam lies in it the questions are drawn from there.
        seed: of the draw.
        base: content of a playbook whose questions are asked instead.
    """
    matrix = dict(base.get("test_matrix", {})) if base else {}
    if base is None and (directory / EXAM).is_file():
        matrix["prompts"] = _drawn(directory / EXAM, seed)
    playbook: dict[str, Any] = {
        "name": "falsify",
        "model": {"hf_repo": model_id},
        "scenarios": base.get("scenarios", []) if base else [],
        "test_matrix": {**matrix, "backends": ["cpu"], "seed": seed, "timeout_ms": _TIMEOUT_MS},
        "failure_policy": "collect-all",
        "profile_ci": {"warmup": 1, "measure": 2},
    }
    return yaml.safe_dump(playbook, sort_keys=False, allow_unicode=True)


def _drawn(exam: Path, seed: int) -> list[dict[str, Any]]:
    tasks = {task["name"]: task for task in json.loads(exam.read_text("utf-8"))}
    asked = []
    for name, chat in tasks.items():
        run = tasks.get(f"{name.removesuffix('-chat')}-run")
        if not name.endswith("-chat") or run is None or chat["topic"] not in _TOPICS:
            continue
        expected = run["expected"].rstrip(".")
        brief = len(expected) <= _LONGEST and expected in chat["expected"]
        if brief and not chat["system"] and not chat["history"]:
            asked.append(
                {
                    "name": name.removesuffix("-chat"),
                    "prompt": chat["prompt"],
                    "completion": run["prompt"],
                    "expected": expected,
                }
            )
    return Random(seed).sample(asked, min(_QUESTIONS, len(asked)))
