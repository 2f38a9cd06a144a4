"""Writing playbooks: from a template, from a model's own facts, from the catalogue."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_aprqa.playbook.find import nearest_above
from pytest_aprqa.playbook.generate import SEED, Question, questions
from pytest_aprqa.words import SizeCategory

SCHEMA = "playbook.schema.yaml"
TIMEOUT_MS = {
    SizeCategory.TINY: 60_000,
    SizeCategory.SMALL: 120_000,
    SizeCategory.MEDIUM: 180_000,
    SizeCategory.LARGE: 300_000,
    SizeCategory.XLARGE: 600_000,
    SizeCategory.HUGE: 600_000,
}
"""Milliseconds a check of a model may take: what a CPU of a workstation needs, with room."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def short_name(model_id: str) -> str:
    """Return the short name of a model as it stands in file names."""
    return _NOT_IN_NAMES.sub("-", model_id.rpartition("/")[2].lower()).strip("-") or "model"


def extending(
    template: str, name: str, model: Mapping[str, Any], description: str = ""
) -> dict[str, Any]:
    """Return a playbook that says only which model, and leaves the rest to a template."""
    return {
        "extends": template,
        "name": name,
        "description": description or f"{template} of {model['hf_repo']}",
        "model": dict(model),
    }


def for_certification(model_id: str, stem: str, family: str, size: SizeCategory) -> dict[str, Any]:
    """Return the mvp playbook of a model of which only what the registry holds is known.

    `stem` is the name of the playbook without its tier.
    """
    fields = extending(
        "mvp",
        f"{stem}-mvp",
        {"hf_repo": model_id, "family": family, "size_category": size.value},
        f"MVP certification of {model_id}",
    )
    return fields | {"test_matrix": {"timeout_ms": TIMEOUT_MS[size]}}


def for_smoke_test(model_id: str, stem: str) -> dict[str, Any]:
    """Return the smoke playbook of a model that has an mvp playbook beside it."""
    model = {"hf_repo": model_id, "formats": ["safetensors"]}
    fields = extending(
        f"./{stem}-mvp.playbook.yaml", f"{stem}-smoke", model, f"Smoke test of {model_id}"
    )
    matrix = {"modalities": ["run"], "backends": ["cpu"], "scenario_count": 3}
    return fields | {"test_matrix": matrix, "metadata": {"tier": "smoke"}}


def generated(
    model: Mapping[str, Any], count: int, *, seed: int = SEED, kernels: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a playbook that asks generated questions in every cell.

    Args:
        model: its `model` section.
        count: of questions.
        seed: of the questions; the same one gives the same playbook.
        kernels: parts of the architecture that get questions of their own.
    """
    about = f" and on {', '.join(kernels)}" if kernels else ""
    return {
        "name": f"{short_name(model['hf_repo'])}-generated",
        "description": f"{count} questions of every family{about}, seed {seed}",
        "model": dict(model),
        "scenarios": [_scenario(made) for made in questions(count, seed=seed, kernels=kernels)],
    }


def playbook_text(fields: Mapping[str, Any], path: Path | None = None) -> str:
    """Return a playbook as YAML, fields in their order.

    Args:
        fields: what it says.
        path: where it is to lie; editors are told of the schema that lies nearest above, if one does.
    """
    import yaml

    body: str = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=100)
    return body if path is None else _editor_hint(path.resolve().parent) + body


def _editor_hint(folder: Path) -> str:
    schema = nearest_above(folder, SCHEMA)
    if schema is None:
        return ""
    return f"# yaml-language-server: $schema={Path(os.path.relpath(schema, folder)).as_posix()}\n"


def _scenario(question: Question) -> dict[str, Any]:
    made = question.generated
    oracle: dict[str, Any] = {"type": made.oracle.type}
    if made.oracle.config:
        oracle["config"] = dict(made.oracle.config)
    history = [{"role": turn.role, "content": turn.content} for turn in made.history]
    return {
        "name": question.name,
        "prompt": made.question,
        "completion": made.stem,
        **({"history": history} if history else {}),
        "oracles": [oracle],
    }
