"""How checks are run: the options that `run` and `certify` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_aprqa.cli.exits import UserError
from pytest_aprqa.cli.options import (
    AprBinary,
    BaseUrl,
    BaseUrlModel,
    DryRun,
    EngineMemory,
    FailFast,
    IgnoreLock,
    ModelCache,
    ModelPath,
    NoEarlyStop,
    NoGpu,
    NoResultCache,
    Offline,
    Policy,
    Resume,
    Threads,
    Timeout,
    Workers,
)
from pytest_aprqa.words import FailurePolicy, Tier


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked of a run, besides which model, which tier and where to."""

    failure_policy: Policy = None
    fail_fast: FailFast = False
    model_cache: ModelCache = None
    model_path: ModelPath = None
    apr_binary: AprBinary = None
    base_url: BaseUrl = None
    base_url_model: BaseUrlModel = None
    workers: Workers = 1
    timeout: Timeout = None
    threads: Threads = None
    engine_memory: EngineMemory = None
    no_gpu: NoGpu = False
    no_early_stop: NoEarlyStop = False
    no_result_cache: NoResultCache = False
    offline: Offline = False
    ignore_lock: IgnoreLock = False
    resume: Resume = False
    dry_run: DryRun = False

    def arguments(self, tier: Tier | None = None, output: Path | None = None) -> list[str]:
        """Return the options as pytest takes them. Raises UserError when two exclude each other."""
        named = {
            "--aprqa-tier": tier,
            "--aprqa-failure-policy": self._policy(),
            "--aprqa-model-cache": self.model_cache,
            "--aprqa-model-path": self.model_path,
            "--aprqa-apr-binary": self.apr_binary,
            "--aprqa-base-url": self.base_url,
            "--aprqa-base-url-model": self.base_url_model,
            "--aprqa-check-timeout": None if self.timeout is None else self.timeout / 1000,
            "--aprqa-threads": self.threads,
            "--aprqa-engine-memory": self.engine_memory,
            "--aprqa-certifications": output,
        }
        flags = {
            "--aprqa-no-gpu": self.no_gpu,
            "--aprqa-no-early-stop": self.no_early_stop,
            "--aprqa-no-result-cache": self.no_result_cache,
            "--aprqa-offline": self.offline,
            "--aprqa-ignore-lock": self.ignore_lock,
            "--aprqa-resume": self.resume,
            "--aprqa-plan": self.dry_run,
        }
        given = [f"{name}={value}" for name, value in named.items() if value is not None]
        given += [name for name, wanted in flags.items() if wanted]
        return [*given, *(["-n", str(self.workers)] if self.workers > 1 else [])]

    def _policy(self) -> FailurePolicy | None:
        if not self.fail_fast:
            return self.failure_policy
        if self.failure_policy not in (None, FailurePolicy.FAIL_FAST):
            raise UserError(
                f"--fail-fast and --failure-policy {self.failure_policy} exclude each other; give one"
            )
        return FailurePolicy.FAIL_FAST
