"""`keygen`, `sign` and `verify`: evidence that can be trusted without trusting who hands it over."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.evidence_file import evidence_path
from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import PLAYBOOKS, Json, ModelPath
from pytest_aprqa.cli.show import as_json, complain, say, table

if TYPE_CHECKING:
    from pytest_aprqa.run.verify import Exhibit
    from pytest_aprqa.verdict.verify import Point

Evidence = Annotated[Path, typer.Argument(help="evidence.json, or the folder that holds it")]
RegistryOption = Annotated[
    Path | None,
    typer.Option("--registry", help="The registry", show_default="models.csv above the evidence"),
]
PlaybookOption = Annotated[
    Path | None,
    typer.Option("--playbook", help="The run's playbook", show_default="beside it, or by its name"),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(keygen)
    app.command()(sign)
    app.command()(verify)


def keygen(
    name: Annotated[Path, typer.Argument(help="The keys become NAME.key and NAME.pub")] = Path(
        "aprqa"
    ),
) -> None:
    """Make an Ed25519 key pair; with APRQA_KEY_PASSPHRASE set the private key is encrypted."""
    from pytest_aprqa.verdict.signature import key_id
    from pytest_aprqa.verdict.signature_keys import (
        PASSPHRASE_VARIABLE,
        read_public_key,
        write_key_pair,
    )

    private, public = Path(f"{name}.key"), Path(f"{name}.pub")
    write_key_pair(private, public, os.environ.get(PASSPHRASE_VARIABLE, ""))
    say(f"{private}: keep it to yourself")
    say(f"{public}: hand it out, its id is {key_id(read_public_key(public))}")


def sign(
    evidence: Evidence,
    key: Annotated[Path, typer.Option("--key", help="The private key")],
    registry: RegistryOption = None,
    playbook: PlaybookOption = None,
    model_path: ModelPath = None,
) -> None:
    """Sign evidence, journal, reports, artifact digests and registry row, once they are found to agree."""
    from pytest_aprqa.run.verify import statement_about, verify_exhibit
    from pytest_aprqa.verdict.run_file import read_run, replace_content
    from pytest_aprqa.verdict.signature import sign as sign_statement
    from pytest_aprqa.verdict.signature_keys import read_private_key

    secret = read_private_key(key)
    exhibit = _exhibit(evidence, registry, playbook, model_path)
    if wrong := _first_failure(verify_exhibit(exhibit)):
        raise UserError(
            f"{exhibit.evidence} is not signed: {wrong.name}: {wrong.detail}", Exit.FAILED
        )
    statement = statement_about(exhibit, read_run(exhibit.evidence))
    replace_content(exhibit.signature, sign_statement(statement, secret))
    say(str(exhibit.signature))


def verify(
    evidence: Evidence,
    key: Annotated[
        Path | None, typer.Option("--key", help="The public key the evidence was signed for")
    ] = None,
    registry: RegistryOption = None,
    playbook: PlaybookOption = None,
    model_path: ModelPath = None,
    json: Json = False,
) -> None:
    """Verify evidence, journal, score, registry row, artifact files and signature."""
    from pytest_aprqa.run.verify import verify_exhibit
    from pytest_aprqa.verdict.signature_keys import read_public_key

    public = read_public_key(key) if key else None
    points = verify_exhibit(_exhibit(evidence, registry, playbook, model_path), public)
    wrong = _first_failure(points)
    if json:
        as_json({"holds": wrong is None, "points": [asdict(point) for point in points]})
    else:
        rows = [(point.name, point.standing, point.detail) for point in points]
        table(("verified", "", "detail"), rows)
        if wrong:
            complain(f"{wrong.name} does not hold: {wrong.detail}")
    raise typer.Exit(Exit.FAILED if wrong else Exit.OK)


def _exhibit(
    evidence: Path, registry: Path | None, playbook: Path | None, model_path: Path | None
) -> Exhibit:
    from pytest_aprqa.run.verify import Exhibit

    path = evidence_path(evidence)
    if path.suffix == ".jsonl":
        raise UserError(f"{path} is a journal; give the evidence.json beside it")
    for given in (registry, playbook, model_path):
        if given is not None and not given.exists():
            raise UserError(f"there is no {given}", Exit.NOT_FOUND)
    return Exhibit(
        evidence=path,
        registry=registry or path.resolve().parent.parent / "models.csv",
        playbook=playbook or _playbook_of(path),
        model_path=model_path,
    )


def _playbook_of(evidence: Path) -> Path | None:
    """Return the playbook of a run where it is usually found."""
    from pytest_aprqa.verdict.record import RecordError
    from pytest_aprqa.verdict.run_file import read_run

    try:
        name = Path(read_run(evidence).plan.playbook).name
    except RecordError:
        return None
    places = (folder / name for folder in (evidence.parent, Path(), PLAYBOOKS))
    return next((place for place in places if place.is_file()), None)


def _first_failure(points: list[Point]) -> Point | None:
    from pytest_aprqa.verdict.verify import Standing

    return next((point for point in points if point.standing is Standing.FAILED), None)
