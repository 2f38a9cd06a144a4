"""`run` and `certify`: pytest on playbooks, with the same items and the same evidence."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import (
    CERTIFICATIONS,
    PLAYBOOKS,
    REGISTRY,
    AprBinary,
    BaseUrl,
    DryRun,
    FailFast,
    ModelCache,
    ModelPath,
    NoGpu,
    Offline,
    Policy,
    Registry,
    Resume,
    Threads,
    Timeout,
    Workers,
)
from pytest_aprqa.cli.pytest_process import run_pytest
from pytest_aprqa.cli.selection import chosen_models, chosen_playbooks
from pytest_aprqa.cli.show import complain
from pytest_aprqa.words import FailurePolicy, Tier

if TYPE_CHECKING:
    from pytest_aprqa.run.planning import PlannedPlaybook
    from pytest_aprqa.run.settings import Settings

PASS_ON = {"allow_extra_args": True}
LOCK = "playbook.lock.yaml"

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Directory of models.csv and the evidence [default: certifications]"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(certify)
    app.command(context_settings=PASS_ON)(run)


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked of a run; the options of `run` and `certify`."""

    tier: Tier | None = None
    failure_policy: FailurePolicy | None = None
    model_cache: Path | None = None
    model_path: Path | None = None
    apr_binary: str | None = None
    base_url: str | None = None
    workers: int = 1
    timeout: int | None = None
    threads: int | None = None
    no_gpu: bool = False
    offline: bool = False
    resume: bool = False
    dry_run: bool = False
    output: Path | None = None

    def arguments(self) -> list[str]:
        """Return the options as pytest takes them."""
        seconds = None if self.timeout is None else self.timeout / 1000
        named = {
            "--aprqa-tier": self.tier,
            "--aprqa-failure-policy": self.failure_policy,
            "--aprqa-model-cache": self.model_cache,
            "--aprqa-model-path": self.model_path,
            "--aprqa-apr-binary": self.apr_binary,
            "--aprqa-base-url": self.base_url,
            "--aprqa-check-timeout": seconds,
            "--aprqa-threads": self.threads,
            "--aprqa-certifications": self.output,
        }
        flags = {
            "--aprqa-no-gpu": self.no_gpu,
            "--aprqa-offline": self.offline,
            "--aprqa-resume": self.resume,
            "--aprqa-plan": self.dry_run,
        }
        given = [f"{name}={value}" for name, value in named.items() if value is not None]
        given += [name for name, wanted in flags.items() if wanted]
        return [*given, *(["-n", str(self.workers)] if self.workers > 1 else [])]

    def settings(self) -> Settings:
        """Return what decides over the plan."""
        from pytest_aprqa.run.settings import Settings

        return Settings(
            certifications=self.output or CERTIFICATIONS,
            tier=self.tier,
            no_gpu=self.no_gpu,
        )


def run(
    context: typer.Context,
    playbook: Annotated[Path, typer.Argument(help="A file NAME.playbook.yaml")],
    tier: Annotated[
        Tier | None, typer.Option("--tier", help="Instead of the tier of the playbook")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Directory of models.csv and the evidence [default: certifications]; "
            "FILE.json: also write the evidence there",
        ),
    ] = None,
    failure_policy: Policy = None,
    fail_fast: FailFast = False,
    model_cache: ModelCache = None,
    model_path: ModelPath = None,
    apr_binary: AprBinary = None,
    base_url: BaseUrl = None,
    workers: Workers = 1,
    timeout: Timeout = None,
    threads: Threads = None,
    no_gpu: NoGpu = False,
    offline: Offline = False,
    resume: Resume = False,
    dry_run: DryRun = False,
) -> None:
    """Run one playbook. What follows `--` goes to pytest: `apr-qa run X -- -k arithmetic`."""
    copy = output if output is not None and output.suffix == ".json" else None
    request = Request(
        tier=tier,
        failure_policy=_policy(failure_policy, fail_fast),
        model_cache=model_cache,
        model_path=model_path,
        apr_binary=apr_binary,
        base_url=base_url,
        workers=workers,
        timeout=timeout,
        threads=threads,
        no_gpu=no_gpu,
        offline=offline,
        resume=resume,
        dry_run=dry_run,
        output=CERTIFICATIONS if copy else output,
    )
    planned = plan_checked(playbook, request.settings())
    code = run_pytest([str(playbook), *request.arguments(), *context.args])
    if copy and not dry_run and planned.evidence.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(planned.evidence, copy)
    raise typer.Exit(code)


