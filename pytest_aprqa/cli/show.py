"""What `apr-qa` prints. Text of unknown origin is made visible before it reaches a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_aprqa.report.terminal import Line

GAP = "  "
_RICH = {"light": "dim"}


def say(text: str = "") -> None:
    """Print lines of text; anything that would steer a terminal is spelt out."""
    from pytest_aprqa.report.visible import visible

    _write(visible(text) + "\n")


def document(text: str) -> None:
    """Print a document as it is: YAML, JSON or Markdown that was made safe where it was made."""
    _write(text if text.endswith("\n") else text + "\n")


def deliver(text: str, output: Path | None) -> None:
    """Write a document to a file, at once and durably, or print it."""
    from pytest_aprqa.verdict.run_file import replace_content

    if output is None:
        document(text)
    else:
        replace_content(output, text.encode("utf-8"))
        say(str(output))


def complain(text: str) -> None:
    """Print what went wrong to standard error."""
    from pytest_aprqa.report.visible import visible

    print(f"apr-qa: {visible(text)}", file=sys.stderr)  # noqa: T201 - this is where printing is done


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show on standard error that something is being done, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    from pytest_aprqa.report.visible import one_line

    with Console(stderr=True).status(Text(one_line(text))):
        yield


def as_json(value: Any) -> None:
    """Print a value as JSON, ASCII only."""
    _write(json.dumps(value, indent=1) + "\n")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns; nothing is cut, so that lines can be searched."""
    from pytest_aprqa.report.visible import one_line

    safe = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *safe, strict=True)]
    for number, row in enumerate([list(heads), *safe]):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = GAP.join(cells).rstrip()
        if number:
            _write(line + "\n")
        else:
            _styled([(line, "bold")])


def lines(styled: Iterable[Line]) -> None:
    """Print the lines of a summary in their styles."""
    for line in styled:
        _styled([(s.text, " ".join(_RICH.get(name, name) for name in s.style.value)) for s in line])


def _styled(spans: Iterable[tuple[str, str]]) -> None:
    """Print one line of texts, in their styles where standard output is a terminal."""
    if not sys.stdout.isatty():
        _write("".join(text for text, _ in spans).rstrip() + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(*spans, no_wrap=True, overflow="ignore")
    Console(highlight=False, soft_wrap=True).print(text)


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
