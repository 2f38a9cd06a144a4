"""JSON."""

from __future__ import annotations

import json

from pytest_aprqa.judge.oracles import strict_json
from pytest_aprqa.judge.oracles.code_syntax.syntax import Source, Syntax, Verdict


def parse(source: Source) -> Verdict:
    """Parse one JSON value; a cut-off one may end early, but not break before."""
    text = source.text.strip()
    if not text:
        return Verdict(Syntax.INVALID, "there is no JSON")
    try:
        strict_json.loads(text)
    except json.JSONDecodeError as error:
        if source.cut_off and _ends_early(text, error):
            return Verdict(Syntax.UNKNOWN, "the JSON was cut off")
        return Verdict(Syntax.INVALID, f"line {error.lineno}: {error.msg}")
    except ValueError as error:
        return Verdict(Syntax.INVALID, str(error))
    except RecursionError:
        return Verdict(Syntax.UNKNOWN, "the JSON is nested too deeply to parse")
    return Verdict(Syntax.VALID, "the JSON parses")


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    rest = text[error.pos :]
    unfinished_word = any(word.startswith(rest) for word in ("true", "false", "null", "-"))
    return not rest or unfinished_word or error.msg.startswith("Unterminated string")
