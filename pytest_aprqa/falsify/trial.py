"""One trial: a fault is seeded, the certification runs, and who noticed is written down."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from pytest_aprqa.artifact.digest import sha256_of_file
from pytest_aprqa.artifact.files import files_of, make_artifact
from pytest_aprqa.artifact.model_directory import MANIFEST
from pytest_aprqa.falsify.detection import Catch, SoundRun, Trial
from pytest_aprqa.falsify.fault import Fault, NotApplicableError, Original, Sample, Wrap
from pytest_aprqa.falsify.gate import Gate, gate_of
from pytest_aprqa.falsify.laboratory import EnginePool, TrialLaboratory
from pytest_aprqa.falsify.originals import Originals
from pytest_aprqa.falsify.remembering_engine import RememberingEngine
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import PlannedPlaybook, plan_playbook, run_plan
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.certificate import Certificate, certify
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import Journal, RunHeader
from pytest_aprqa.verdict.mqs import score_records
from pytest_aprqa.words import REFERENCE, Cell, Format, Tier


@dataclass(frozen=True, slots=True)
class Sound:
    """What a certification of the sound originals gave, to hold a trial against."""

    run: SoundRun
    records: tuple[Evidence, ...]

    @property
    def alarms(self) -> frozenset[str]:
        return frozenset(alarm.check for alarm in self.run.alarms)

    @property
    def passed(self) -> frozenset[str]:
        return frozenset(record.check for record in self.records if record.outcome.passes)


class Bench:
    """Where trials are held: originals, the playbook, and the engines of sound references."""

    def __init__(
        self,
        originals: Originals,
        playbook: Path,
        settings: Settings,
        pool: EnginePool,
        formats: Collection[Format] = tuple(Format),
    ) -> None:
        """Set up a bench.

        Args:
            originals: to seed faults into.
            playbook: of the certification.
            settings: how engines run.
            pool: engines of the sound references.
            formats: that are tried; the checks of others are left out.
        """
        self._formats = frozenset(formats)
        self._originals = originals
        self._playbook = playbook
        self._settings = settings
        self._pool = pool

    def certify_original(self, original: Original, tier: Tier, seed: int) -> Sound:
        """Run the certification of the sound originals, of the formats that are tried."""
        with _workplace() as work:
            directory = self._originals.directory(original)
            settings = replace(self._settings, certifications=work, model_path=directory, tier=tier)
            planned = plan_playbook(self._playbook, settings)
            laboratory = TrialLaboratory(
                planned.plan,
                self._playbook,
                settings,
                planned.output,
                reference=self._reference_engine(original),
            )
            wanted = [c for c in planned.plan.checks if c.cell.format in {*self._formats, None}]
            try:
                records = tuple(_carry_out(planned, wanted, laboratory))
                tested = [form for form in planned.plan.formats if form in self._formats]
                digests = {form: laboratory.digest(Cell(form)) for form in tested}
            finally:
                laboratory.close()
        certificate = _certificate(planned, records)
        checks = {check.name: check for check in planned.plan.checks}
        alarms = tuple(_catch(checks[r.check], r, tier) for r in records if r.outcome.fails)
        run = SoundRun(
            original=original,
            tier=tier,
            seed=seed,
            digests=digests,
            alarms=alarms,
            checks=len(records),
            status=certificate.status,
            score=certificate.score,
            reason=certificate.reason,
        )
        return Sound(run, records)

    def try_fault(
        self, fault: Fault, form: Format, sound: Sound, *, tier: Tier, seed: int, complete: bool
    ) -> Trial:
        """Seed a fault into a copy of its original and run the certification on it.

        Args:
            fault: to seed.
            form: of the artifact that is spoilt.
            sound: what the original gave; a check that fails there proves nothing here.
            tier: of the certification.
            seed: of everything random in the seeding.
            complete: carry every check out, instead of stopping at the first that fails.
        """
        begun = time.perf_counter()
        trial = untried(fault, form)
        try:
            with _workplace() as work:
                sample = self._originals.sample(fault.original, form, work / "model")
                wrap = _seeded(fault, sample, Random(f"{fault.id} {form} {seed}"))
                found = self._examine(sample, wrap, sound, tier, work, complete=complete)
        except NotApplicableError as reason:
            return trial.model_copy(update={"not_applicable": str(reason)})
        except Exception as error:  # noqa: BLE001  # a certifier that dies has not caught anything
            found = {"error": f"{type(error).__name__}: {error}"}
        seconds = round(time.perf_counter() - begun, 2)
        return trial.model_copy(update={**found, "seconds": seconds})

    def _examine(
        self,
        sample: Sample,
        wrap: Wrap | None,
        sound: Sound,
        tier: Tier,
        work: Path,
        *,
        complete: bool,
    ) -> dict[str, object]:
        settings = replace(
            self._settings,
            artifact_cache=work / "cache",  # what is made from a spoilt file is of no use again
            certifications=work,
            model_path=sample.directory,
            tier=tier,
        )
        planned = plan_playbook(self._playbook, settings)
        laboratory = TrialLaboratory(
            planned.plan,
            self._playbook,
            settings,
            planned.output,
            reference=self._reference_engine(sound.run.original),
            on_trial=sample.format,
            wrap=wrap,
        )
        checks = [c for c in planned.plan.checks if c.cell.format in (sample.format, None)]
        catches: list[Catch] = []
        records: list[Evidence] = []
        withheld: Catch | None = None
        try:
            for check, record in zip(checks, _carry_out(planned, checks, laboratory), strict=False):
                records.append(record)
                if record.outcome.fails and record.check not in sound.alarms:
                    catches.append(_catch(check, record, tier))
                    if not complete:
                        break
                elif not record.outcome.executed and record.check in sound.passed:
                    withheld = withheld or _catch(check, record, tier)
        finally:
            laboratory.close()
        status = None
        if complete:
            status = _certificate(planned, _with_others(records, sound.records)).status
        by_g0 = any(catch.gate is Gate.G0 for catch in catches)
        if wrap is None and not by_g0 and (complete or not catches):
            catches += self._by_digest(sample, sound.run.original, planned, settings, tier)
        return {
            "catches": tuple(catches),
            "withheld": withheld,
            "status": status,
            "checks": len(records),
        }

    def _by_digest(
        self,
        sample: Sample,
        original: Original,
        planned: PlannedPlaybook,
        settings: Settings,
        tier: Tier,
    ) -> Iterator[Catch]:
        """Publish the digests of the sound files, and ask G0 again."""
        directory = self._originals.directory(original)
        _publish_digests(sample, directory)
        [check] = (c for c in planned.plan.checks if c.name == f"G0[{sample.format}]")
        laboratory = Laboratory(planned.plan, self._playbook, settings, planned.output)
        try:
            record = run_check(check, laboratory)
        finally:
            laboratory.close()
        if record.outcome.fails:
            yield _catch(check, record, tier).model_copy(update={"gate": Gate.DIGEST})

    def _reference_engine(self, original: Original) -> RememberingEngine:
        directory = self._originals.directory(original)
        return self._pool.engine(make_artifact(REFERENCE, directory, "", self._originals.digests))


def _seeded(fault: Fault, sample: Sample, random: Random) -> Wrap | None:
    """Seed a fault. Raises ValueError when nothing has changed, for then there is no fault."""
    before = _fingerprint(sample.directory)
    wrap = fault.seed(sample, random)
    if wrap is None and _fingerprint(sample.directory) == before:
        raise ValueError("the fault left every file as it was")
    return wrap


def _fingerprint(directory: Path) -> dict[str, str]:
    return {path.name: sha256_of_file(path) for path in directory.iterdir()}


def _carry_out(
    planned: PlannedPlaybook, checks: Iterable[Check], laboratory: Laboratory
) -> Iterator[Evidence]:
    """Run checks one by one, each in the journal before the next begins, as a session does."""
    header = RunHeader.of("falsify", datetime.now(UTC).isoformat(), run_plan(planned))
    planned.journal.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(planned.journal, header)
    try:
        for check in checks:
            record = run_check(check, laboratory)
            journal.append(record)
            yield record
    finally:
        journal.close()


def _certificate(planned: PlannedPlaybook, records: Sequence[Evidence]) -> Certificate:
    plan = run_plan(planned)
    return certify(plan, records, score_records(plan, records))


def _with_others(records: Sequence[Evidence], sound: Collection[Evidence]) -> list[Evidence]:
    """Return the records with those of the formats that were not on trial."""
    known = {record.check for record in records}
    return [*records, *(record for record in sound if record.check not in known)]


def _catch(check: Check, record: Evidence, tier: Tier) -> Catch:
    return Catch(
        gate=gate_of(check),
        check=record.check,
        outcome=record.outcome,
        reason=record.reason,
        tier=tier,
    )


def _publish_digests(sample: Sample, sound: Path) -> None:
    """Write the sha256 of the sound files beside the spoilt ones."""
    where = sample.directory if sample.format is REFERENCE else sample.weights
    twin = sound if sample.format is REFERENCE else sound / sample.weights.name
    names = {
        path.name for path in (*files_of(sample.format, where), *files_of(sample.format, twin))
    }
    lines = (f"{sha256_of_file(sound / n)}  {n}\n" for n in sorted(names) if (sound / n).is_file())
    (sample.directory / MANIFEST).write_text("".join(lines), "ascii")


def untried(fault: Fault, form: Format) -> Trial:
    """Return what is known of a trial before it is held."""
    return Trial(
        fault=fault.id,
        family=fault.family,
        description=fault.description,
        format=form,
        original=fault.original,
        expected=fault.expected[form],
        expected_tier=fault.tier,
        withholds=fault.withholds,
        blind=fault.blind,
    )


@contextmanager
def _workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aprqa-falsify-") as name:
        yield Path(name)
