"""The figures of a run that a condition may name: what was found out, and of which part of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeVar

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.errors import did_you_mean
from pytest_aprqa.words import Backend, Category, Cell, Format, Gateway, Modality

Word = TypeVar("Word", bound=str)


class Source(Enum):
    """Where a figure comes from: the whole score, records that are counted, single records."""

    SCORE = auto()
    COUNT = auto()
    GATEWAY = auto()
    MEASUREMENT = auto()


class Part(Enum):
    """What a name may be restricted by."""

    CATEGORY = tuple(Category)
    FORMAT = tuple(Format)
    BACKEND = tuple(Backend)
    MODALITY = tuple(Modality)


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that a run finds out about itself.

    Attributes:
        name: in conditions.
        meaning: with its unit.
        parts: by what it may be restricted.
        kind, subject: of the checks that find it out, for gateways and measurements.
        recorded: its name among the metrics of their records, for measurements.
        factor: from the unit of the record to that of the meaning.
    """

    name: str
    source: Source
    meaning: str
    parts: tuple[Part, ...] = ()
    kind: CheckKind | None = None
    subject: str = ""
    recorded: str = ""
    factor: float = 1.0


class Planned(Protocol):
    """A check of a plan, as the playbook or the evidence keeps it."""

    @property
    def kind(self) -> CheckKind: ...
    @property
    def subject(self) -> str: ...
    @property
    def category(self) -> Category | None: ...
    @property
    def cell(self) -> Cell: ...


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a part of the run; what cell and category leave open is not restricted."""

    metric: Metric
    cell: Cell
    category: Category | None = None

    def covers(self, check: Planned) -> bool:
        """Whether a check is of those that the figure follows from."""
        metric, mine, its = self.metric, self.cell, check.cell
        if metric.kind is not None and (check.kind, check.subject) != (metric.kind, metric.subject):
            return False
        if metric.source is Source.COUNT and check.category is None:
            return False
        pairs = (
            (self.category, check.category),
            (mine.format, its.format),
            (mine.backend, its.backend),
            (mine.modality, its.modality),
            (mine.quantization, its.quantization),
        )
        return all(wanted in (None, found) for wanted, found in pairs)

    def __str__(self) -> str:
        cell = (self.cell.format, self.cell.quantization, self.cell.backend, self.cell.modality)
        return ".".join(word for word in (self.metric.name, self.category, *cell) if word)


def figure(name: str, quantizations: Collection[str]) -> Figure:
    """Return the figure of a dotted name, for instance "tokens_per_second.gguf.q8_0.cpu".

    Args:
        name: as a condition writes it; what restricts it stands in any order.
        quantizations: those by which artifacts are told apart, in lower case.

    Raises:
        ValueError: there is no such figure; says which there are.
    """
    first, *words = name.split(".")
    if first not in METRICS:
        hint = did_you_mean(first, METRICS)
        raise ValueError(f"{first!r} is no figure of a run{hint}; known are {', '.join(METRICS)}")
    metric = METRICS[first]
    category = _take(words, Category, Part.CATEGORY in metric.parts)
    cell = Cell(
        _take(words, Format, Part.FORMAT in metric.parts),
        _take(words, Backend, Part.BACKEND in metric.parts),
        _take(words, Modality, Part.MODALITY in metric.parts),
        _take(words, quantizations, Part.FORMAT in metric.parts),
    )
    if words:
        known = [value for part in metric.parts for value in part.value]
        known += quantizations if Part.FORMAT in metric.parts else ()
        raise ValueError(
            f"{words[0]!r} cannot restrict {first!r}; "
            + (f"known are {', '.join(known)}, one of a kind" if known else "nothing can")
        )
    return Figure(metric, cell, category)


def _take(words: list[str], allowed: Iterable[Word], applies: bool) -> Word | None:
    """Remove and return the first word that is allowed."""
    known = {value: value for value in allowed} if applies else {}
    for word in words:
        if word in known:
            words.remove(word)
            return known[word]
    return None


def _metrics() -> Iterable[Metric]:
    engine = (Part.FORMAT, Part.BACKEND)
    every = (Part.CATEGORY, *engine, Part.MODALITY)
    yield Metric("mqs", Source.SCORE, "the score, 0 to 1000")
    yield Metric("mqs_normalised", Source.SCORE, "the score on its logarithmic scale, 0 to 100")
    yield Metric(
        "proven_pass_rate", Source.SCORE, "lower 95 % bound of the pass rate over distinct prompts"
    )
    yield Metric("pass_rate", Source.COUNT, "passed checks by those with a verdict, 0 to 1", every)
    yield Metric("checks", Source.COUNT, "checks with a verdict", every)
    yield Metric("failures", Source.COUNT, "checks that failed, in whatever way", every)
    yield Metric("crashes", Source.COUNT, "checks that ended in a crash of the engine", every)
    yield Metric("timeouts", Source.COUNT, "checks that took too long", every)
    for gateway in Gateway:
        parts = {Gateway.G0: (Part.FORMAT,), Gateway.G3: ()}.get(gateway, engine)
        meaning = f"whether gateway {gateway} holds, everywhere or in the part that is named"
        yield Metric(gateway, Source.GATEWAY, meaning, parts, CheckKind.GATEWAY, gateway)

    def measured(
        name: str, meaning: str, subject: str, recorded: str, factor: float = 1.0
    ) -> Metric:
        kind = CheckKind.PERFORMANCE
        return Metric(name, Source.MEASUREMENT, meaning, engine, kind, subject, recorded, factor)

    yield measured(
        "tokens_per_second", "decoded tokens a second", "decode-rate", "decode_tokens_per_second"
    )
    yield measured(
        "time_to_first_token_ms",
        "milliseconds to the first token",
        "time-to-first-token",
        "time_to_first_token_seconds",
        1000,
    )
    yield measured("load_ms", "milliseconds to load", "load-time", "load_seconds", 1000)
    yield measured(
        "memory_mb", "MiB of memory of the engine", "peak-memory", "peak_memory_mebibytes"
    )
    for name, meaning in (
        ("kl_mean_nats", "mean divergence from the reference over positions, in nats"),
        ("kl_max_nats", "largest divergence from the reference at a position, in nats"),
        ("top1_agreement", "share of positions with the reference's most probable token, 0 to 1"),
        ("perplexity_ratio", "perplexity of the artifact by that of the reference"),
    ):
        yield Metric(
            name, Source.MEASUREMENT, meaning, (Part.FORMAT,), CheckKind.INVARIANT, "I-1", name
        )


METRICS = {metric.name: metric for metric in _metrics()}
"""Every metric by its name."""
