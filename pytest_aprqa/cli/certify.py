"""`run` and `certify`: pytest on playbooks, with the same items and the same evidence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.option_group import takes
from pytest_aprqa.cli.options import CERTIFICATIONS, PLAYBOOKS, REGISTRY, Registry
from pytest_aprqa.cli.pytest_process import run_pytest
from pytest_aprqa.cli.require import require_directory
from pytest_aprqa.cli.run_options import RunOptions
from pytest_aprqa.cli.selection import chosen_models, chosen_playbooks
from pytest_aprqa.cli.show import complain
from pytest_aprqa.words import Tier

if TYPE_CHECKING:
    from pytest_aprqa.run.planning import PlannedPlaybook
    from pytest_aprqa.run.settings import Settings

PASS_ON = {"allow_extra_args": True}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(certify)
    app.command(context_settings=PASS_ON)(run)


@takes(RunOptions, "options")
def run(
    context: typer.Context,
    playbook: Annotated[Path, typer.Argument(help="A file NAME.playbook.yaml")],
    options: RunOptions,
    tier: Annotated[
        Tier | None, typer.Option("--tier", help="Instead of the tier of the playbook")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Directory of models.csv and the evidence; FILE.json: also write the evidence there",
            show_default=str(CERTIFICATIONS),
        ),
    ] = None,
) -> None:
    """Run one playbook. What follows `--` goes to pytest: `apr-qa run X -- -k arithmetic`."""
    copy = output if output is not None and output.suffix == ".json" else None
    directory = CERTIFICATIONS if copy else output
    arguments = options.arguments(tier, directory)
    planned = plan_checked(playbook, _settings(options, tier, directory))
    code = run_pytest([str(playbook), *arguments, *context.args])
    if copy and not options.dry_run and planned.evidence.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(planned.evidence, copy)
    raise typer.Exit(code)


@takes(RunOptions, "options")
def certify(
    options: RunOptions,
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Directory of models.csv and the evidence",
            show_default=str(CERTIFICATIONS),
        ),
    ] = None,
) -> None:
    """Certify models of the registry, or with `--model-path` alone the model that lies there.

    A model's playbook is found by its name and tier; for a model by path alone one is written beside
    its evidence.
    """
    arguments = options.arguments(tier, output)
    missing: list[str] = []
    if options.model_path is not None and not (models or family or every):
        found = [_playbook_of(options.model_path, output or CERTIFICATIONS)]
    else:
        wanted = chosen_models(registry, models or [], family, every)
        found, missing = chosen_playbooks(playbooks, wanted, tier)
        if options.model_path is not None and len(wanted) > 1:
            raise UserError(
                f"--model-path names one model and {len(wanted)} are asked for; use --model-cache"
            )
    for path in found:
        plan_checked(path, _settings(options, tier, output))
    for sentence in missing:
        complain(sentence)
    if not found:
        raise typer.Exit(Exit.NOT_FOUND)
    code = run_pytest([*map(str, found), *arguments])
    raise typer.Exit(code or (Exit.NOT_FOUND if missing else Exit.OK))


def _playbook_of(model: Path, output: Path) -> Path:
    """Return a playbook for the model at a path, written from the model's own configuration."""
    from pytest_aprqa.cli.playbooks import bootstrapped, local_id
    from pytest_aprqa.playbook.compose import short_name
    from pytest_aprqa.playbook.find import SUFFIX
    from pytest_aprqa.run.facts import is_config_alone

    if is_config_alone(model.expanduser()):
        raise UserError(f"{model} holds a config.json and no weights to certify", Exit.NOT_FOUND)
    name = short_name(local_id(model))
    return bootstrapped(model, output / name / f"{name}{SUFFIX}")


def _settings(options: RunOptions, tier: Tier | None, output: Path | None) -> Settings:
    """Return what decides over the plan. Raises UserError when the output is no directory."""
    from pytest_aprqa.run.settings import Settings

    require_directory(output or CERTIFICATIONS)
    return Settings(
        certifications=output or CERTIFICATIONS,
        tier=tier,
        no_gpu=options.no_gpu,
        ignore_lock=options.ignore_lock,
    )


def plan_checked(playbook: Path, settings: Settings) -> PlannedPlaybook:
    """Plan a playbook, so that whatever is wrong with it is said before anything is started."""
    from pytest_aprqa.playbook.find import SUFFIX
    from pytest_aprqa.run.planning import plan_playbook

    if playbook.is_dir():
        raise UserError(f"{playbook} is a directory; name a file NAME{SUFFIX}")
    if not playbook.is_file():
        raise UserError(f"there is no playbook {playbook}", Exit.NOT_FOUND)
    if not playbook.name.endswith(SUFFIX):
        raise UserError(f"{playbook} is not taken for a playbook: its name must end in {SUFFIX}")
    return plan_playbook(playbook, settings)
