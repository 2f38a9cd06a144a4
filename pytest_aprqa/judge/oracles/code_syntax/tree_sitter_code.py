"""Any other language, by tree-sitter when its grammar is installed."""

from __future__ import annotations

import importlib
from typing import Any

from pytest_aprqa.judge.oracles.code_syntax.syntax import Source, Syntax, Verdict


def parse(source: Source) -> Verdict:
    """Parse with the package `tree-sitter-<language>`; without it nothing can be said."""
    package = f"tree-sitter-{source.language}"
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        grammar = importlib.import_module(package.replace("-", "_"))
    except ImportError:
        return Verdict(
            Syntax.UNKNOWN,
            f"no parser for {source.language}: install tree-sitter and {package}",
        )
    if not hasattr(grammar, "language"):
        return Verdict(Syntax.UNKNOWN, f"{package} offers no single grammar")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    data = source.text.encode()
    root = parser.parse(data).root_node
    error = _first_error(root)
    if error is None and root.named_child_count:
        return Verdict(Syntax.VALID, f"the {source.language} parses")
    if error is None:
        return Verdict(Syntax.IDLE, f"the answer holds no {source.language}")
    if source.cut_off and _reaches_the_end(error, data):
        return Verdict(Syntax.UNKNOWN, "the code was cut off inside a statement")
    return Verdict(Syntax.INVALID, f"line {error.start_point[0] + 1}: not {source.language}")


def _first_error(node: Any) -> Any | None:
    """Return the innermost first node that tree-sitter could not fit in."""
    if not node.has_error:
        return None
    for child in node.children:
        if (found := _first_error(child)) is not None:
            return found
    return node if node.is_error or node.is_missing else None


def _reaches_the_end(error: Any, data: bytes) -> bool:
    return error.is_missing or not data[error.end_byte :].strip()
