"""Python, by its own parser."""

from __future__ import annotations

import ast
import textwrap
import warnings

from pytest_aprqa.judge.oracles.code_syntax.syntax import Source, Syntax, Verdict

# PyCF_ALLOW_INCOMPLETE_INPUT, by which the interactive prompt knows to ask for another line.
_ALLOW_INCOMPLETE_INPUT = 0x4000
MOST_CHARACTERS = 100_000


def parse(source: Source) -> Verdict:
    """Parse, allowing an unfinished last statement when the answer was cut off."""
    text = textwrap.dedent(source.text)[:MOST_CHARACTERS]
    error = _syntax_error(text)
    if error is None:
        return _with_substance(text, source)
    if not source.cut_off:
        return Verdict(Syntax.INVALID, f"line {error.lineno}: {error.msg}")
    whole_lines = text.rpartition("\n")[0] + "\n"  # the cut may be in the middle of a token
    for kept in (text, whole_lines) if whole_lines.strip() else (text,):
        error = _syntax_error(kept)
        if error is None or _is_incomplete(kept):
            return _with_substance(_longest_complete(kept), source)
    assert error is not None
    if _is_at_the_end(error, text):
        return Verdict(Syntax.UNKNOWN, "the answer was cut off where it stops to parse")
    return Verdict(Syntax.INVALID, f"line {error.lineno}: {error.msg}")


def _syntax_error(text: str, flags: int = ast.PyCF_ONLY_AST) -> SyntaxError | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # "\d" in a string is not our concern
        try:
            compile(text, "<answer>", "exec", flags, dont_inherit=True)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes, deep nesting
            return SyntaxError(str(error) or type(error).__name__)
    return None


def _is_incomplete(text: str) -> bool:
    """Whether the only thing wrong is that the text ends too early."""
    error = _syntax_error(text, ast.PyCF_ONLY_AST | _ALLOW_INCOMPLETE_INPUT)
    return error is not None and error.msg == "incomplete input"


def _is_at_the_end(error: SyntaxError, text: str) -> bool:
    """Whether no more than one word follows the place where a text breaks."""
    lines = text.splitlines()
    if error.lineno is None or error.lineno < len(lines) or not lines:
        return False
    return len(lines[-1][max(0, (error.offset or 1) - 1) :].split()) <= 1


def _longest_complete(text: str) -> str:
    lines = text.splitlines(keepends=True)
    for count in range(len(lines), 0, -1):
        kept = "".join(lines[:count])
        if _syntax_error(kept) is None:
            return kept
    return ""


def _with_substance(text: str, source: Source) -> Verdict:
    """Prose such as "hello" parses as Python too; ask for a statement that does something."""
    given = _statements(textwrap.dedent(source.stem)) if source.stem else 0
    written = _statements(text) - given
    if written > 0:
        return Verdict(Syntax.VALID, f"{written} Python statements parse")
    if source.cut_off:
        return Verdict(Syntax.UNKNOWN, "the answer was cut off before its first statement ended")
    if _has_signs(text):
        return Verdict(Syntax.UNKNOWN, "nothing tells an expression alone from words")
    return Verdict(Syntax.IDLE, "the answer holds no Python statement")


def _statements(text: str) -> int:
    """Count statements that do something; of a stem that ends in a header, the header too."""
    if _syntax_error(text) is not None:
        text = text.rstrip() + "\n    ...\n" if not text.rstrip().endswith("...") else text
    if _syntax_error(text) is not None:
        return 0
    return sum(isinstance(node, ast.stmt) and not _is_idle(node) for node in ast.walk(_tree(text)))


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.parse(text)


_WORDS = (
    ast.Name | ast.Constant | ast.Tuple | ast.Attribute | ast.IfExp | ast.Compare
    | ast.BoolOp | ast.boolop | ast.BinOp | ast.operator | ast.UnaryOp | ast.unaryop
    | ast.cmpop | ast.expr_context
)  # fmt: skip
"""What an expression is made of that may be prose: "Paris is great", "yes or no", "well-known"."""

_SIGNS = (
    ast.operator | ast.UAdd | ast.USub | ast.Invert
    | ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE
)  # fmt: skip
"""Operators that are no words."""


def _is_idle(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and all(
        isinstance(part, _WORDS) for part in ast.walk(node.value)
    )


def _has_signs(text: str) -> bool:
    return any(isinstance(node, _SIGNS) for node in ast.walk(_tree(text)))
