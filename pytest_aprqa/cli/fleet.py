"""`fleet run`: certify many models on the machines of a Ray cluster."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.certify import plan_checked
from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import (
    CERTIFICATIONS,
    AprBinary,
    ModelCache,
    NoGpu,
    Offline,
    Policy,
    Timeout,
)
from pytest_aprqa.cli.show import say
from pytest_aprqa.words import FailurePolicy, Tier

if TYPE_CHECKING:
    from pytest_aprqa.fleet.report import FleetReport

group = typer.Typer(help="Certify many models on many machines.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="fleet")


@group.callback()
def _fleet() -> None:
    """Certify many models on many machines."""


@group.command()
def run(
    playbooks: Annotated[
        list[Path], typer.Argument(help="Files NAME.playbook.yaml, or directories of them")
    ],
    tier: Annotated[
        Tier | None, typer.Option("--tier", help="Instead of the tier of each playbook")
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            "--address", help="Ray cluster: host:port, `auto`, or `local` for this machine alone"
        ),
    ] = "local",
    resume: Annotated[
        bool, typer.Option("--resume", help="Run only what an interrupted fleet left open")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory of models.csv and the evidence")
    ] = CERTIFICATIONS,
    patience: Annotated[
        int,
        typer.Option(
            "--patience", min=0, metavar="SECONDS",
            help="How long checks wait while no machine of the cluster could hold them",
        ),
    ] = 300,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="CPUs of each shard, and threads of its engines"),
    ] = None,
    failure_policy: Policy = None,
    model_cache: ModelCache = None,
    apr_binary: AprBinary = None,
    timeout: Timeout = None,
    no_gpu: NoGpu = False,
    offline: Offline = False,
) -> None:  # fmt: skip
    """Certify playbooks, each format and backend of each as one task of a Ray cluster."""
    report = _run(
        _files(playbooks),
        address=address,
        tier=tier,
        resume=resume,
        output=output,
        patience=patience,
        threads=threads,
        failure_policy=failure_policy,
        model_cache=model_cache,
        apr_binary=apr_binary,
        timeout=timeout,
        no_gpu=no_gpu,
        offline=offline,
    )
    met = sum(result.is_met for result in report.results)
    say(f"{met} of {len(report.results)} models reach their threshold; report: {output}/fleet.md")
    if report.interrupted:
        say("interrupted; the same command with --resume goes on from there")
        raise typer.Exit(Exit.INTERRUPTED)
    raise typer.Exit(Exit.OK if report.is_met else Exit.FAILED)


def _run(
    playbooks: list[Path],
    *,
    address: str,
    tier: Tier | None,
    resume: bool,
    output: Path,
    patience: int,
    threads: int | None,
    failure_policy: FailurePolicy | None,
    model_cache: Path | None,
    apr_binary: str | None,
    timeout: int | None,
    no_gpu: bool,
    offline: bool,
) -> FleetReport:
    from pytest_aprqa.fleet.cluster import FleetError, connected
    from pytest_aprqa.fleet.progress import Progress
    from pytest_aprqa.run.settings import Settings

    # Workers have other working directories, so no path may depend on this one.
    settings = Settings(
        certifications=output.resolve(),
        tier=tier,
        failure_policy=failure_policy,
        model_cache=model_cache.resolve() if model_cache else None,
        no_gpu=no_gpu,
        apr_binary=apr_binary,
        offline=offline,
        resume=resume,
        threads=threads,
        timeout=None if timeout is None else timeout / 1000,
        command=shlex.join(["apr-qa", *sys.argv[1:]]),
    )
    for playbook in playbooks:
        plan_checked(playbook, settings)
    try:
        with connected(address):
            from pytest_aprqa.fleet.drive import Fleet

            fleet = Fleet(playbooks, settings, readme=Path("README.md"), patience=patience)
            return fleet.run(Progress(say))
    except FleetError as error:
        raise UserError(str(error)) from None


def _files(given: list[Path]) -> list[Path]:
    """Return the playbooks, those of directories in order."""
    from pytest_aprqa.playbook.find import playbooks_in

    found: list[Path] = []
    for path in given:
        found += playbooks_in(path) if path.is_dir() else [path]
    if not found:
        raise UserError(f"{given[0]} holds no playbook", Exit.NOT_FOUND)
    return list(dict.fromkeys(path.resolve() for path in found))
