"""Which playbook certifies a model at a tier."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pytest_aprqa.playbook.tier_names import TIER_NAMES, tier_of_stem
from pytest_aprqa.words import Tier

SUFFIX = ".playbook.yaml"
_VARIANTS = re.compile(r"(?:-(?:instruct|it|chat|hf|base))+(?=-v\d|$)")
_HF_REPO = re.compile(r"^\s*hf_repo:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


def candidate_names(model_id: str, tier: Tier) -> tuple[str, ...]:
    """Return the file names under which a model's playbook is looked for, best first.

    The model's short name in lower case, whole and then without `-instruct`, `-it`, `-chat`,
    `-hf` and `-base`; each with the tier as suffix, then without any: such a playbook is run at
    the tier that is asked for. `Qwen/Qwen2.5-Coder-1.5B-Instruct` at mvp gives

        qwen2.5-coder-1.5b-instruct-mvp    qwen2.5-coder-1.5b-mvp
        qwen2.5-coder-1.5b-instruct        qwen2.5-coder-1.5b
    """
    short = model_id.rpartition("/")[2].lower()
    stems = dict.fromkeys((short, _VARIANTS.sub("", short)))
    suffixes = [name for name, means in TIER_NAMES.items() if means is tier]
    named = [f"{stem}-{suffix}" for suffix in suffixes for stem in stems]
    return tuple(f"{name}{SUFFIX}" for name in (*named, *stems))


def nearest_above(folder: Path, name: str) -> Path | None:
    """Return the file of a name in a folder or the nearest one above it that has one, or None."""
    places = (up / name for up in (folder, *folder.parents))
    return next((place for place in places if place.is_file()), None)


def find_playbook(directory: Path, model_id: str, tier: Tier) -> Path | None:
    """Return the playbook of a model for a tier, or None.

    A file counts only when its `model.hf_repo` is the model: base and instruct models share
    names. When no candidate is there, any other playbook of the model is taken, first those with
    a fitting suffix, then those without one: it is run at the tier that is asked for.
    """
    for name in candidate_names(model_id, tier):
        path = directory / name
        if path.is_file() and model_of(path) == model_id:
            return path
    about = [path for path in playbooks_in(directory) if model_of(path) == model_id]
    order = (tier, None)
    about.sort(key=lambda path: order.index(_tier(path)) if _tier(path) in order else len(order))
    return about[0] if about else None


def playbooks_in(directory: Path) -> Iterator[Path]:
    """Yield the playbooks of a directory and those below it, in order."""
    yield from sorted(directory.rglob(f"*{SUFFIX}"))


def model_of(path: Path) -> str:
    """Return the `hf_repo` a playbook states, or an empty string; the file is not validated."""
    try:
        found = _HF_REPO.search(path.read_text("utf-8", errors="replace"))
    except OSError:
        return ""
    return found[1] if found else ""


def _tier(path: Path) -> Tier | None:
    return tier_of_stem(path.name.removesuffix(SUFFIX))
