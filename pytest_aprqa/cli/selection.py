"""Which models `certify` is asked for, and their playbooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.playbook.errors import did_you_mean
from pytest_aprqa.words import Tier

if TYPE_CHECKING:
    from pytest_aprqa.registry.models_csv import RegistryRow


def chosen_models(registry: Path, named: list[str], family: str | None, every: bool) -> list[str]:
    """Return the ids of the models that are asked for.

    Raises:
        UserError: no models, or models in more than one way; a name or family that is not known.
    """
    if sum((bool(named), family is not None, every)) != 1:
        raise UserError("say which models: by name, with --family NAME, or with --all")
    rows = rows_of(registry) if registry.is_file() or not named else ()
    if every:
        return [row.model_id for row in rows]
    if family is not None:
        chosen = [row.model_id for row in rows if row.family.lower() == family.lower()]
        if not chosen:
            raise no_family(registry, family, rows)
        return chosen
    return list(dict.fromkeys(_model(name, [row.model_id for row in rows]) for name in named))


def rows_of(registry: Path) -> tuple[RegistryRow, ...]:
    """Return the rows of a registry. Raises UserError when there is none."""
    from pytest_aprqa.registry.models_csv import read_rows

    if not registry.exists():
        raise UserError(
            f"there is no registry {registry}; a run makes it, and so does `apr-qa export-csv`; "
            "--registry names another",
            Exit.NOT_FOUND,
        )
    return read_rows(registry)


def no_family(registry: Path, family: str, rows: Iterable[RegistryRow]) -> UserError:
    """Return the error that a registry has no such family, with those it has."""
    families = sorted({row.family for row in rows if row.family})
    return UserError(
        f"{registry} has no family {family!r}{did_you_mean(family.lower(), families)}; "
        f"it has {', '.join(families) or 'none'}",
        Exit.NOT_FOUND,
    )


def _model(name: str, known: list[str]) -> str:
    """Return the id of a model given by id or short name; an id need not be registered."""
    folded = name.lower()
    exact = [model for model in known if model.lower() == folded]
    short = [model for model in known if model.lower().rpartition("/")[2] == folded]
    found = exact or short
    if len(found) > 1:
        raise UserError(f"{name!r} could be {' or '.join(found)}; give the whole id")
    if found:
        return found[0]
    if name.count("/") == 1:
        return name
    hint = did_you_mean(folded, [model.lower().rpartition("/")[2] for model in known])
    raise UserError(f"no model is called {name!r}{hint}; `apr-qa list` shows them", Exit.NOT_FOUND)


def chosen_playbooks(
    directory: Path, models: list[str], tier: Tier
) -> tuple[list[Path], list[str]]:
    """Return the playbooks of models, and a sentence for each model that has none."""
    from pytest_aprqa.playbook.find import candidate_names, find_playbook

    found: list[Path] = []
    missing: list[str] = []
    for model in models:
        path = find_playbook(directory, model, tier)
        if path is not None:
            found.append(path)
        else:
            names = ", ".join(candidate_names(model, tier))
            missing.append(
                f"{model} has no playbook for tier {tier}: looked in {directory} for {names}, "
                f"and for any other of this model; make one with `apr-qa new`"
            )
    return found, missing
