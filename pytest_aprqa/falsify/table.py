"""The detection table: which gate caught which fault in which format, and what was missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_aprqa.falsify.detection import Detection, SoundRun, Trial
from pytest_aprqa.falsify.fault import Family
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.judge.statistics import lower_bound, upper_bound
from pytest_aprqa.report.markdown import escaped
from pytest_aprqa.words import Format, Status, Tier

LEAST_CAUGHT = 0.95
"""Share of the fault classes that must be caught for the certifier to pass its own trial."""

_LONGEST_REASON = 140
_HEADS = {Format.SAFETENSORS: "SafeTensors", Format.APR: "APR", Format.GGUF: "GGUF"}


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return "none"
        return f"{self.count} of {self.total} ({self.count / self.total:.1%})"

    @property
    def is_enough(self) -> bool:
        return self.total > 0 and self.count >= LEAST_CAUGHT * self.total


@dataclass(frozen=True, slots=True)
class Summary:
    """What the trials come to.

    Attributes:
        classes: fault classes caught in every format they were seeded into, at or before the
            expected gate and tier.
        classes_without_digests: the same at the tier of the trials, when no format needed the
            sound files' sha256.
        converted_without_digests: the same of the converted formats alone, which have a reference.
        cells: the same as `classes`, fault by fault and format by format.
        withheld: cells that were missed, but for which no certificate would be given.
        sound_artifacts: sound files that were certified, by digest.
        sound_runs: certifications of sound files, format by format and seed by seed.
        blocked: of these, how many ended BLOCKED.
        alarms: checks that failed on sound files.
    """

    classes: Share
    classes_without_digests: Share
    converted_without_digests: Share
    cells: Share
    withheld: int
    sound_artifacts: int
    sound_runs: int
    blocked: int
    alarms: Share

    @property
    def passes(self) -> bool:
        """Whether enough faults were caught and no sound model was blocked."""
        return self.classes.is_enough and not self.blocked


def summarise(detection: Detection) -> Summary:
    """Count what was caught and what was not."""
    tried = [trial for trial in detection.trials if not trial.not_applicable]

    def by_behaviour(trial: Trial) -> bool:
        return trial.is_caught_by_behaviour(detection.tier)

    runs = detection.sound
    return Summary(
        classes=_classes(tried, lambda trial: trial.is_caught),
        classes_without_digests=_classes(tried, by_behaviour),
        converted_without_digests=_classes(
            [t for t in tried if t.format is not Format.SAFETENSORS], by_behaviour
        ),
        cells=Share(sum(trial.is_caught for trial in tried), len(tried)),
        withheld=sum(not t.is_caught and t.withheld is not None for t in tried),
        sound_artifacts=len({digest for run in runs for digest in run.digests.values()}),
        sound_runs=sum(len(run.digests) for run in runs),
        blocked=sum(len(run.digests) for run in runs if run.status is Status.BLOCKED),
        alarms=Share(sum(len(run.alarms) for run in runs), sum(run.checks for run in runs)),
    )


def _classes(trials: Iterable[Trial], holds: Callable[[Trial], bool]) -> Share:
    """Return how many fault classes hold in every format."""
    by_fault: dict[str, list[bool]] = {}
    for trial in trials:
        by_fault.setdefault(trial.fault, []).append(holds(trial))
    return Share(sum(map(all, by_fault.values())), len(by_fault))


def render_detection(detection: Detection) -> str:
    """Return the detection table as Markdown."""
    summary = summarise(detection)
    parts = [
        *_head(detection, summary),
        *_families(detection.trials, detection.tier),
        *_missed(detection.trials),
        *_by_digest_only(detection.trials),
        *_sound(detection.sound),
        *_not_applicable(detection.trials),
        *_origin(detection),
    ]
    return "\n".join(parts) + "\n"


def _head(detection: Detection, summary: Summary) -> Iterator[str]:
    yield "# Detection"
    yield ""
    yield "The certifier on trial: faults seeded into copies of a sound model, and which gate noticed."
    yield "Made by `apr-qa falsify`; docs/falsify.md says how to read it."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| model | {escaped(detection.model_id)}, `{detection.digest[:16]}` |"
    yield f"| tier | {detection.tier} |"
    classes = summary.classes
    if classes.total:
        bound = lower_bound(classes.count, classes.total)
        yield f"| fault classes caught in every format | {classes}, at least {bound:.1%} at 95 % |"
    yield f"| of these without any sha256 | {summary.classes_without_digests} |"
    yield f"| the same in APR and GGUF alone | {summary.converted_without_digests} |"
    yield f"| cells of fault and format caught | {summary.cells} |"
    yield f"| missed cells whose certificate is withheld | {summary.withheld} |"
    if summary.sound_runs:
        bound = upper_bound(summary.blocked, summary.sound_runs)
        yield (
            f"| sound artifacts BLOCKED | {summary.blocked} of {summary.sound_runs} certifications "
            f"of {summary.sound_artifacts} files, at most {bound:.1%} at 95 % |"
        )
        yield f"| checks failed on sound artifacts | {summary.alarms} |"


def _families(trials: Sequence[Trial], tier: Tier) -> Iterator[str]:
    for family in Family:
        of_family = [trial for trial in trials if trial.family is family]
        if not of_family:
            continue
        yield ""
        yield f"## {family.value.capitalize()}"
        yield ""
        yield f"| fault | what is done | {' | '.join(_HEADS.values())} |"
        yield "|---|---|---|---|---|"
        for fault in dict.fromkeys(trial.fault for trial in of_family):
            cells = {t.format: t for t in of_family if t.fault == fault}
            first = next(iter(cells.values()))
            columns = " | ".join(_cell(cells.get(form), tier) for form in Format)
            name = fault.removeprefix(f"{family}-")
            yield f"| {escaped(name)} | {escaped(first.description)} | {columns} |"


def _cell(trial: Trial | None, tier: Tier) -> str:
    if trial is None:
        return ""
    if trial.not_applicable:
        return "n/a"
    if trial.error:
        return "**error**"
    if trial.withholds and trial.is_caught and trial.withheld is not None:
        return f"withheld at {trial.withheld.gate}"
    if trial.by is None:
        return "**missed**" if trial.withheld is None else "**missed**, withheld"
    seen = dict.fromkeys(
        catch.gate.value if catch.tier is tier else f"{catch.gate} at {catch.tier}"
        for catch in trial.catches
        if catch.gate is not Gate.DIGEST or trial.by.gate is Gate.DIGEST
    )
    first, *also = seen
    text = f"{first} ({', '.join(also)})" if also else first
    return text if trial.is_caught else f"{text}, **late**: {trial.expected}"


def _missed(trials: Sequence[Trial]) -> Iterator[str]:
    missed = [t for t in trials if not t.not_applicable and not t.is_caught]
    yield ""
    yield "## Missed"
    yield ""
    if not missed:
        yield "None."
    for trial in missed:
        yield f"* **{escaped(trial.fault)}** in {_HEADS[trial.format]}: {_why(trial)}"


def _why(trial: Trial) -> str:
    if trial.error:
        return f"the trial itself failed: {escaped(trial.error)}"
    told = []
    if trial.by is not None:
        told.append(
            f"expected at {trial.expected}, caught at {trial.by.gate} by "
            f"{escaped(trial.by.check)}: {_brief(trial.by.reason)}"
        )
    else:
        told.append(f"expected at {trial.expected}, no check failed")
    if trial.withheld is not None:
        told.append(
            f"no certificate would be given, for {escaped(trial.withheld.check)} came to no verdict "
            f"({_brief(trial.withheld.reason)})"
        )
    if trial.blind:
        told.append(f"why: {escaped(trial.blind)}")
    return "; ".join(told) + "."


def _brief(reason: str) -> str:
    """Return the beginning of a reason; the whole of it is in DETECTION.json."""
    text = " ".join(reason.split())
    return escaped(text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ...")


def _by_digest_only(trials: Sequence[Trial]) -> Iterator[str]:
    only = [
        t
        for t in trials
        if t.is_caught and not t.withholds and t.by is not None and t.by.gate is Gate.DIGEST
    ]
    if not only:
        return
    yield ""
    yield "## Seen by the sha256 alone"
    yield ""
    yield "No question of this tier tells these from the sound files; a published digest does."
    yield ""
    for trial in only:
        why = f": {escaped(trial.blind)}" if trial.blind else ""
        larger = trial.behaviour
        later = f"; {larger.gate} sees it at tier {larger.tier}" if larger else ""
        yield f"* {escaped(trial.fault)} in {_HEADS[trial.format]}{why}{later}."


def _sound(runs: Sequence[SoundRun]) -> Iterator[str]:
    if not runs:
        return
    yield ""
    yield "## Sound originals"
    yield ""
    yield "| original | tier | seed | status | score | checks | false alarms |"
    yield "|---|---|---|---|---|---|---|"
    for run in runs:
        alarms = "; ".join(f"{escaped(a.check)}: {_brief(a.reason)}" for a in run.alarms)
        yield (
            f"| {run.original} | {run.tier} | {run.seed} | {run.status} | {run.score} | "
            f"{run.checks} | {alarms} |"
        )


def _not_applicable(trials: Iterable[Trial]) -> Iterator[str]:
    without = [trial for trial in trials if trial.not_applicable]
    if not without:
        return
    yield ""
    yield "## Not applicable to this model"
    yield ""
    for trial in without:
        yield (
            f"* {escaped(trial.fault)} in {_HEADS[trial.format]}: {escaped(trial.not_applicable)}."
        )


def _origin(detection: Detection) -> Iterator[str]:
    yield ""
    yield "## Origin"
    yield ""
    if detection.command:
        yield f"* command: `{detection.command}`"
    yield f"* finished: {detection.finished}"
    versions = ", ".join(f"{name} {version}" for name, version in detection.versions.items())
    yield f"* versions: {versions}"
