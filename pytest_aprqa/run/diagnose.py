"""The invariants I-1 to I-5 of a model's formats, without a playbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.playbook.schema import Playbook
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Backend, Format, Modality, Tier


def diagnose(
    model: Path,
    formats: Sequence[Format],
    *,
    settings: Settings,
    work: Path,
    timeout: float,
) -> Iterator[Evidence]:
    """Yield the evidence of each invariant of each converted format.

    Formats that are not at hand are converted from the SafeTensors, which are themselves made from
    the GGUF or APR when there are none. Gateways are looked at first, as in a run.

    Args:
        model: file or directory.
        formats: those to hold against the reference.
        settings: threads and the cache of conversions.
        work: a directory for logs and the plan's files.
        timeout: seconds an engine may take.
    """
    playbook = Playbook.model_validate(
        {
            "name": "diagnose",
            "model": {
                "hf_repo": "local/model",
                "formats": list(dict.fromkeys((Format.SAFETENSORS, *formats))),
            },
            "test_matrix": {
                "backends": [Backend.CPU],
                "modalities": [Modality.RUN],
                "scenario_count": 1,
                "timeout_ms": int(timeout * 1000),
            },
            "metadata": {"tier": Tier.MVP},
        }
    )
    loaded = LoadedPlaybook(playbook, {}, work / "diagnose.playbook.yaml", "", ())
    plan = make_plan(loaded)
    laboratory = Laboratory(
        plan, loaded.path, replace(settings, model_path=model, offline=True), work
    )
    try:
        for check in plan.checks:
            if check.kind is CheckKind.INVARIANT:
                yield run_check(check, laboratory)
    finally:
        laboratory.close()
