"""`falsify`: put the certifier on trial with faults seeded into copies of a sound model."""

from __future__ import annotations

import fnmatch
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import CERTIFICATIONS, Json, ModelCache, Offline, Threads
from pytest_aprqa.cli.show import as_json, complain, document, say, table
from pytest_aprqa.words import Format, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_aprqa.falsify.detection import Detection, SoundRun, Trial
    from pytest_aprqa.falsify.fault import Fault
    from pytest_aprqa.playbook.model_spec import ModelSpec

REFERENCE = "aprqa-reference"
FIRST_SEED = 42
FINISHED = "DETECTION.json"
UNFINISHED = "DETECTION.unfinished.json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(falsify)


def falsify(
    model: Annotated[
        str,
        typer.Argument(
            help="Directory or file of a sound model, a playbook, or the name of a built-in model"
        ),
    ] = REFERENCE,
    tier: Annotated[Tier, typer.Option("--tier", help="Of the certification on trial")] = Tier.MVP,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Only these faults: ids or patterns such as 'weights-*'"),
    ] = None,
    form: Annotated[
        list[Format] | None, typer.Option("--format", help="Only faults in these formats")
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="Certify the sound originals so often, 0: once")
    ] = 3,
    every_check: Annotated[
        bool,
        typer.Option("--all", help="Run every check, not only up to the first that sees the fault"),
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Trials at once")] = 1,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory of DETECTION.md and DETECTION.json")
    ] = CERTIFICATIONS,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Hold only the trials that DETECTION.json does not have yet"),
    ] = False,
    threads: Threads = 1,
    model_cache: ModelCache = None,
    offline: Offline = False,
    listed: Annotated[bool, typer.Option("--list", help="List the faults and stop")] = False,
    json: Json = False,
) -> None:
    """Seed faults into copies of a sound model and show which gate catches each."""
    from pytest_aprqa.falsify.court import SOUND, Docket, hold_trials
    from pytest_aprqa.falsify.table import render_detection, summarise
    from pytest_aprqa.run.settings import Settings

    faults = _chosen(fault or [])
    if listed:
        _list(faults, json=json)
        return
    spec, path, playbook = _model(model)
    settings = Settings(
        certifications=output,
        model_path=path,
        model_cache=model_cache,
        offline=offline,
        threads=threads,
        command=shlex.join(["apr-qa", *sys.argv[1:]]),
    )
    docket = Docket(
        model=spec,
        faults=faults,
        formats=form or tuple(Format),
        tier=tier,
        seeds=tuple(range(FIRST_SEED, FIRST_SEED + max(1, seeds))),
        complete=every_check,
        sound=SOUND if seeds else (),
        jobs=jobs,
        playbook=playbook,
        kept=_kept(output) if resume else None,
    )

    def note(result: Trial | SoundRun, so_far: Detection) -> None:
        if not json:
            _tell(result)
        _keep(so_far, output / UNFINISHED)

    try:
        detection = hold_trials(docket, settings, note)
    except SystemExit:
        complain("interrupted; the same command with --resume goes on from there")
        raise
    if json:
        document(detection.to_json())
    else:
        say()
        document(render_detection(detection))
    _write(detection, output)
    raise typer.Exit(Exit.OK if summarise(detection).passes else Exit.FAILED)


def _list(faults: Iterable[Fault], *, json: bool) -> None:
    if json:
        as_json(
            [
                {
                    "fault": fault.id,
                    "expected": fault.expected,
                    "tier": fault.tier,
                    "description": fault.description,
                }
                for fault in faults
            ]
        )
        return
    table(
        ("fault", "formats", "tier", "what is done"),
        [(fault.id, " ".join(fault.expected), fault.tier, fault.description) for fault in faults],
    )


def _chosen(patterns: list[str]) -> list[Fault]:
    from pytest_aprqa.falsify.registry import all_faults

    known = all_faults()
    for pattern in patterns:
        if not fnmatch.filter([fault.id for fault in known], pattern):
            raise UserError(f"no fault is called {pattern!r}; `apr-qa falsify --list` shows them")
    wanted = patterns or ["*"]
    return [f for f in known if any(fnmatch.fnmatchcase(f.id, pattern) for pattern in wanted)]


def _model(name: str) -> tuple[ModelSpec, Path | None, dict[str, Any] | None]:
    """Return which model is meant, where it lies, and the playbook whose questions are asked."""
    from pytest_aprqa.artifact.locate import BUILTIN
    from pytest_aprqa.playbook.find import SUFFIX
    from pytest_aprqa.playbook.load import content, load_playbook
    from pytest_aprqa.playbook.model_spec import ModelSpec

    path = Path(name)
    if name.endswith(SUFFIX):
        loaded = load_playbook(path)
        spec = loaded.playbook.model
        local = None if spec.local_path is None else path.parent / spec.local_path
        return spec, local, content(loaded.playbook)
    if path.exists():
        directory = path.resolve() if path.is_dir() else path.resolve().parent
        return ModelSpec(hf_repo=f"local/{_short(directory.name)}"), path, None
    if (BUILTIN / name).is_dir():
        return ModelSpec(hf_repo=f"aprqa/{name}", builtin=name), None, None
    raise UserError(
        f"{name} is no directory or file of a model, no playbook and no built-in model",
        Exit.NOT_FOUND,
    )


def _short(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "-" for c in name) or "model"


def _tell(result: Trial | SoundRun) -> None:
    from pytest_aprqa.falsify.detection import SoundRun

    if isinstance(result, SoundRun):
        alarms = f", {len(result.alarms)} checks failed" if result.alarms else ""
        say(f"sound {result.original}, seed {result.seed}: {result.status} {result.score}{alarms}")
        return
    by = result.by
    if result.not_applicable:
        outcome = f"not applicable: {result.not_applicable}"
    elif result.error:
        outcome = f"error: {result.error}"
    elif result.withholds and result.is_caught and result.withheld is not None:
        outcome = f"withheld at {result.withheld.gate} by {result.withheld.check}"
    elif by is None:
        outcome = f"MISSED (expected {result.expected})"
    else:
        late = "" if result.is_caught else f", late: expected {result.expected}"
        outcome = f"{by.gate} by {by.check}{late}"
    say(f"{result.fault} in {result.format}: {outcome}")


def _kept(output: Path) -> Detection | None:
    """Return what trials that were interrupted gave, or else those that came to their end."""
    from pydantic import ValidationError

    from pytest_aprqa.falsify.detection import Detection

    for path in (output / UNFINISHED, output / FINISHED):
        if path.is_file():
            try:
                return Detection.model_validate_json(path.read_bytes())
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise UserError(f"{path} does not hold trials of this version: {problem}") from None
    return None


def _keep(detection: Detection, path: Path) -> None:
    from pytest_aprqa.artifact.atomic_file import atomic_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(detection.to_json().encode())


def _write(detection: Detection, output: Path) -> None:
    from pytest_aprqa.falsify.table import render_detection

    _keep(detection, output / FINISHED)
    (output / "DETECTION.md").write_text(render_detection(detection), "utf-8")
    (output / UNFINISHED).unlink(missing_ok=True)
