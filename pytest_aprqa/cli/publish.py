"""`model-card` and `attest`: what a run says, where users and policies look for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytest_aprqa.cli.evidence_file import Source, evidence_path, read_evidence
from pytest_aprqa.cli.require import require_id
from pytest_aprqa.cli.rescored import require_agreement
from pytest_aprqa.cli.show import deliver, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("model-card")(model_card)
    app.command()(attest)


def model_card(
    evidence: Source,
    readme: Annotated[
        Path | None,
        typer.Option(
            "--readme",
            help="The model's card, a README.md of the hub",
            show_default="README.md beside the evidence",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Also write .eval_results for this benchmark of the hub"),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="Its task", show_default="the run's tier")
    ] = None,
) -> None:
    """Write what a run came to into the card of its model; nothing is sent anywhere."""
    from pytest_aprqa.registry.model_card import eval_results, update_card

    if dataset is not None:
        require_id(dataset, "data set of the hub")
    run = read_evidence(evidence)
    require_agreement(run, evidence)
    card = readme or evidence_path(evidence).with_name("README.md")
    changed = update_card(card, run)
    say(f"{card} {'has been updated' if changed else 'was up to date'}")
    if dataset is not None:
        text = eval_results(run, dataset, task or run.plan.tier.value)
        deliver(text, card.parent / ".eval_results" / "pytest-aprqa.yaml")


def attest(
    evidence: Source,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write", show_default="print it")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Sign it with this private key, in an envelope")
    ] = None,
) -> None:
    """Write an in-toto statement `test-result` about the files that were tested."""
    from pytest_aprqa.verdict.attestation import attest as attest_run
    from pytest_aprqa.verdict.signature import payload_of, sealed
    from pytest_aprqa.verdict.signature_keys import read_private_key

    run = read_evidence(evidence)
    require_agreement(run, evidence)
    payload = payload_of(attest_run(run))
    content = sealed(payload, read_private_key(key)) if key else payload + b"\n"
    deliver(content.decode("ascii"), output)
