"""What a shard needs of a machine, from the size of its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_aprqa.artifact.locate import Located
from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.run.engines import memory_needed
from pytest_aprqa.run.laboratory import workshop_of
from pytest_aprqa.run.planning import PlannedPlaybook
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import REFERENCE, Backend, Cell, SizeCategory

GIB = 1 << 30
THREADS = 4
"""Compute threads of a shard's engines unless the user says otherwise."""

BYTES_PER_PARAMETER = 2
"""The reference is run in bf16, and every other format has fewer bits."""

WIDENING = 4
"""The SafeTensors derived from a 4-bit file are four times its size."""

_MOST_PARAMETERS = {
    SizeCategory.TINY: 1e9,
    SizeCategory.SMALL: 5e9,
    SizeCategory.MEDIUM: 10e9,
    SizeCategory.LARGE: 30e9,
    SizeCategory.XLARGE: 70e9,
    SizeCategory.HUGE: 140e9,
}
_STATED = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", re.IGNORECASE)
_UNIT = {"m": 1e6, "b": 1e9}


@dataclass(frozen=True, slots=True)
class Needs:
    """What one shard occupies while it runs; memory in bytes."""

    cpus: int
    gpus: int
    memory: int

    def fit(self, resources: Mapping[str, float]) -> bool:
        """Whether a machine with these resources could ever run the shard."""
        return (
            self.cpus <= resources.get("CPU", 0)
            and self.gpus <= resources.get("GPU", 0)
            and self.memory <= resources.get("memory", 0)
        )

    def __str__(self) -> str:
        gpus = f", {self.gpus} GPU" if self.gpus else ""
        return f"{self.cpus} CPU{gpus}, {self.memory / GIB:.1f} GiB"


def needs_of(
    planned: PlannedPlaybook, group: Cell, settings: Settings, *, weights: int, most_cpus: int
) -> Needs:
    """Return what the shard of a format and backend needs.

    Memory is that of the playbook's largest shard: Ray takes tasks of equal needs in order, so
    that one playbook is finished before the next is begun.

    Args:
        planned: the playbook.
        group: format and backend.
        settings: the user's; `threads` are its CPUs.
        weights: bytes of the model's weights as the reference has them.
        most_cpus: of the largest machine; without a word from the user no shard wants more.
    """
    plan = planned.plan
    engines = 2 if REFERENCE in plan.formats and len(plan.artifacts) > 1 else 1
    return Needs(
        cpus=settings.threads or max(1, min(THREADS, most_cpus)),
        gpus=1 if group.backend is Backend.GPU else 0,
        memory=engines * memory_needed(weights),
    )


def weights_of(planned: PlannedPlaybook, settings: Settings) -> int:
    """Return the bytes of a model's weights, without fetching anything.

    From its files where this machine has them, else from the number of parameters its name or
    variant states, else from its size category; a model of unknown size is taken for small.
    """
    spec = planned.plan.model
    files = workshop_of(planned.plan, planned.loaded.path, replace(settings, offline=True))
    try:
        located = files.located
    except ArtifactError:
        located = Located(spec, {})
    if located.has_reference:
        return _size(located.found[REFERENCE].path)
    if stated := stated_parameters(spec):
        return int(stated * BYTES_PER_PARAMETER)
    if located.found:
        return WIDENING * max(_size(found.path) for found in located.found.values())
    category = spec.size_category or SizeCategory.SMALL
    return int(_MOST_PARAMETERS[category] * BYTES_PER_PARAMETER)


def stated_parameters(spec: ModelSpec) -> float:
    """Return the parameters a model's variant or name states ("1.5B", "8x7B"), else 0."""
    for text in (spec.size_variant or "", spec.hf_repo.rpartition("/")[2]):
        counts = [
            int(experts or 1) * float(number) * _UNIT[unit.lower()]
            for experts, number, unit in _STATED.findall(text)
        ]
        if counts:
            return max(counts)
    return 0.0


def _size(path: Path) -> int:
    files = path.glob("*.safetensors") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
