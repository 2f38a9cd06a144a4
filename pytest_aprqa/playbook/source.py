"""YAML read into plain values, every one with its line.

Playbooks come from other people, so the reader is bounded: size, depth and the number of values
after aliases are expanded. Nothing but plain data is ever built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor

from pytest_aprqa.playbook.errors import FieldPath, Problem, playbook_error

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 200_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS = SafeConstructor()
_TAG = "tag:yaml.org,2002:"
_PLAIN = (_TAG + "map", _TAG + "seq")


@dataclass(frozen=True, slots=True)
class Source:
    """A YAML document of one mapping.

    Attributes:
        path: the file.
        value: the document as plain values.
        lines: 0-based line of every field.
    """

    path: Path
    value: dict[str, Any]
    lines: dict[FieldPath, int]


def read_source(path: Path) -> Source:
    """Read a YAML file.

    Raises:
        PlaybookError: missing, too large, not UTF-8, not YAML, duplicate keys, not a mapping.
    """
    text = _read_text(path)
    root = _compose(path, text)
    builder = _Builder(path)
    if root is None:
        _refuse(path, "the file is empty; a playbook has at least a name and a model")
    if not isinstance(root, yaml.MappingNode):
        line = root.start_mark.line
        _refuse(path, f"found {_kind(root)}; a playbook is a mapping of `field: value`", line)
    value = builder.build(root, ())
    if builder.problems:
        raise playbook_error(builder.problems)
    return Source(path, value, builder.lines)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        _refuse(path, f"cannot read the playbook: {reason[0].lower()}{reason[1:]}")
    if len(raw) > MAX_BYTES:
        _refuse(path, f"the file is larger than {MAX_BYTES // 1024} KiB; no playbook is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start)
        _refuse(path, f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8", line)


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        _check_depth(path, text)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        _refuse(
            path, f"not valid YAML: {error.problem or error.context}{_tab_hint(text, line)}", line
        )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        _refuse(path, f"not valid YAML: {error.reason}", line)
    return node


def _check_depth(path: Path, text: str) -> None:
    """Refuse deep nesting before the composer, which recurses, meets it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line if event.start_mark else None
            _refuse(path, f"nested more than {MAX_DEPTH} deep", line)


def _tab_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    indent = (
        lines[line][: len(lines[line]) - len(lines[line].lstrip())] if line < len(lines) else ""
    )
    return "; YAML is indented with spaces, not tabs" if "\t" in indent else ""


@dataclass
class _Builder:
    """Turns nodes into values, noting lines and problems on the way."""

    path: Path
    lines: dict[FieldPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    values: int = 0

    def build(self, node: yaml.Node, at: FieldPath) -> Any:
        line = node.start_mark.line
        self.values += 1
        self.lines.setdefault(at, line)
        if self.values > MAX_VALUES:
            _refuse(self.path, f"more than {MAX_VALUES} values once aliases are expanded", line)
        if len(at) > MAX_DEPTH:
            _refuse(self.path, "an alias refers to what contains it", line)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN:
            self._problem(at, line, f"the YAML tag {node.tag} is not allowed")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*at, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, at)

    def _mapping(self, node: yaml.MappingNode, at: FieldPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, at)
            if key is None:
                continue
            here, line = (*at, key), key_node.start_mark.line
            if key in result:
                self._problem(here, line, f"given twice, first on line {first[key] + 1}")
                continue
            first[key] = self.lines[here] = line
            result[key] = self.build(value_node, here)
        return result

    def _key(self, node: yaml.Node, at: FieldPath) -> str | None:
        line = node.start_mark.line
        if node.tag == _TAG + "merge":
            self._problem(at, line, "merge keys (<<) are not supported; use `extends: TEMPLATE`")
        elif isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "str":
            return str(node.value)
        else:
            self._problem(at, line, f"found {_kind(node)} as a key; write keys as quoted text")
        return None

    def _scalar(self, node: yaml.ScalarNode, at: FieldPath) -> Any:
        tag = node.tag.removeprefix(_TAG)
        try:
            match tag:
                case "str" | "timestamp":  # a date is only ever text to a playbook
                    return str(node.value)
                case "null":
                    return None
                case "bool":
                    return _SCALARS.construct_yaml_bool(node)
                case "int":
                    return _SCALARS.construct_yaml_int(node)
                case "float":
                    return _SCALARS.construct_yaml_float(node)
        except (ValueError, KeyError):
            self._problem(at, node.start_mark.line, f"found {node.value[:40]!r}; not a valid {tag}")
            return None
        self._problem(at, node.start_mark.line, f"the YAML tag {node.tag} is not allowed")
        return None

    def _problem(self, at: FieldPath, line: int, text: str) -> None:
        self.problems.append(Problem(text, at, self.path, line))


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:40])
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def _refuse(path: Path, text: str, line: int | None = None) -> NoReturn:
    raise playbook_error([Problem(text, (), path, line)])
