"""`generate`, `lock-playbooks`, `new`, `bootstrap`: writing playbooks and holding them fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import PLAYBOOKS
from pytest_aprqa.cli.require import require_id
from pytest_aprqa.cli.show import complain, document, say

LOCK = Path("playbooks/playbook.lock.yaml")
_LOCAL = "local/"


class Kernel(StrEnum):
    """A part of an architecture that questions can lean on."""

    GQA = "gqa"
    MQA = "mqa"
    MHA = "mha"
    ROPE = "rope"
    BIAS = "bias"
    TIED_EMBEDDINGS = "tied-embeddings"
    SWIGLU = "swiglu"


class TextFormat(StrEnum):
    """How a playbook is written; JSON is YAML too."""

    YAML = "yaml"
    JSON = "json"


Template = Annotated[str, typer.Option("--template", "-t", help="Template to extend")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File to write", show_default="playbooks/models/NAME"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(generate)
    app.command("lock-playbooks")(lock_playbooks)
    app.command()(new)
    app.command()(bootstrap)


def generate(
    model: Annotated[
        str, typer.Argument(help="Hugging Face id, org/name, or the directory or file of a model")
    ],
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=10_000, help="Questions")] = 100,
    form: Annotated[TextFormat, typer.Option("--format", "-f", help="How to write")] = (
        TextFormat.YAML
    ),
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the questions: the same gives the same")
    ] = 42,
    kernel: Annotated[
        list[Kernel] | None,
        typer.Option(
            "--kernel", help="Also ask what leans on it", show_default="what the architecture has"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="NAME.playbook.yaml", show_default="print")
    ] = None,
    force: Force = False,
) -> None:
    """Write a playbook that asks a model generated questions, whose answers are known.

    They are dealt from families: sums, code, facts, instructions, other languages, odd forms, long
    contexts, conversations, and what leans on a part of the architecture.
    """
    from pytest_aprqa.playbook.compose import generated, playbook_text

    spec, known = _generated_for(model, output)
    kernels = [part.value for part in kernel] if kernel else known
    fields = generated(spec, count, seed=seed, kernels=kernels)
    if form is TextFormat.JSON:
        import json

        text = json.dumps(fields, indent=1) + "\n"
    else:
        text = playbook_text(fields, output)
    if output is None:
        document(text)
    else:
        _write(output, text, force)


def _generated_for(model: str, output: Path | None) -> tuple[dict[str, Any], Sequence[str]]:
    """Return the `model` section for a model by id or by path, and the kernels it has."""
    import os

    from pytest_aprqa.playbook.generate import known_kernels

    if not Path(model).expanduser().exists():
        require_id(model)
        return {"hf_repo": model}, known_kernels(model)
    from pytest_aprqa.run.facts import model_facts

    path = _model_at(Path(model))
    facts = model_facts(path)
    beside = Path.cwd() if output is None else output.resolve().parent
    spec = {
        "hf_repo": local_id(path),
        "local_path": os.path.relpath(path, beside),
        "family": facts.architecture,
    }
    return spec | facts.fields(), facts.kernels


def lock_playbooks(
    directory: Annotated[Path, typer.Argument(help="Directory of playbooks")] = PLAYBOOKS,
    output: Annotated[Path, typer.Option("--output", "-o", help="The lock file")] = LOCK,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; say what differs from the lock")
    ] = False,
) -> None:
    """Lock what playbooks say, field by field, or check that they still say it."""
    from pytest_aprqa.playbook.find import playbooks_in
    from pytest_aprqa.playbook.load import load_playbook
    from pytest_aprqa.playbook.lock import lock_text, make_lock, read_lock, verify
    from pytest_aprqa.verdict.run_file import replace_content

    paths = list(playbooks_in(directory)) if directory.is_dir() else []
    if not paths:
        raise UserError(f"there are no playbooks in {directory}", Exit.NOT_FOUND)
    _refuse_twins(paths)
    loaded = [load_playbook(path) for path in paths]
    if not check:
        replace_content(output, lock_text(make_lock(loaded)).encode("utf-8"))
        say(f"{output} holds {len(loaded)} playbooks")
        return
    if not output.is_file():
        raise UserError(f"there is no lock {output}; write it without --check", Exit.NOT_FOUND)
    lock = read_lock(output)
    changes = [change for playbook in loaded for change in verify(playbook, lock)]
    gone = sorted(set(lock.playbooks) - {path.name for path in paths})
    changes += [f"{name} is locked and is not there" for name in gone]
    for change in changes:
        complain(change)
    say(f"{len(loaded)} playbooks, {len(changes)} differences from {output}")
    raise typer.Exit(Exit.FAILED if changes else Exit.OK)


def new(
    model: Annotated[str | None, typer.Argument(help="Hugging Face id, org/name")] = None,
    template: Template = "mvp",
    family: Annotated[str | None, typer.Option("--family", help="Family in the registry")] = None,
    registry: Annotated[
        Path | None,
        typer.Option("--registry", help="Write one for every model of this models.csv without"),
    ] = None,
    output: Output = None,
    force: Force = False,
) -> None:
    """Write a playbook for a model that extends a template."""
    if registry is not None:
        _fill(registry)
        return
    if model is None:
        raise UserError("name a model, org/name, or a registry with --registry models.csv")
    require_id(model)
    facts = {"hf_repo": model} | ({"family": family} if family else {})
    path = output or PLAYBOOKS / _file_name(model, template)
    _compose(path, template, facts, force)


def _fill(registry: Path) -> None:
    """Write an mvp playbook for every model without one, and a smoke playbook for small ones."""
    from pytest_aprqa.playbook.compose import (
        for_certification,
        for_smoke_test,
        playbook_text,
        short_name,
    )
    from pytest_aprqa.playbook.find import SUFFIX, model_of, playbooks_in
    from pytest_aprqa.registry.models_csv import read_rows
    from pytest_aprqa.words import SizeCategory

    covered = {model_of(path) for path in playbooks_in(PLAYBOOKS)}
    for row in read_rows(registry):
        if row.model_id in covered:
            continue
        size = SizeCategory(row.size_category)
        stem = short_name(row.model_id)
        if (PLAYBOOKS / f"{stem}-mvp{SUFFIX}").exists():  # of its instruct model
            stem += "-base"
        written = [for_certification(row.model_id, stem, row.family, size)]
        if size in (SizeCategory.TINY, SizeCategory.SMALL):
            written.append(for_smoke_test(row.model_id, stem))
        for fields in written:
            path = PLAYBOOKS / f"{fields['name']}{SUFFIX}"
            _write(path, playbook_text(fields, path), force=False)


def bootstrap(
    model: Annotated[
        Path,
        typer.Argument(
            help="Directory of SafeTensors, an APR or GGUF file, or a config.json without weights"
        ),
    ],
    hf_repo: Annotated[
        str | None, typer.Option("--hf-repo", help="Its id", show_default="local/NAME")
    ] = None,
    template: Template = "mvp",
    family: Annotated[
        str | None, typer.Option("--family", help="Family", show_default="the architecture")
    ] = None,
    output: Output = None,
    force: Force = False,
) -> None:
    """Write a playbook from what a model's own configuration says."""
    name = hf_repo or local_id(model)
    require_id(name)
    written = output or PLAYBOOKS / _file_name(name, template)
    bootstrapped(model, written, name, template=template, family=family, force=force)


