"""docs/playbooks.md, made from the models of the playbook language, its tiers, gates and oracles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from inspect import getdoc
from typing import Any, get_args

from pydantic import BaseModel

from pytest_aprqa.judge.oracles.registry import BUILT_IN
from pytest_aprqa.playbook.fields import Inert
from pytest_aprqa.playbook.figures import METRICS
from pytest_aprqa.playbook.gate_ids import gate_table
from pytest_aprqa.playbook.json_schema import schema
from pytest_aprqa.playbook.schema import Playbook
from pytest_aprqa.playbook.tiers import TIERS
from pytest_aprqa.words import Category

HEAD = """\
# Playbooks

<!-- Made by `apr-qa docs` from the code; not to be edited. -->

A playbook is a YAML file `NAME.playbook.yaml` that says which model is tested and how. A field that is not on this page is an
error with its line. What is read but not acted on is marked so below, and named to the user with its line in every run, plan, collection and `apr-qa validate`.

Editors complete and check the fields with the schema, `playbooks/playbook.schema.yaml` of this repository, when the first line of the
file names it. The commands below write that line where they find the schema in a directory above the file:

```yaml
# yaml-language-server: $schema=../playbook.schema.yaml
extends: mvp
name: my-model-mvp
model:
  hf_repo: my-org/my-model
test_matrix:
  prompts:
    - {name: capital, prompt: "What is the capital of France?", expected: Paris}
```

`apr-qa new`, `apr-qa bootstrap` and `apr-qa generate` write playbooks, `apr-qa validate` checks them, `apr-qa run X --dry-run` shows
what one plans. `apr-qa lock-playbooks` locks what they say, field by field: a changed comment does not break the lock, a changed
prompt does. A playbook that the nearest `playbook.lock.yaml` above it lists is run only as it was locked, by `pytest` as by `apr-qa`;
`--ignore-lock`, or `aprqa_ignore_lock = true` in the ini file, allows more.

Of several `quantizations` each is an artifact of its own, in every format but SafeTensors: with its own gateways, cells
(`arithmetic-001[gguf-q8_0-cpu-run]`), invariants against the reference, and place in the reports. A file that states one in its name
(`model.Q8_0.gguf`) is tested, else it is converted from the reference; one file that could be either is an error, until
`files: {gguf: {q8_0: FILE}}` says which it is. An mvp has 18 cells, of 3 formats, 2 backends and 3 modalities; each further quantisation
adds those of its formats. With one quantisation, or none, the format alone names the artifact.
"""

CONDITIONS = """\
## Conditions

The conditions of `falsification_gates` compare figures of the run: numbers, the figures below, `+ - * /`, `< <= > >= == !=`,
`and or not` and parentheses. A figure is restricted to a part of the run by words behind dots, in any order:

```yaml
falsification_gates:
  - {id: right, condition: pass_rate.QUAL >= 0.9 and failures.EDGE.gguf == 0}
  - {id: quick, condition: tokens_per_second.gpu >= 2 * tokens_per_second.cpu, severity: P2}
  - {id: close, condition: kl_mean_nats.q8_0 < 0.02, severity: P0}
```

