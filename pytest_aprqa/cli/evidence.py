"""`score`, `report`, `tickets`, `export-csv`, `export-evidence`: what follows from a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.evidence_file import Source, evidence_files, evidence_path, read_evidence
from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import REGISTRY, Json
from pytest_aprqa.cli.require import require_directory, require_id
from pytest_aprqa.cli.rescored import require_agreement, rescored
from pytest_aprqa.cli.show import as_json, complain, deliver, document, lines, say
from pytest_aprqa.playbook.errors import none_of

if TYPE_CHECKING:
    from pytest_aprqa.verdict.record import Run


class ReportFormat(StrEnum):
    """What a report can be written as."""

    ALL = "all"
    HTML = "html"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    SARIF = "sarif"


def _formats(given: list[str]) -> set[ReportFormat]:
    """Return the formats of a repeatable, comma-separated option."""
    names = [name.strip() for one in given for name in one.split(",")]
    for name in names:
        if name not in list(ReportFormat):
            raise UserError(f"--formats: {none_of(name, ReportFormat)}")
    wanted = {ReportFormat(name) for name in names}
    return set(ReportFormat) if ReportFormat.ALL in wanted else wanted


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(score)
    app.command()(report)
    app.command()(tickets)
    app.command("export-csv")(export_csv)
    app.command("export-evidence")(export_evidence)


def score(
    evidence: Source,
    json: Json = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Also fail when the certificate is below its threshold")
    ] = False,
) -> None:
    """Compute score and certificate from the records, and say whether the stored ones agree."""
    from pytest_aprqa.report.terminal import summary

    run = read_evidence(evidence)
    anew = rescored(run, evidence)
    again = run.model_copy(update={"mqs": anew.mqs, "certificate": anew.certificate})
    if json:
        as_json(
            {
                "mqs": anew.mqs.model_dump(mode="json"),
                "certificate": anew.certificate.model_dump(mode="json"),
                "qualifies": anew.mqs.qualifies,
                "is_production_ready": anew.mqs.is_production_ready,
                "agrees": not anew.differences,
                "differences": [asdict(difference) for difference in anew.differences],
            }
        )
    else:
        lines(summary(again, evidence=str(evidence), unicode=_unicode()))
        say()
        agrees = "The stored score and certificate are what the records say."
        say(agrees if not anew.differences else "The stored verdict is not what the records say:")
        for difference in anew.differences:
            say(f"  {difference}")
    below = gate and not anew.certificate.exit_ok
    raise typer.Exit(Exit.FAILED if anew.differences or below else Exit.OK)


def report(
    evidence: Source,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Directory", show_default="of the evidence"),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--formats",
            "-f",
            metavar="|".join(ReportFormat),
            help="What to write: one, or several with commas; may be repeated",
            show_default=ReportFormat.ALL.value,
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Evidence of an earlier run, shown beside this one in HTML"),
    ] = None,
) -> None:
    """Write the report of a run as report.html, junit.xml, report.md and report.sarif."""
    from pytest_aprqa.report.html import render_html
    from pytest_aprqa.report.junit import render_junit
    from pytest_aprqa.report.markdown import render_markdown
    from pytest_aprqa.verdict.run_file import replace_content

    earlier = read_evidence(against) if against else None
    renderers: dict[ReportFormat, tuple[str, Callable[[Run], str]]] = {
        ReportFormat.HTML: ("report.html", partial(render_html, earlier=earlier)),
        ReportFormat.JUNIT: ("junit.xml", render_junit),
        ReportFormat.MARKDOWN: ("report.md", render_markdown),
        ReportFormat.SARIF: ("report.sarif", _sarif),
    }
    wanted = _formats(formats or [ReportFormat.ALL])
    run = read_evidence(evidence)
    directory = output or evidence_path(evidence).parent
    require_directory(directory)
    for form, (name, render) in renderers.items():
        if form in wanted:
            replace_content(directory / name, render(run).encode("utf-8"))
            say(str(directory / name))


def _sarif(run: Run) -> str:
    from importlib.metadata import version

    from pytest_aprqa.report.sarif import run_sarif

    return dumps(run_sarif(run, version("pytest-aprqa")), indent=1) + "\n"


def tickets(
    evidence: Source,
    repo: Annotated[str, typer.Option("--repo", "-r", help="Repository of the tickets")] = (
        "OWNER/NAME"
    ),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write one .md file a ticket here")
    ] = None,
    min_occurrences: Annotated[
        int, typer.Option("--min-occurrences", min=1, help="Failures a cause must have")
    ] = 1,
    json: Json = False,
) -> None:
    """Write a ticket for each root cause of the failures; nothing is sent anywhere."""
    from pytest_aprqa.report.markdown import escaped
    from pytest_aprqa.report.tickets import command
    from pytest_aprqa.report.tickets import tickets as made_of
    from pytest_aprqa.verdict.run_file import replace_content

    require_id(repo, "repository")
    found = made_of(read_evidence(evidence), least=min_occurrences)
    if json:
        as_json([asdict(ticket) for ticket in found])
        return
    if not found:
        say("Nothing failed, so there is no ticket to write.")
    for number, ticket in enumerate(found, start=1):
        name = f"ticket-{number:02d}.md"
        if output is None:
            document(
                f"# {escaped(ticket.title)}\n\nLabels: {', '.join(ticket.labels)}\n\n{ticket.body}"
            )
        else:
            replace_content(output / name, ticket.body.encode("utf-8"))
            document(command(ticket, repo, output / name))


def export_csv(
    evidence_dir: Annotated[
        Path, typer.Option("--evidence-dir", "-e", help="Directory with evidence below it")
    ] = Path("certifications"),
    output: Annotated[Path, typer.Option("--output", "-o", help="The registry")] = REGISTRY,
) -> None:
    """Write the row of every model with a run below a directory into the registry; others stay.

    Of several runs of a model the one that finished last counts.
    """
    from pytest_aprqa.registry.models_csv import register as register_run
    from pytest_aprqa.registry.models_csv import row_from_run

    files = evidence_files(evidence_dir)
    if not files:
        raise UserError(f"there is no evidence.json below {evidence_dir}", Exit.NOT_FOUND)
    refused = 0
    newest: dict[str, tuple[Path, Run]] = {}
    for path in files:
        run = read_evidence(path)
        if differences := rescored(run, path).differences:
            complain(
                f"{path} is left out, its verdict is not what its records say: {differences[0]}"
            )
            refused += 1
        elif row_from_run(run, None) is None:
            say(f"{run.plan.model_id}: the run at {path} makes no claim, so it changes no row")
        else:
            _keep_newest(newest, path, run)
    for _, run in newest.values():
        if row := register_run(output, run):
            say(f"{row.model_id}: {row.status}, MQS {row.mqs_score}, grade {row.grade}")
    raise typer.Exit(Exit.FAILED if refused else Exit.OK)


def _keep_newest(newest: dict[str, tuple[Path, Run]], path: Path, run: Run) -> None:
    """Keep the run of a model that finished last, and say which is left out."""
    pair = (path, run)
    other = newest.get(run.plan.model_id)
    if other is not None:
        older, pair = sorted((other, pair), key=lambda one: one[1].finished)
        complain(
            f"{older[0]} is left out: it finished {older[1].finished}, and {pair[0]}, "
            f"also of {run.plan.model_id}, finished {pair[1].finished}"
        )
    newest[run.plan.model_id] = pair


def export_evidence(
    source: Source,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model the run must be of")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write", show_default="print it")
    ] = None,
) -> None:
    """Export a run as one flat JSON document for other tools."""
    from pytest_aprqa.report.export import export_run

    run = read_evidence(source)
    if model is not None and model.lower() != run.plan.model_id.lower():
        raise UserError(f"{source} is about {run.plan.model_id}, not about {model}")
    require_agreement(run, source)
    deliver(dumps(export_run(run).model_dump(mode="json"), indent=1) + "\n", output)


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")