def local_id(model: Path) -> str:
    """Return the id of a model that is known by its path alone."""
    path = _model_at(model)
    return f"{_LOCAL}{_safe(path.stem if path.is_file() else path.name)}"


def is_local(model_id: str) -> bool:
    """Whether an id says of a model only that it is known by its path."""
    return model_id.startswith(_LOCAL)


def bootstrapped(
    model: Path,
    playbook: Path,
    name: str | None = None,
    *,
    template: str = "mvp",
    family: str | None = None,
    force: bool = True,
) -> Path:
    """Write a playbook from what a model's own configuration says, and return its path."""
    import os

    from pytest_aprqa.run.facts import is_config_alone, model_facts

    path = _model_at(model)
    facts = model_facts(path)
    # Weights that do not lie there are found by the id, if the model has one that others know.
    elsewhere = name not in (None, local_id(path)) and is_config_alone(path)
    place = {} if elsewhere else {"local_path": os.path.relpath(path, playbook.resolve().parent)}
    fields = {
        "hf_repo": name or local_id(path),
        **place,
        "family": family or facts.architecture,
    }
    _compose(playbook, template, fields | facts.fields(), force)
    return playbook


def _model_at(given: Path) -> Path:
    """Return the file or directory of a model that a path means: of a config.json, where it lies."""
    from pytest_aprqa.run.facts import CONFIG

    path = given.expanduser().resolve()
    return path.parent if path.name == CONFIG and path.is_file() else path


def _compose(path: Path, template: str, model: dict[str, Any], force: bool) -> None:
    from pytest_aprqa.playbook.compose import extending, playbook_text
    from pytest_aprqa.playbook.find import SUFFIX

    if not path.name.endswith(SUFFIX):
        raise UserError(f"{path} is not taken for a playbook: its name must end in {SUFFIX}")
    _require_template(template, path)
    name = _safe(path.name.removesuffix(SUFFIX))
    _write(path, playbook_text(extending(template, name, model), path), force)


def _require_template(template: str, playbook: Path) -> None:
    from pytest_aprqa.playbook.errors import none_of
    from pytest_aprqa.playbook.extends import template_names

    known = template_names(playbook)
    if template.endswith((".yaml", ".yml")):
        if not (playbook.parent / template).is_file():
            raise UserError(f"--template: there is no file {playbook.parent / template}")
    elif template not in known:
        raise UserError(f"--template: {none_of(template, known)}")


def _write(path: Path, text: str, force: bool) -> None:
    """Write a playbook and read it again; one that cannot be used is not left behind."""
    from pytest_aprqa.playbook.errors import PlaybookError
    from pytest_aprqa.playbook.load import load_playbook
    from pytest_aprqa.verdict.run_file import replace_content

    if path.exists() and not force:
        raise UserError(f"{path} is there already; --force replaces it")
    before = path.read_bytes() if path.exists() else None
    replace_content(path, text.encode("utf-8"))
    try:
        load_playbook(path)
    except PlaybookError:
        if before is None:
            path.unlink()
        else:
            replace_content(path, before)
        raise
    say(str(path))


def _file_name(model: str, template: str) -> str:
    """Return the name under which `certify` looks for the playbook."""
    from pytest_aprqa.playbook.compose import short_name
    from pytest_aprqa.playbook.find import SUFFIX
    from pytest_aprqa.playbook.tier_names import TIER_NAMES

    tier = template.rpartition("/")[2].partition("-")[0].removesuffix(".yaml")
    return f"{short_name(model)}{f'-{tier}' if tier in TIER_NAMES else ''}{SUFFIX}"


def _safe(name: str) -> str:
    from pytest_aprqa.playbook.compose import short_name

    return short_name(name)


def _refuse_twins(paths: Iterable[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        if path.name in seen:
            raise UserError(
                f"{seen[path.name]} and {path} have one name, and the lock goes by names; rename one"
            )
        seen[path.name] = path
