"""Writing playbooks: from a template, from a model's own facts, from the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_aprqa.playbook.catalogue import question_at
from pytest_aprqa.words import SizeCategory

HEADER = "# yaml-language-server: $schema=../playbook.schema.yaml\n"
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


def generated(model_id: str, count: int) -> dict[str, Any]:
    """Return a playbook that asks the first questions of the catalogue in every cell."""
    return {
        "name": f"{short_name(model_id)}-generated",
        "description": f"{count} questions of the catalogue",
        "model": {"hf_repo": model_id},
        "scenarios": [_scenario(index) for index in range(count)],
    }


def playbook_text(fields: Mapping[str, Any]) -> str:
    """Return a playbook as YAML, fields in their order."""
    import yaml

    body = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=100)
    return HEADER + body


def _scenario(index: int) -> dict[str, Any]:
    question = question_at(index)
    oracle = {"type": question.oracle.type, "config": dict(question.oracle.config)}
    return {
        "name": question.name,
        "prompt": question.question,
        "completion": question.stem,
        "oracles": [oracle if oracle["config"] else {"type": question.oracle.type}],
    }
