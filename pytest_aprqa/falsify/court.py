"""All trials of a model: the sound originals first, then every fault in every format."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.falsify.detection import Detection, SoundRun, Trial
from pytest_aprqa.falsify.fault import Fault, NotApplicableError, Original
from pytest_aprqa.falsify.laboratory import EnginePool
from pytest_aprqa.falsify.originals import Originals
from pytest_aprqa.falsify.questions import playbook_text
from pytest_aprqa.falsify.trial import Bench, Sound, untried
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.run.environment import environment_of
from pytest_aprqa.run.results import code_digest
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import REFERENCE, Format, Tier

SOUND = (
    Original.NATIVE,
    Original.F32,
    Original.F16,
    Original.EIGHT,
    Original.FOUR,
    Original.SHARDED,
    Original.UNTIED,
    Original.BIASED,
)
"""The originals that are certified to look for false alarms."""

LARGER = Tier.STANDARD
"""Where a fault is tried again that only questions can show, when a small tier shows nothing."""

_SMALL = (Tier.SMOKE, Tier.MVP, Tier.QUICK)

T = TypeVar("T")

Key = tuple[Original, Tier, int]
"""Which original is certified, at which tier, with the questions of which seed."""

Progress = Callable[[Trial | SoundRun, Detection], None]
"""Is told of a result, and of all there are so far."""


@dataclass(frozen=True, slots=True)
class Docket:
    """What is to be tried.

    Attributes:
        model: the model under trial.
        faults: to be seeded.
        formats: into which they are seeded.
        tier: of the certification.
        seeds: of the sound runs; the first one is also that of the trials.
        complete: carry every check out, instead of stopping at the first that fails.
        sound: originals to look for false alarms in, beside those that faults are seeded into.
        jobs: trials under way at once.
        playbook: content of a playbook whose questions are asked.
        kept: what earlier trials gave, which are not held again if they follow from the same.
    """

    model: ModelSpec
    faults: Sequence[Fault]
    formats: Collection[Format] = tuple(Format)
    tier: Tier = Tier.MVP
    seeds: tuple[int, ...] = (42,)
    complete: bool = False
    sound: tuple[Original, ...] = ()
    jobs: int = 1
    playbook: Mapping[str, Any] | None = None
    kept: Detection | None = None


def hold_trials(docket: Docket, settings: Settings, progress: Progress) -> Detection:
    """Try every fault and certify the sound originals.

    Args:
        docket: what is to be tried.
        settings: how engines run and where the model lies; tier and certifications are ours.
        progress: told of every result when it is there.

    Raises:
        ArtifactError: the model cannot be found or converted.
    """
    with tempfile.TemporaryDirectory(prefix="aprqa-originals-") as name:
        return _Court(docket, settings, Path(name), progress).hold()


class _Court:
    def __init__(self, docket: Docket, settings: Settings, root: Path, progress: Progress) -> None:
        self._docket = docket
        self._progress = progress
        self._workshop = Workshop(
            docket.model,
            playbook_dir=root,
            model_path=settings.model_path,
            model_cache=settings.model_cache,
            cache_dir=settings.artifact_cache,
            offline=settings.offline,
        )
        self._originals = Originals(self._workshop, root / "originals")
        self._settings = replace(settings, no_gpu=True, offline=True, early_stop=False)
        self._root = root
        self._pool = EnginePool(root, settings.threads)
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._in_hand: dict[Key, threading.Lock] = {}
        self._sound: dict[Key, Sound] = {}
        self._whole = self._begun()
        self._runs: dict[Key, SoundRun] = {}
        self._held: dict[tuple[str, Format], Trial] = {}
        if docket.kept is not None and docket.kept.basis == self._whole.basis:
            self._runs = {_key(run): run for run in docket.kept.sound}
            self._held = {(trial.fault, trial.format): trial for trial in docket.kept.trials}

    def hold(self) -> Detection:
        try:
            self._certify_originals()
            self._hold_trials()
        finally:
            self._pool.close()
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        return self._so_far().model_copy(update={"finished": finished})

    def _begun(self) -> Detection:
        """Return the detection that no trial is in yet."""
        docket = self._docket
        digest = self._workshop.artifact(REFERENCE).digest
        environment = environment_of((), self._settings.command)
        versions = {"python": environment.python, **environment.packages}
        follows_from = (digest, docket.tier, docket.complete, docket.playbook, versions)
        basis = sha256(f"{code_digest()} {follows_from}".encode()).hexdigest()
        return Detection(
            model_id=docket.model.hf_repo,
            digest=digest,
            tier=docket.tier,
            seed=docket.seeds[0],
            complete=docket.complete,
            basis=basis,
            command=self._settings.command,
            versions=versions,
            trials=(),
            sound=(),
        )

    def _so_far(self) -> Detection:
        with self._lock:
            trials = sorted(self._held.values(), key=self._position)
            runs = sorted(self._runs, key=_place)
            certified = tuple(self._runs[key] for key in runs)
        return self._whole.model_copy(update={"trials": tuple(trials), "sound": certified})

    def _tell(self, result: Trial | SoundRun) -> None:
        with self._telling:
            self._progress(result, self._so_far())

    def _position(self, trial: Trial) -> tuple[int, int]:
        ids = [fault.id for fault in self._docket.faults]
        known = ids.index(trial.fault) if trial.fault in ids else len(ids)
        return known, list(Format).index(trial.format)

    def _certify_originals(self) -> None:
        docket = self._docket
        open_cases = (
            (original, docket.tier, seed)
            for seed in docket.seeds
            for original in docket.sound
            if not self._is_known((original, docket.tier, seed))
        )
        self._at_once(self._unsuited, open_cases)

    def _is_known(self, key: Key) -> bool:
        """Whether earlier trials certified these originals in all the formats of these."""
        run = self._runs.get(key)
        return run is not None and run.digests.keys() >= {*self._docket.formats}

    def _hold_trials(self) -> None:
        cases = [
            (fault, form)
            for fault in self._docket.faults
            for form in Format
            if form in fault.expected
            and form in self._docket.formats
            and (fault.id, form) not in self._held
        ]
        wanted = [o for o in Original if any(fault.original is o for fault, _ in cases)]
        bases = [(original, self._docket.tier, self._docket.seeds[0]) for original in wanted]
        unsuited = dict(zip(wanted, self._at_once(self._unsuited, bases), strict=True))
        self._at_once(self._try, ((fault, form, unsuited[fault.original]) for fault, form in cases))

    def _unsuited(self, original: Original, tier: Tier, seed: int) -> str:
        """Certify an original; return why it cannot be made, or "" when it can."""
        try:
            self._certified(original, tier, seed)
        except NotApplicableError as reason:
            return str(reason)
        return ""

    def _at_once(self, work: Callable[..., T], cases: Iterable[tuple[Any, ...]]) -> list[T]:
        """Return what `work` makes of each case; after a fault or Ctrl-C no other is begun."""
        with ThreadPoolExecutor(self._docket.jobs) as threads:
            futures = [threads.submit(work, *case) for case in cases]
            try:
                return [future.result() for future in futures]
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _try(self, fault: Fault, form: Format, unsuited: str) -> None:
        if unsuited:
            trial = untried(fault, form).model_copy(update={"not_applicable": unsuited})
        else:
            trial = self._try_at(fault, form, self._docket.tier)
            if _is_unseen(trial) and self._docket.tier in _SMALL:
                trial = self._try_harder(trial, fault, form)
        with self._lock:
            self._held[fault.id, form] = trial
        self._tell(trial)

    def _try_harder(self, trial: Trial, fault: Fault, form: Format) -> Trial:
        """Try again at a tier with many questions, when a small one may have asked too few."""
        if form is not REFERENCE and fault.tier is self._docket.tier:
            return trial
        larger = self._try_at(fault, form, LARGER)
        seen = () if larger.behaviour is None else (larger.behaviour,)
        return trial.model_copy(update={"catches": trial.catches + seen})

    def _try_at(self, fault: Fault, form: Format, tier: Tier) -> Trial:
        seed = self._docket.seeds[0]
        return self._bench(seed).try_fault(
            fault,
            form,
            self._certified(fault.original, tier, seed),
            tier=tier,
            seed=seed,
            complete=self._docket.complete,
        )

    def _certified(self, original: Original, tier: Tier, seed: int) -> Sound:
        key = (original, tier, seed)
        with self._lock:
            in_hand = self._in_hand.setdefault(key, threading.Lock())
        with in_hand:
            if key not in self._sound:
                sound = self._bench(seed).certify_original(original, tier, seed)
                with self._lock:
                    self._sound[key], self._runs[key] = sound, sound.run
                self._tell(sound.run)
            return self._sound[key]

    def _bench(self, seed: int) -> Bench:
        playbook = self._root / f"falsify-{seed}.playbook.yaml"
        with self._lock:
            if not playbook.is_file():
                directory = self._workshop.located.found[self._workshop.source_format].path
                folder = directory if directory.is_dir() else directory.parent
                docket = self._docket
                text = playbook_text(docket.model.hf_repo, folder, seed, docket.playbook)
                playbook.write_text(text, "utf-8")
        return Bench(self._originals, playbook, self._settings, self._pool, self._docket.formats)


def _key(run: SoundRun) -> Key:
    return run.original, run.tier, run.seed


def _place(key: Key) -> tuple[int, int, int]:
    original, tier, seed = key
    return list(Tier).index(tier), seed, list(Original).index(original)


def _is_unseen(trial: Trial) -> bool:
    return (
        trial.behaviour is None
        and not trial.withholds
        and not trial.not_applicable
        and not trial.error
    )