Counts and gateways are over all of the part that is named. A measurement is taken for each artifact and backend; what its name
leaves open must hold for each, and is the same for all measurements of a condition: `quick` compares each artifact with itself.
A measurement has the noise of its 95 % interval, and a comparison that the noise leaves open is `inconclusive`, as is one of what
was not measured. A gate of which nothing is planned (GPU figures with `--no-gpu`) is left out, and said so. A name that does not exist
is an error with its line. Gates count in no category of the score; what a failure does, its severity says.
"""

Schema = dict[str, Any]
_FLAG = "true or false"


def playbook_page() -> str:
    """Return the page."""
    whole = schema()
    return "\n".join([HEAD, *_sections(whole), *_conditions(), *_tiers(), *_gates(), *_oracles()])


def _conditions() -> Iterator[str]:
    rows = [
        (
            f"`{metric.name}`",
            metric.meaning,
            ", ".join(part.name.lower() for part in metric.parts),
        )
        for metric in METRICS.values()
    ]
    yield f"{CONDITIONS}\n{_markdown(('figure', 'meaning', 'may be restricted by'), rows)}\n"


def _sections(whole: Schema) -> Iterator[str]:
    """Yield the table of every section, in the order in which they are met."""
    yield f"## Fields of a playbook\n\n{_table(whole, whole, Playbook)}\n"
    models = _models(Playbook)
    for name in _order(whole):
        if "properties" in whole["$defs"][name]:
            model = models[name]
            yield f"### {name}\n\n{getdoc(model)}\n\n{_table(whole['$defs'][name], whole, model)}\n"


def _table(section: Schema, whole: Schema, model: type[BaseModel]) -> str:
    required = section.get("required", [])
    rows = [
        (
            f"`{name}`",
            _type(field, whole["$defs"]),
            "required" if name in required and not _by_template(model) else _default(field),
            _meaning(name, field, model),
        )
        for name, field in section["properties"].items()
    ]
    return _markdown(("field", "value", "default", "meaning"), rows)


def _by_template(model: type[BaseModel]) -> bool:
    """Whether what the section lacks may come from the template it extends."""
    return model is Playbook


def _meaning(name: str, field: Schema, model: type[BaseModel]) -> str:
    by_alias = {info.alias or known: info for known, info in model.model_fields.items()}
    text = str(field.get("description", ""))
    for mark in by_alias[name].metadata:
        if isinstance(mark, Inert):
            text += f"{'. ' if text else ''}*Not acted on: {mark.reason}.*"
    return text


def _type(field: Schema, definitions: Schema) -> str:
    """Return what a field may hold, in words."""
    if "$ref" in field:
        return _link(field["$ref"].rpartition("/")[2], definitions)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in field:
            kinds = [_type(one, definitions) for one in field[choice] if one.get("type") != "null"]
            if kinds[0] == _FLAG:
                return _FLAG  # its words in quotes say the same
            return " or ".join(dict.fromkeys(kinds))
    match field.get("type"):
        case "array":
            return f"list of {_type(field['items'], definitions)}" if field.get("items") else "list"
        case "object":
            values = field.get("additionalProperties")
            return (
                f"mapping to {_type(values, definitions)}"
                if isinstance(values, dict)
                else "mapping"
            )
        case "integer" | "number" as kind:
            return f"{'whole number' if kind == 'integer' else 'number'}{_range(field)}"
        case "boolean":
            return _FLAG
        case "string":
            return "text"
    return "anything"


def _range(field: Schema) -> str:
    low, above, high = (field.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    start = f" from {low}" if low is not None else "" if above is None else f" above {above}"
    return start if high is None else f"{start} to {high}"


def _link(name: str, definitions: Schema) -> str:
    described = definitions[name]
    if "properties" not in described:
        return _type(described, definitions)
    if name not in schema()["$defs"]:
        return f"mapping of {', '.join(f'`{field}`' for field in described['properties'])}"
    return f"[{name}](#{name.lower()})"


def _default(field: Schema) -> str:
    default = field.get("default")
    if default in (None, "", [], {}):
        return ""
    if isinstance(default, list):
        return ", ".join(f"`{value}`" for value in default)
    if isinstance(default, dict):
        return ""
    return f"`{json.dumps(default) if isinstance(default, bool) else default}`"


def _order(whole: Schema) -> list[str]:
    """Return the names of the sections in the order in which a reader meets them."""
    found: dict[str, None] = {}
    waiting = [whole["properties"]]
    while waiting:
        for name in _references(waiting.pop(0)):
            if name not in found:
                found[name] = None
                waiting.append(whole["$defs"][name])
    return list(found)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    found = {model.__name__: model}
    waiting: list[Any] = [info.annotation for info in model.model_fields.values()]
    waiting += [mark for info in model.model_fields.values() for mark in info.metadata]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind.__name__ not in found:
                found |= _models(kind) | found
        else:
            waiting += get_args(kind)
    return found


def _tiers() -> Iterator[str]:
    rows = [
        (
            str(tier),
            f"{spec.minutes[0]:g} to {spec.minutes[1]:g}",
            str(spec.scenarios),
            ", ".join(spec.formats),
            ", ".join(c for c in Category if c in spec.categories),
            str(spec.threshold),
        )
        for tier, spec in TIERS.items()
    ]
    heads = ("tier", "minutes, about", "scenarios, at least", "formats", "categories", "MQS from")
    text = (
        "The tier is that of `--tier`, else of the file's suffix, else `metadata.tier`, else quick."
    )
    yield f"## Tiers\n\n{text}\n\n{_markdown(heads, rows)}\n"


def _gates() -> Iterator[str]:
    rows = [
        (f"`{gate.id}`", gate.subject, str(gate.category or ""), gate.meaning)
        for gate in gate_table()
    ]
    text = "Each check bears one of these ids, by which people and tickets speak of it."
    heads = ("id", "of", "category", "when it holds")
    yield f"## Gate ids\n\n{text}\n\n{_markdown(heads, rows)}\n"


def _oracles() -> Iterator[str]:
    yield (
        "## Oracles\n\nAn oracle judges an answer; `config` tells it how. An answer that one of its "
        "oracles cannot judge is inconclusive,\nand the reason names the oracle. Two kinds weigh less: "
        "`response` and `reference` may be silent where another says\nright, and `garbage` only "
        "objects: it makes a pass where nothing else is asked.\n\nA prompt with neither `oracles` nor "
        "`expected` is judged by its form: a sum by `arithmetic`, the beginning of code or\na wish "
        "for some by `code_syntax`; anything else is only asked not to be garbage.\n"
    )
    for name, oracle in sorted(BUILT_IN.items()):
        described = oracle.model_json_schema()
        yield f"### {name}\n\n{getdoc(oracle)}\n"
        if properties := described.get("properties"):
            required = described.get("required", [])
            rows = [
                (
                    f"`{field}`",
                    _type(value, described.get("$defs", {})),
                    "required" if field in required else _default(value),
                    str(value.get("description", "")),
                )
                for field, value in properties.items()
            ]
            yield _markdown(("config", "value", "default", "meaning"), rows) + "\n"


def _markdown(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
