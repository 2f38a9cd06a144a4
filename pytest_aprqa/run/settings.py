"""How a run was asked for: the same for pytest, the command line and a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_aprqa.words import FailurePolicy, Tier


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose.

    Attributes:
        certifications: directory that holds models.csv and one folder per model.
        tier: overrides the playbook's own tier.
        failure_policy: overrides the playbook's own policy.
        model_path: file or directory of the model under test.
        model_cache: directory of models, by name.
        artifact_cache: where conversions are kept; None for the user's cache directory.
        no_gpu: take GPU cells out of the plan.
        apr_binary: path or name of a real `apr` binary that is to run the APR cells.
        base_url: an OpenAI-compatible server that is to answer the serve and chat modalities.
        base_url_model: name of the model there; None when it is `hf_repo`.
        offline: do not ask the hub or a package index for the model.
        resume: go on with the run whose journal lies there.
        threads: compute threads per engine; None lets the engine use every core.
        workers: how many processes share the machine for this session.
        timeout: seconds per check, instead of the playbook's.
        engine_memory: most GiB an engine may allocate; None for all the machine has.
        early_stop: leave out the questions of a cell whose verdict is certain, at the tiers that
            ask many.
        result_cache: use what earlier runs found for the very same checks, and keep what this finds.
        ignore_lock: also run playbooks that say something else than when they were locked.
        command: the command line that started the run, for the evidence.
    """

    certifications: Path
    tier: Tier | None = None
    failure_policy: FailurePolicy | None = None
    model_path: Path | None = None
    model_cache: Path | None = None
    artifact_cache: Path | None = None
    no_gpu: bool = False
    apr_binary: str | None = None
    base_url: str | None = None
    base_url_model: str | None = None
    offline: bool = False
    resume: bool = False
    threads: int | None = None
    workers: int = 1
    timeout: float | None = None
    engine_memory: float | None = None
    early_stop: bool = True
    result_cache: bool = False
    ignore_lock: bool = False
    command: str = ""
