"""Converting a model to a file or directory that the user names."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pytest_aprqa.artifact.conversion_record import RECORD_FILE
from pytest_aprqa.artifact.convert import convert, record_digest
from pytest_aprqa.artifact.convert_dtype import quantization_dtype
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.malformed import environment
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.run.facts import artifacts_at
from pytest_aprqa.words import Format


def format_of_target(target: Path) -> Format:
    """Return the format a path asks for: by its suffix, SafeTensors for one without.

    Raises:
        ArtifactError: UNSUPPORTED for any other suffix.
    """
    by_suffix = {f".{form}": form for form in Format}
    if target.suffix.lower() in (".gguf", ".apr"):
        return by_suffix[target.suffix.lower()]
    if target.is_dir() or not target.suffix or target.suffix[1:].isdigit():
        return Format.SAFETENSORS
    raise ArtifactError(
        ArtifactFault.UNSUPPORTED,
        f"{target} names no format: end it in .gguf or .apr, or name a directory for SafeTensors",
    )


def convert_to(source: Path, target: Path, quantization: str | None, *, force: bool) -> Artifact:
    """Convert the model at a path; return the artifact at the target.

    A GGUF or APR file gets its conversion record beside it, as `NAME.conversion.json`.

    Args:
        source: file or directory; of several formats in it SafeTensors are taken.
        target: `.gguf` or `.apr` file, or directory for SafeTensors.
        quantization: dtype of the matrices; None keeps the source's.
        force: replace what is at the target, if it is a file or an earlier conversion.

    Raises:
        ArtifactError: as `convert`; ENVIRONMENT when the target is taken.
    """
    form = format_of_target(target)
    if quantization is not None:
        quantization_dtype(quantization, form)
    digests = DigestCache()
    artifact = artifacts_at(source, digests)[0]
    _require_free(source, target, force=force)
    if form is Format.SAFETENSORS:
        made = convert(artifact, form, target, quantization, digests)
        record_digest(made, digests)
        return made
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise environment(target, error) from error
    try:
        made = convert(artifact, form, work / "made", quantization, digests)
        named = made.path.rename(made.path.with_name(target.name))
        record_digest(artifacts_at(named, digests)[0], digests)
        (named.parent / RECORD_FILE).replace(record_beside(target))
        named.replace(target)
    except OSError as error:
        raise environment(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return artifacts_at(target, digests)[0]


def record_beside(target: Path) -> Path:
    """Return where the record of a converted file lies."""
    return target.with_name(f"{target.name}.{RECORD_FILE}")


def _require_free(source: Path, target: Path, *, force: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    same = target.resolve() == source.resolve()
    ours = target.is_file() or (target / RECORD_FILE).is_file()
    if same:
        reason = "is the source"
    elif not force:
        reason = "is there already; --force replaces it"
    elif not ours:
        reason = "is a directory that no conversion has made, so it is not replaced"
    else:
        return
    raise ArtifactError(ArtifactFault.ENVIRONMENT, f"{target} {reason}", where=str(target))
