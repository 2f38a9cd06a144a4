"""The certification table of a README, kept between its two markers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pytest_aprqa.registry.models_csv import RegistryError, RegistryRow, read_rows
from pytest_aprqa.verdict.run_file import replace_content
from pytest_aprqa.words import Status

START = "<!-- CERTIFICATION_TABLE_START -->"
END = "<!-- CERTIFICATION_TABLE_END -->"
HEADS = (
    "Model", "Family", "Size", "Status", "MQS", "Grade", "G1-4", "Prov",
    "GGUF CPU", "GGUF GPU", "APR CPU", "APR GPU", "ST CPU", "ST GPU",
)  # fmt: skip
_UNIT = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_PARAMETERS = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMBT]?)", re.IGNORECASE)
_MODEL_ID = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def has_table(readme: Path) -> bool:
    """Whether a README has both markers. Raises OSError."""
    text = readme.read_text(encoding="utf-8")
    return START in text and END in text


def sync_readme(readme: Path, registry: Path) -> bool:
    """Write the registry's table between the markers; return whether anything changed.

    The text depends on the registry alone, so a second time changes no byte.

    Raises:
        RegistryError: a file cannot be read or written, or the markers are not there exactly once,
            in order.
    """
    table = render_table(read_rows(registry))
    try:
        before = readme.read_bytes().decode("utf-8")
        after = _replaced(before, table, readme)
        if after != before:
            replace_content(readme.resolve(), after.encode("utf-8"))
    except UnicodeDecodeError as error:
        raise RegistryError(f"{readme} is not UTF-8 text: {error}") from None
    except OSError as error:
        raise RegistryError(f"{readme} cannot be written: {error.strerror}") from error
    return after != before


def render_table(rows: Iterable[RegistryRow]) -> str:
    """Return the summary line and the table of a registry, in Markdown."""
    ordered = sorted(rows, key=lambda row: (row.family, parameter_count(row), row.model_id))
    lines = [_summary(ordered), "", _line(HEADS), _line("---" for _ in HEADS)]
    return "\n".join([*lines, *(_line(_cells(row)) for row in ordered)])


def parameter_count(row: RegistryRow) -> float:
    """Return the parameters of a row as a number, 0 when its text states none."""
    found = _PARAMETERS.fullmatch(row.parameters.strip())
    return float(found[1]) * _UNIT[found[2].upper()] if found else 0.0


def _replaced(text: str, table: str, readme: Path) -> str:
    for marker in (START, END):
        if text.count(marker) != 1:
            raise RegistryError(
                f"{readme} must hold the line {marker} exactly once, it holds it "
                f"{text.count(marker)} times"
            )
    before, _, rest = text.partition(START)
    _, found, after = rest.partition(END)
    if not found:
        raise RegistryError(f"{readme} has {END} before {START}: swap them")
    newline = "\r\n" if "\r\n" in text else "\n"
    body = f"\n{table}\n".replace("\n", newline)
    return f"{before}{START}{body}{END}{after}"


def _summary(rows: list[RegistryRow]) -> str:
    count = Counter(row.status for row in rows)
    counted = [f"{count[status]} {status.lower()}" for status in Status if count[status]]
    latest = max((row.last_certified for row in rows), default="")
    dated = f"; last certified {_text(latest)}" if latest else ""
    return f"{len(rows)} models: {', '.join(counted) or 'none'}{dated}."


def _cells(row: RegistryRow) -> tuple[str, ...]:
    return (
        _link(row.model_id),
        _text(row.family),
        _text(row.parameters),
        _text(row.status),
        "-" if row.status == Status.PENDING else _text(row.mqs_score),
        _text(row.grade) or "-",
        _gateways(row),
        "yes" if row.provenance_verified == "true" else "-",
        *(_text(rate) or "-" for rate in _rates(row)),
    )


def _rates(row: RegistryRow) -> tuple[str, ...]:
    return (
        row.tps_gguf_cpu,
        row.tps_gguf_gpu,
        row.tps_apr_cpu,
        row.tps_apr_gpu,
        row.tps_st_cpu,
        row.tps_st_gpu,
    )


def _gateways(row: RegistryRow) -> str:
    if row.status == Status.PENDING:
        return "-"
    return "".join("✓" if held == "true" else "✗" for held in (row.g1, row.g2, row.g3, row.g4))


def _link(model_id: str) -> str:
    if not _MODEL_ID.fullmatch(model_id):
        return _text(model_id)
    return f"[{_text(model_id)}](https://huggingface.co/{model_id})"


def _text(value: str) -> str:
    """Return a value that cannot end its cell or become markup."""
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", " ".join(value.split()))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