def certify(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models of the registry, by id or short name")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", help="All models of a family of the registry")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All models of the registry")] = False,
    tier: Annotated[Tier, typer.Option("--tier", help="How much is tested")] = Tier.QUICK,
    playbooks: Annotated[
        Path, typer.Option("--playbooks", help="Directory of the playbooks")
    ] = PLAYBOOKS,
    registry: Registry = REGISTRY,
    output: Output = None,
    failure_policy: Policy = None,
    fail_fast: FailFast = False,
    model_cache: ModelCache = None,
    model_path: ModelPath = None,
    apr_binary: AprBinary = None,
    base_url: BaseUrl = None,
    workers: Workers = 1,
    timeout: Timeout = None,
    threads: Threads = None,
    no_gpu: NoGpu = False,
    offline: Offline = False,
    resume: Resume = False,
    dry_run: DryRun = False,
) -> None:
    """Certify models of the registry; each one's playbook is found by its name and tier."""
    request = Request(
        tier=tier,
        failure_policy=_policy(failure_policy, fail_fast),
        model_cache=model_cache,
        model_path=model_path,
        apr_binary=apr_binary,
        base_url=base_url,
        workers=workers,
        timeout=timeout,
        threads=threads,
        no_gpu=no_gpu,
        offline=offline,
        resume=resume,
        dry_run=dry_run,
        output=output,
    )
    wanted = chosen_models(registry, models or [], family, every)
    found, missing = chosen_playbooks(playbooks, wanted, tier)
    if model_path is not None and len(wanted) > 1:
        raise UserError(
            f"--model-path names one model and {len(wanted)} are asked for; use --model-cache"
        )
    for path in found:
        plan_checked(path, request.settings())
    for sentence in missing:
        complain(sentence)
    if not found:
        raise typer.Exit(Exit.NOT_FOUND)
    code = run_pytest([*map(str, found), *request.arguments()])
    raise typer.Exit(code or (Exit.NOT_FOUND if missing else Exit.OK))


def _policy(policy: FailurePolicy | None, fail_fast: bool) -> FailurePolicy | None:
    if not fail_fast:
        return policy
    if policy not in (None, FailurePolicy.FAIL_FAST):
        raise UserError(f"--fail-fast and --failure-policy {policy} exclude each other; give one")
    return FailurePolicy.FAIL_FAST


def plan_checked(playbook: Path, settings: Settings) -> PlannedPlaybook:
    """Plan a playbook, so that whatever is wrong with it is said before anything is started."""
    from pytest_aprqa.playbook.find import SUFFIX
    from pytest_aprqa.playbook.lock import read_lock, verify
    from pytest_aprqa.run.planning import plan_playbook

    if not playbook.is_file():
        raise UserError(f"there is no playbook {playbook}", Exit.NOT_FOUND)
    if not playbook.name.endswith(SUFFIX):
        raise UserError(f"{playbook} is not taken for a playbook: its name must end in {SUFFIX}")
    planned = plan_playbook(playbook, settings)
    lock = next((up / LOCK for up in playbook.resolve().parents if (up / LOCK).is_file()), None)
    if lock is not None:
        held = read_lock(lock)
        changed = verify(planned.loaded, held) if playbook.name in held.playbooks else ()
        if changed:
            raise UserError(
                f"{'; '.join(changed)}; lock it again with `apr-qa lock-playbooks` or undo the change",
                Exit.FAILED,
            )
    return planned
