"""The playbook language as a JSON Schema, for editors and other tools."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from pytest_aprqa.playbook.schema import Playbook

DIALECT = "https://json-schema.org/draft/2020-12/schema"

HEADER = "# The playbook language. Made from the schema in the code by a test; not to be edited.\n"


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of playbooks.

    It asks for `name` and `model` unless the file extends a template, and is no stricter than the
    loader, which also looks across fields and files.
    """
    body = Playbook.model_json_schema(schema_generator=_Untitled)
    return {"$schema": DIALECT, **body, "title": "Playbook"}


def schema_text() -> str:
    """Return the schema as YAML, the content of `playbooks/playbook.schema.yaml`."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text: str = yaml.dump(schema(), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return HEADER + text
