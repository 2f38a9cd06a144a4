"""`rejudge`: the answers on record, judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.evidence_file import evidence_path, read_evidence
from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import PLAYBOOKS, Json
from pytest_aprqa.cli.show import as_json, say, table

if TYPE_CHECKING:
    from pytest_aprqa.playbook.check import Check
    from pytest_aprqa.run.rejudge import Rejudged
    from pytest_aprqa.verdict.record import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rejudge)


def rejudge(
    evidence: Annotated[
        Path, typer.Argument(help="evidence.json of this tool, or a bare JSON array of records")
    ],
    playbook: Annotated[
        Path | None,
        typer.Option(
            "--playbook", help="The run's playbook", show_default="beside it, or by its name"
        ),
    ] = None,
    json: Json = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also print the records that hold no answer to judge")
    ] = False,
) -> None:
    """Judge the answers on record again. Fails when an answer passed before and does not now."""
    from pytest_aprqa.run.rejudge import Verdict, read_printed, rejudge_printed, rejudge_run

    path = evidence_path(evidence)
    printed = None if path.suffix == ".jsonl" else read_printed(path.read_bytes(), str(path))
    if printed is not None:
        judged = list(rejudge_printed(printed))
    else:
        run = read_evidence(path)
        judged = list(rejudge_run(run, _checks(run, path, playbook)))
    answers = [one for one in judged if one.new is not Verdict.UNJUDGED]
    changed = sum(one.changed for one in judged)
    if json:
        as_json(
            {
                "records": [{**asdict(one), "changed": one.changed} for one in judged],
                "totals": {f"{old} -> {new}": n for (old, new), n in _totals(judged).items()},
                "answers": len(answers),
                "changed": changed,
            }
        )
    else:
        _show_rejudged(judged if every else answers)
        for (old, new), count in sorted(_totals(judged).items()):
            say(f"{count:5} {old} -> {new}")
        say(f"{len(answers)} answers judged again, {changed} with another verdict.")
    if not answers:
        raise UserError(f"{path} holds no answer that could be judged again", Exit.FAILED)
    raise typer.Exit(Exit.FAILED if changed else Exit.OK)


def _checks(run: Run, evidence: Path, given: Path | None) -> dict[str, Check]:
    """Return the checks of a run's playbook by name."""
    from pytest_aprqa.playbook.load import PlaybookError, load_playbook
    from pytest_aprqa.playbook.plan import make_plan

    folders = (evidence.parent, Path(), PLAYBOOKS)
    places = [given] if given else [folder / run.plan.playbook for folder in folders]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        looked = ", ".join(map(str, places))
        raise UserError(
            f"the playbook {run.plan.playbook}, which holds the oracles, is not at {looked}; "
            "give it with --playbook",
            Exit.NOT_FOUND,
        )
    loaded, cpu = load_playbook(path), run.plan.cpu_only
    plans = [make_plan(loaded, no_gpu=cpu)]
    with suppress(PlaybookError):  # a playbook need not serve its own tier whole
        plans.append(make_plan(loaded, tier=run.plan.tier, no_gpu=cpu))
    return {check.name: check for plan in plans for check in plan.checks}


def _show_rejudged(judged: Iterable[Rejudged]) -> None:
    table(
        ("record", "gate", "was", "is", "reason"),
        [(one.record, one.gate_id, one.old, one.new, one.reason) for one in judged],
    )
    say()


def _totals(judged: Iterable[Rejudged]) -> Counter[tuple[str, str]]:
    return Counter((one.old.value, one.new.value) for one in judged)
