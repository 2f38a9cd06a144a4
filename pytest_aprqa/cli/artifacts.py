"""`validate-contract`, `diagnose`, `convert`: what can be done with a model's files alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import Json, Threads
from pytest_aprqa.cli.show import as_json, busy, say, table
from pytest_aprqa.words import Format

if TYPE_CHECKING:
    from pytest_aprqa.observation import FileReport

Model = Annotated[Path, typer.Argument(help="A .gguf or .apr file, or a directory of a model")]


class FindingFormat(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("validate-contract")(validate_contract)
    app.command()(diagnose)
    app.command()(convert)


def validate_contract(
    model: Model,
    form: Annotated[FindingFormat, typer.Option("--format", "-f", help="How to print")] = (
        FindingFormat.TEXT
    ),
) -> None:
    """Check the files of a model: container, layout contract, contents, tokenizer."""
    from pytest_aprqa.artifact.check import check_artifact
    from pytest_aprqa.run.facts import artifacts_at

    with busy(f"Checking {model}"):
        reports = {str(a.path): check_artifact(a) for a in artifacts_at(model.expanduser())}
    if form is FindingFormat.SARIF:
        from importlib.metadata import version

        from pytest_aprqa.report.sarif import sarif

        as_json(sarif(reports, version("pytest-aprqa")))
    elif form is FindingFormat.JSON:
        as_json(
            {
                "ok": not any(report.errors for report in reports.values()),
                "artifacts": [{"path": path, **asdict(r)} for path, r in reports.items()],
            }
        )
    else:
        _show(reports)
    failed = any(report.errors for report in reports.values())
    raise typer.Exit(Exit.FAILED if failed else Exit.OK)


def diagnose(
    model: Model,
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Only this format; may be repeated")
    ] = None,
    timeout: Annotated[
        int, typer.Option("--timeout", min=1, metavar="MS", help="Milliseconds an engine may take")
    ] = 120_000,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Check the invariants I-1 to I-5 of a model's formats; formats not there are converted."""
    import tempfile

    from pytest_aprqa.run.diagnose import diagnose as run_diagnosis
    from pytest_aprqa.run.facts import artifacts_at
    from pytest_aprqa.run.settings import Settings

    artifacts_at(model.expanduser())
    wanted = [f for f in formats or Format if f is not Format.SAFETENSORS]
    if not wanted:
        raise UserError("SafeTensors are the reference; name apr, gguf or both with --format")
    doing = f"Checking the invariants of {model} in {', '.join(wanted)}"
    with tempfile.TemporaryDirectory(prefix="aprqa-") as folder, busy(doing):
        work = Path(folder)
        records = list(
            run_diagnosis(
                model.expanduser().resolve(),
                wanted,
                settings=Settings(certifications=work, threads=threads),
                work=work,
                timeout=timeout / 1000,
            )
        )
    if json:
        as_json([record.model_dump(mode="json") for record in records])
    else:
        table(
            ("invariant", "format", "gate", "outcome", "reason"),
            [(r.subject, r.format or "", r.gate_id, r.outcome, r.reason) for r in records],
        )
    held = bool(records) and all(record.outcome.passes for record in records)
    raise typer.Exit(Exit.OK if held else Exit.FAILED)


def convert(
    source: Annotated[Path, typer.Argument(help="A .gguf or .apr file, or a model directory")],
    destination: Annotated[
        Path, typer.Argument(help="A .gguf or .apr file, or a directory for SafeTensors")
    ],
    quantize: Annotated[
        str | None, typer.Option("--quantize", "-q", help="dtype of the matrices, like Q8_0")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier conversion")] = False,
) -> None:
    """Convert a model to another format, with a record of every change of dtype."""
    from pytest_aprqa.run.convert_file import convert_to

    with busy(f"Converting {source}"):
        made = convert_to(source.expanduser(), destination.expanduser(), quantize, force=force)
    size = sum(path.stat().st_size for path in made.files)
    say(
        f"{destination}: {made.format}, {len(made.files)} files, {size} bytes, digest {made.digest}"
    )


def _show(reports: Mapping[str, FileReport]) -> None:
    for path, report in reports.items():
        counted = ", ".join(f"{count} {what}" for what, count in report.checked.items() if count)
        say(f"{path}: {len(report.errors)} errors; checked {counted or 'nothing'}")
        for finding in report.findings:
            where = f" ({finding.where})" if finding.where else ""
            say(f"  {finding.severity} {finding.rule}: {finding.message}{where}")
