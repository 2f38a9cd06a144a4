"""The laboratory: the artifacts and engines of one playbook, and what is already known of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.engine.devices import gpu_reason
from pytest_aprqa.engine.lent import borrow
from pytest_aprqa.engine.log_folder import LogFolder
from pytest_aprqa.engine.open import expect_engine, open_engine
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.engine.remote import RemoteEngine, endpoint_at
from pytest_aprqa.observation import LoadReport
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.playbook.plan import Plan
from pytest_aprqa.run.ahead import Ahead
from pytest_aprqa.run.answers import Answers
from pytest_aprqa.run.early_stop import EarlyStop
from pytest_aprqa.run.engines import WarmEngines
from pytest_aprqa.run.observed import BlockedError
from pytest_aprqa.run.planning import EARLIER_EVIDENCE, EVIDENCE, JOURNAL
from pytest_aprqa.run.results import Results
from pytest_aprqa.run.resume import Kept
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.gateways import settled
from pytest_aprqa.verdict.record import RecordError, Run
from pytest_aprqa.verdict.run_file import read_run
from pytest_aprqa.words import (
    REFERENCE,
    REFERENCE_ENGINE,
    Backend,
    Cell,
    Gateway,
    Modality,
    Outcome,
)

T = TypeVar("T")

GIB = 1024**3
API_KEY_VARIABLE = "APRQA_API_KEY"
LOAD_TIMEOUT_FACTOR = 5
"""Loading may take this many times as long as a check: it happens once per artifact."""


class Laboratory:
    """Everything the checks of one playbook share within a process.

    Artifacts are prepared and engines started when first asked for; while an engine answers, the
    other artifacts are prepared.

    Attributes:
        unwritten: evidence noted here, by name of its check, which another process may not have
            written into the journal yet; empty when this is the only process.
    """

    def __init__(
        self,
        plan: Plan,
        playbook: Path,
        settings: Settings,
        output: Path,
        *,
        journal: Path | None = None,
        kept: Kept | None = None,
        lending: str | None = None,
    ) -> None:
        """Set up a laboratory; nothing is read or started yet.

        Args:
            plan: what is to be done.
            playbook: its file.
            settings: the user's.
            output: directory of the evidence.
            journal: of the run, when it is not the one of a whole run.
            kept: evidence of the part of the run that was made before.
            lending: address at which the processes of a session lend each other the reference's
                engine; None when there is but one.
        """
        self.plan = plan
        self.settings = settings
        self.journal = journal or output / JOURNAL
        self.kept = kept or Kept()
        self._certificates = (output / EVIDENCE, output / EARLIER_EVIDENCE)
        self.workshop = workshop_of(plan, playbook, settings)
        self.answers = Answers(self)
        self.results = Results(self)
        self.early_stop = EarlyStop(plan.tier, enabled=settings.early_stop)
        self.early_stop.recall(plan.checks, self.kept.records)
        self._engines = WarmEngines(settings.workers)
        self._lending = lending
        self._borrowed: Engine | None = None
        self._under_test: Cell | None = None
        self._ahead = Ahead(self.workshop, plan.artifacts)
        self._gateways = dict(self.kept.records)
        self.unwritten: dict[str, Evidence] = {}
        self._made: dict[tuple[str, str], Any] = {}
        self._planned = {check.name: check for check in plan.checks}
        self._logs = LogFolder()

    def artifact(self, cell: Cell) -> Artifact:
        """Return the artifact of a cell, converted when need be. Raises ArtifactError."""
        return self.workshop.of(cell)

    def is_converted(self, cell: Cell) -> bool:
        """Whether the artifact of a cell is one we made ourselves."""
        try:
            return cell.format is not None and self.workshop.is_converted(
                cell.format, cell.quantization
            )
        except ArtifactError:
            return False

    def digest(self, cell: Cell) -> str:
        """Return the digest of an artifact already prepared, or an empty string."""
        known = self.workshop.known(cell.format, cell.quantization) if cell.format else None
        return known.digest if known else ""

    def engine(self, cell: Cell) -> Engine:
        """Return the engine of a cell, started at its first use.

        A check of another cell may be given the reference's engine of another process, which is
        good enough to compare with.
        """
        key = cell.engine
        artifact = self.artifact(key)
        self._ahead.start()
        if self._may_borrow(key) and (borrowed := self._borrow()):
            return borrowed
        return self._own_engine(artifact, key)

    def expect_engine(self, cell: Cell) -> None:
        """Begin in the background what takes time before the engine of a cell can be opened."""
        if cell.format is not None:
            expect = partial(
                expect_engine,
                cell.format,
                cell.backend or Backend.CPU,
                threads=self.settings.threads,
                apr_binary=self.settings.apr_binary,
            )
            self.once(("engine expected", str(cell.engine)), expect)

    def _own_engine(self, artifact: Artifact, key: Cell) -> Engine:
        return self._engines.get(key, artifact.files, lambda: self._open(artifact, key))

    @contextmanager
    def testing(self, cell: Cell) -> Iterator[None]:
        """Say which cell is tested; what is found out about others on the way does not change it."""
        outermost = self._under_test is None
        if outermost:
            self._under_test = cell
        try:
            yield
        finally:
            if outermost:
                self._under_test = None

    def _may_borrow(self, key: Cell) -> bool:
        tested = self._under_test
        return key == REFERENCE_ENGINE and tested is not None and tested.engine != key

    def _borrow(self) -> Engine | None:
        """Return the reference's engine of another process; None when we have it, or nobody."""
        if self._lending is None or REFERENCE_ENGINE in self._engines:
            return None
        if self._borrowed is None:
            artifact = self.artifact(REFERENCE_ENGINE)
            own = partial(self._own_engine, artifact, REFERENCE_ENGINE)
            self._borrowed = borrow(self._lending, own)
        return self._borrowed

    def _open(self, artifact: Artifact, cell: Cell) -> Engine:
        gibibytes = self.settings.engine_memory
        return open_engine(
            artifact,
            cell.backend or Backend.CPU,
            log_dir=self._logs.path,
            threads=self.settings.threads,
            apr_binary=self.settings.apr_binary,
            memory=None if gibibytes is None else int(gibibytes * GIB),
            lend_at=self._lending if cell == REFERENCE_ENGINE else None,
        )

    def quiet(self) -> None:
        """Return when nothing of ours but the engine asked uses the machine."""
        self._ahead.wait()
        self.workshop.settle()

    def change(self) -> ArtifactError | None:
        """Return what became of a file since it was looked at, or None when all are as they were.

        Only files whose state on disk is new are read again.
        """
        for artifact in self.workshop.known_artifacts:
            try:
                digest = self.workshop.digests.digest(artifact.files)
            except ArtifactError as error:
                gone = f"{error.message}; it was there when the run began"
                return ArtifactError(ArtifactFault.ENVIRONMENT, gone, where=error.where)
            if digest != artifact.digest:
                return ArtifactError(
                    ArtifactFault.ENVIRONMENT,
                    f"{artifact.path} was changed while it was tested: its digest was "
                    f"{artifact.digest[:12]} and is {digest[:12]}; run it again",
                    where=artifact.path.name,
                )
        return None

    def server(self, cell: Cell) -> Engine:
        """Return who answers over HTTP: the engine's own server, or the one the user named."""
        return self._named_server or self.engine(cell)

    def asks_named_server(self, check: Check) -> bool:
        """Whether a check asks the server the user named, if there is one."""
        if self._named_server is None:
            return False
        if check.kind is CheckKind.PARITY:
            return check.subject == "modality" or not check.params.get("base_url", "other")
        return check.cell.modality in (Modality.SERVE, Modality.CHAT)

    def answering(self, check: Check) -> str:
        """Name who answers the question of a check, for its record."""
        if self._named_server is not None and self.asks_named_server(check):
            return self._named_server.name
        return self.load(check).engine

    @cached_property
    def _named_server(self) -> RemoteEngine | None:
        address, model = self.settings.base_url, self.settings.base_url_model
        return self.remote(address, model) if address else None

    def remote(self, address: str, model: str | None) -> RemoteEngine:
        """Return a server somebody else runs, by its address and the model's name there."""
        key = os.environ.get(API_KEY_VARIABLE, "")
        return RemoteEngine(endpoint_at(address, model or self.plan.model.hf_repo, key))

    def load(self, check: Check) -> LoadReport:
        """Load the engine of a check, or return the report of the load already made."""
        return self.engine(check.cell).load(self.timeout(check) * LOAD_TIMEOUT_FACTOR)

    def timeout(self, check: Check) -> float:
        """Return the seconds an engine may take for a check."""
        return self.settings.timeout or check.timeout

    def unavailable(self, check: Check) -> str | None:
        """Say why this machine cannot run a check, or return None."""
        if check.cell.backend is Backend.GPU and (reason := gpu_reason()):
            return f"no GPU: {reason}"
        return None

    def require(self, needs: Iterable[Gateway], cell: Cell) -> None:
        """Raise BlockedError unless every gateway holds for a cell."""
        for gateway in needs:
            evidence = self.gateway(gateway, cell)
            if evidence is None or settled(evidence) is Outcome.CORROBORATED:
                continue
            if evidence.outcome is Outcome.SKIPPED or _is_nowhere(evidence):
                raise BlockedError(evidence.reason)
            raise BlockedError(f"{evidence.check} {evidence.outcome}: {evidence.reason}")

    def require_reference(self, gateways: Iterable[Gateway] = (Gateway.G0,)) -> None:
        """Raise BlockedError unless the reference can be compared with."""
        if REFERENCE not in self.plan.formats:
            raise BlockedError("the plan has no SafeTensors reference to compare with")
        self.require(gateways, REFERENCE_ENGINE)

    def gateway(self, gateway: Gateway, cell: Cell) -> Evidence | None:
        """Return the evidence of a gateway of a cell, found out now if need be.

        None when the plan has no such gateway.
        """
        from pytest_aprqa.run.check import run_check

        check = self._planned.get(_gateway_name(gateway, cell))
        return run_check(check, self) if check else None

    def gateway_evidence(self, check: Check) -> Evidence | None:
        """Return what is already known of a gateway check."""
        return self._gateways.get(check.name)

    def remember_gateway(self, check: Check, evidence: Evidence) -> None:
        """Keep the evidence of a gateway for every check that needs it."""
        self._gateways[check.name] = evidence

    def note(self, evidence: Evidence) -> None:
        """Take note of evidence that goes into the journal, for the checks that look back over it."""
        if self._lending is not None:
            self.unwritten[evidence.check] = evidence

    def scenarios(self, cell: Cell) -> list[Check]:
        """Return the planned scenarios of an artifact and backend, over its modalities."""
        return [
            check
            for check in self.plan.checks
            if check.kind is CheckKind.SCENARIO and check.cell.engine == cell.engine
        ]

    @cached_property
    def previous(self) -> Run | None:
        """The last certificate of the same model at the same tier, if it can be read."""
        for path in self._certificates:
            try:
                run = read_run(path)
            except RecordError:
                continue
            of_this_run = run.run_id == self.kept.run_id
            if run.plan.tier is self.plan.tier and not run.interrupted and not of_this_run:
                return run
        return None

    def once(self, key: tuple[str, str], make: Callable[[], T]) -> T:
        """Return what `make` returned when it was first called for a key; it may raise."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def planned(self, name: str) -> Check | None:
        """Return a planned check by name."""
        return self._planned.get(name)

    def engine_log(self, cell: Cell) -> bytes:
        """Return what the engine of a cell has printed so far in this process."""
        name = f"{cell.format}-{cell.engine.backend}-{self.digest(cell)[:8]}"
        logs = sorted(self._logs.path.glob(f"{name}*"))
        return b"".join(log.read_bytes() for log in logs)

    def close(self) -> None:
        """End every engine and remove what they left behind."""
        self._ahead.stop()
        if self._borrowed is not None:
            self._borrowed.close()
        self._engines.close()
        self._logs.close()
        self.workshop.settle()


def workshop_of(plan: Plan, playbook: Path, settings: Settings) -> Workshop:
    """Return the artifacts of a plan's model, as the user's settings say where they are."""
    return Workshop(
        plan.model,
        playbook_dir=playbook.parent,
        model_path=settings.model_path,
        model_cache=settings.model_cache,
        cache_dir=settings.artifact_cache,
        offline=settings.offline,
    )


def _is_nowhere(evidence: Evidence) -> bool:
    """Whether a gateway stayed open because the model was not found."""
    return evidence.observation.get("fault") == ArtifactFault.NOT_FOUND


def _gateway_name(gateway: Gateway, cell: Cell) -> str:
    if gateway is Gateway.G3:
        return "G3"
    where = cell.artifact if gateway is Gateway.G0 else replace(cell, modality=None)
    return f"{gateway}[{where}]"
