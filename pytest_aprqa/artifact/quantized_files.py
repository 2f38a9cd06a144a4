"""Which of several files of a format is which artifact, by what their names state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.playbook.quantizations import states, states_any
from pytest_aprqa.words import Cell, Format


def files_by_artifact(
    form: Format, paths: Sequence[Path], quantizations: Sequence[str]
) -> dict[str, Path]:
    """Return the files to test by artifact name.

    Args:
        form: of the files.
        paths: all there are in one place, split files by their first.
        quantizations: those that the playbook states, in lower case.

    Raises:
        ArtifactError: MALFORMED when two files state the same quantisation, or when of several
            files none is asked for.
    """
    found = {form.value: paths[0]} if len(paths) == 1 else {}
    for name in quantizations:
        stated = [path for path in paths if states(path.name, name)]
        if len(stated) > 1:
            raise _ambiguous(form, stated)
        told_apart = name if len(quantizations) > 1 else None
        found |= {str(Cell(form, quantization=told_apart)): path for path in stated}
    if not found and paths and len(quantizations) < 2:
        raise _ambiguous(form, paths)
    return found


def require_stated(form: Format, paths: Sequence[Path], quantizations: Sequence[str]) -> None:
    """Refuse files that could be any of several quantisations.

    Raises:
        ArtifactError: MALFORMED.
    """
    for path in paths:
        if not states_any(path.name) and not any(states(path.name, q) for q in quantizations):
            raise ArtifactError(
                ArtifactFault.MALFORMED,
                f"{path} does not state in its name which of {', '.join(quantizations)} it is; "
                f"name it so, or under `files: {{{form}: {{{quantizations[0]}: ...}}}}` in the "
                "playbook",
                where=path.name,
            )


def _ambiguous(form: Format, paths: Sequence[Path]) -> ArtifactError:
    names = ", ".join(path.name for path in paths)
    return ArtifactError(
        ArtifactFault.MALFORMED,
        f"{paths[0].parent} has {len(paths)} {form} files ({names}); "
        f"name the one to test under `files: {{{form}: ...}}` in the playbook",
        where=str(paths[0].parent),
    )
