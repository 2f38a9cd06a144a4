"""The files of evidence as JSON Schema, for other tools."""

from __future__ import annotations

import json

from pytest_aprqa.verdict.record import Run

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def evidence_schema_text() -> str:
    """Return the content of `playbooks/evidence.schema.json`."""
    body = Run.model_json_schema(mode="serialization")
    return json.dumps({"$schema": DIALECT, **body, "title": "Evidence of a run"}, indent=1) + "\n"
