"""`parity`: the golden corpus of a model, made, listed, and checked against."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import Json, ModelCache, Threads
from pytest_aprqa.cli.playbooks import is_local, local_id
from pytest_aprqa.cli.require import require_id
from pytest_aprqa.cli.show import as_json, busy, say, table

if TYPE_CHECKING:
    from pytest_aprqa.artifact.model import Artifact
    from pytest_aprqa.run.golden import Corpus
    from pytest_aprqa.run.golden import Run as EngineRun

CORPUS = Path("golden")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(parity)


def parity(
    model: Annotated[
        Path | None,
        typer.Argument(help="File or directory", show_default="the corpus's model, in the caches"),
    ] = None,
    family: Annotated[
        str | None, typer.Option("--model-family", "-m", help="Name of the corpus")
    ] = None,
    directory: Annotated[
        Path, typer.Option("--corpus", "-c", help="Directory of the corpora")
    ] = CORPUS,
    make: Annotated[bool, typer.Option("--make", help="Make the corpus from MODEL")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the corpora")] = False,
    hf_repo: Annotated[
        str | None,
        typer.Option(
            "--hf-repo",
            help="With --make: the model's id, kept in the corpus",
            show_default="local/NAME",
        ),
    ] = None,
    model_cache: ModelCache = None,
    timeout: Annotated[
        int, typer.Option("--timeout", min=1, metavar="MS", help="Milliseconds an engine may take")
    ] = 600_000,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Hold a model against what its reference computed for known texts, token by token."""
    from pytest_aprqa.run.golden import Run, corpus_path

    if show:
        _list(directory, json)
        return
    if family is None:
        raise UserError("name the corpus with --model-family NAME, or see them with --list")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", family):
        raise UserError(f"{family!r} names no corpus: letters, digits, dots and dashes only")
    run = Run(timeout / 1000, threads)
    path = corpus_path(directory, family)
    if make:
        _make(path, family, hf_repo, model, run)
    else:
        _check(path, model, model_cache, run, json)


def _list(directory: Path, json: bool) -> None:
    from pytest_aprqa.run.golden import corpora, read_corpus

    found = [read_corpus(path) for path in corpora(directory)]
    if json:
        as_json([corpus.model_dump(mode="json", exclude={"texts"}) for corpus in found])
    elif found:
        heads = ("family", "model", "texts", "tokens", "dtype", "made", "engine")
        table(heads, [_row(corpus) for corpus in found])
    if not found:
        raise UserError(f"there is no corpus in {directory}; make one with --make", Exit.NOT_FOUND)


def _row(corpus: Corpus) -> tuple[str, ...]:
    tokens = sum(len(text.token_ids) for text in corpus.texts)
    return (
        corpus.family,
        corpus.model_id,
        str(len(corpus.texts)),
        str(tokens),
        corpus.dtype,
        corpus.made,
        corpus.engine,
    )


def _make(path: Path, family: str, hf_repo: str | None, model: Path | None, run: EngineRun) -> None:
    from pytest_aprqa.run.facts import artifacts_at
    from pytest_aprqa.run.golden import make_corpus
    from pytest_aprqa.verdict.run_file import replace_content
    from pytest_aprqa.words import Format

    if model is None:
        raise UserError("--make needs the MODEL to make the corpus from")
    reference = artifacts_at(model.expanduser())[0]
    if reference.format is not Format.SAFETENSORS:
        raise UserError(f"a corpus is made from SafeTensors, and {model} is {reference.format}")
    name = hf_repo or local_id(model)
    require_id(name)
    with busy(f"Asking {model} for its corpus"):
        corpus = make_corpus(family, name, reference, run)
    replace_content(path, corpus.model_dump_json().encode("utf-8"))
    say(f"{path}: {len(corpus.texts)} texts of {corpus.engine}, {corpus.dtype}")


def _check(path: Path, model: Path | None, cache: Path | None, run: EngineRun, json: bool) -> None:
    from pytest_aprqa.run.golden import check_corpus, read_corpus

    if not path.is_file():
        raise UserError(f"there is no corpus {path}; make it with --make", Exit.NOT_FOUND)
    corpus = read_corpus(path)
    with busy(f"Holding {model or corpus.model_id} against its corpus"):
        results = [(a, check_corpus(corpus, a, run)) for a in _artifacts(corpus, model, cache)]
    if json:
        as_json(
            [
                {
                    "format": artifact.format,
                    "path": str(artifact.path),
                    "outcome": judgement.outcome,
                    "reason": judgement.reason,
                    "metrics": judgement.metrics,
                    "compared": judgement.compared,
                }
                for artifact, judgement in results
            ]
        )
    else:
        table(
            ("format", "outcome", "reason"),
            [(a.format, judgement.outcome, judgement.reason) for a, judgement in results],
        )
    held = all(judgement.outcome.passes for _, judgement in results)
    raise typer.Exit(Exit.OK if held else Exit.FAILED)


def _artifacts(corpus: Corpus, model: Path | None, cache: Path | None) -> list[Artifact]:
    """Return what to check: the files the user names, else those of the corpus's model."""
    from pytest_aprqa.artifact.prepare import Workshop
    from pytest_aprqa.playbook.model_spec import ModelSpec
    from pytest_aprqa.run.facts import artifacts_at
    from pytest_aprqa.words import Format

    if model is not None:
        return artifacts_at(model.expanduser())
    if not corpus.model_id or is_local(corpus.model_id):
        raise UserError("the corpus is of a model without an id; give the MODEL to check")
    spec = ModelSpec(hf_repo=corpus.model_id)
    workshop = Workshop(spec, playbook_dir=Path(), model_cache=cache, offline=True)
    return [workshop.artifact(form) for form in Format if form in workshop.located.found]
