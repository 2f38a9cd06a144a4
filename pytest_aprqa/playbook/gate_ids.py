"""Gate ids: the stable names by which people and tickets speak of what was tested."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.words import Category, Gateway


@dataclass(frozen=True, slots=True)
class Gate:
    """Something that is tested.

    Attributes:
        id: never given to anything else again.
        kind: the procedure that carries it out.
        subject: what of that kind it is; for scenarios the kind of question or edge case.
        category: the part of the score it counts in; None for gateways.
        meaning: what has been shown when it holds.
    """

    id: str
    kind: CheckKind
    subject: str
    category: Category | None
    meaning: str


def gate_table() -> tuple[Gate, ...]:
    """Return every gate there is, in the order of a plan."""
    return _GATES


def gate(kind: CheckKind, subject: str, category: Category | None = None) -> Gate:
    """Return the gate of a kind and subject; `category` tells scenarios from edge cases."""
    return _BY_SUBJECT[kind, subject, category if kind is CheckKind.SCENARIO else None]


def _gates() -> tuple[Gate, ...]:
    rows: tuple[tuple[str, CheckKind, Category | None, str, str], ...] = (
        ("G0-INTEGRITY", CheckKind.GATEWAY, None, Gateway.G0, "the files agree with themselves, their config and the layout contract"),
        ("G1-LOAD", CheckKind.GATEWAY, None, Gateway.G1, "the engine loads the artifact"),
        ("G2-INFERENCE", CheckKind.GATEWAY, None, Gateway.G2, "a short generation yields at least one token"),
        ("G4-QUALITY", CheckKind.GATEWAY, None, Gateway.G4, "answers are not garbage"),
        ("F-QUAL-001", CheckKind.SCENARIO, Category.QUAL, "arithmetic", "a sum is answered right"),
        ("F-QUAL-002", CheckKind.SCENARIO, Category.QUAL, "fact", "a common fact is stated right"),
        ("F-QUAL-003", CheckKind.SCENARIO, Category.QUAL, "code", "a code stem is continued with code that parses"),
        ("F-QUAL-004", CheckKind.SCENARIO, Category.QUAL, "instruction", "a simple instruction or series is followed"),
        ("F-QUAL-005", CheckKind.SCENARIO, Category.QUAL, "unicode", "a question in another language or script is answered right"),
        ("F-QUAL-006", CheckKind.SCENARIO, Category.QUAL, "prompt", "a prompt of the playbook is answered as its oracles want"),
        ("F-QUAL-007", CheckKind.PROPERTY, Category.QUAL, "property", "no generated question of a family is answered wrong"),
        ("F-PERF-001", CheckKind.PERFORMANCE, Category.PERF, "load-time", "the model loads within its bound"),
        ("F-PERF-002", CheckKind.PERFORMANCE, Category.PERF, "time-to-first-token", "the first token comes within its bound"),
        ("F-PERF-003", CheckKind.PERFORMANCE, Category.PERF, "decode-rate", "tokens come at the rate asked for"),
        ("F-PERF-004", CheckKind.PERFORMANCE, Category.PERF, "peak-memory", "the engine stays within its memory"),
        ("F-PERF-005", CheckKind.PERFORMANCE, Category.PERF, "latency-p50", "half of the generations take no longer than their bound"),
        ("F-PERF-006", CheckKind.PERFORMANCE, Category.PERF, "latency-p99", "99 of 100 generations take no longer than their bound"),
        ("F-STAB-001", CheckKind.STABILITY, Category.STAB, "repeat", "the same request gives the same answer twice"),
        ("F-STAB-002", CheckKind.STABILITY, Category.STAB, "batch", "a batch answers as its requests alone"),
        ("F-STAB-003", CheckKind.STABILITY, Category.STAB, "cache", "the prompt cache changes no answer"),
        ("F-STAB-004", CheckKind.STABILITY, Category.STAB, "long-generation", "a long generation ends well and does not degenerate"),
        ("F-STAB-005", CheckKind.STABILITY, Category.STAB, "cancellation", "a cancelled generation leaves the engine sound"),
        ("F-EDGE-001", CheckKind.SCENARIO, Category.EDGE, "empty", "no text at all"),
        ("F-EDGE-002", CheckKind.SCENARIO, Category.EDGE, "blank", "only white space"),
        ("F-EDGE-003", CheckKind.SCENARIO, Category.EDGE, "one-token", "a single token"),
        ("F-EDGE-004", CheckKind.SCENARIO, Category.EDGE, "too-long", "more than the context holds is refused or cut, and said so"),
        ("F-EDGE-005", CheckKind.SCENARIO, Category.EDGE, "unicode", "emoji, combining marks and rare scripts"),
        ("F-EDGE-006", CheckKind.SCENARIO, Category.EDGE, "control-characters", "control characters"),
        ("F-EDGE-007", CheckKind.SCENARIO, Category.EDGE, "special-tokens", "a user's special-token text stays text"),
        ("F-EDGE-008", CheckKind.SCENARIO, Category.EDGE, "code", "code with quotes, braces and escapes"),
        ("F-EDGE-009", CheckKind.SCENARIO, Category.EDGE, "right-to-left", "text that runs from right to left"),
        ("F-CONTRACT-I1-001", CheckKind.INVARIANT, Category.COMP, "I-1", "a converted model infers as its source does"),
        ("F-CONTRACT-I2-001", CheckKind.INVARIANT, Category.COMP, "I-2", "tensor names map one to one"),
        ("F-CONTRACT-I3-001", CheckKind.INVARIANT, Category.COMP, "I-3", "no dtype fell back silently"),
        ("F-CONTRACT-I4-001", CheckKind.INVARIANT, Category.COMP, "I-4", "values are preserved within what the quantisation explains"),
        ("F-CONTRACT-I5-001", CheckKind.INVARIANT, Category.COMP, "I-5", "texts become the same tokens"),
        ("F-COMP-001", CheckKind.PARITY, Category.COMP, "modality", "run, chat and serve give the same answer"),
        ("F-COMP-002", CheckKind.PARITY, Category.COMP, "format", "a format answers as the reference"),
        ("F-COMP-003", CheckKind.PARITY, Category.COMP, "backend", "the GPU answers as the CPU"),
        ("F-COMP-004", CheckKind.PARITY, Category.COMP, "endpoint", "a server somebody else runs answers as the reference"),
        ("F-REGR-001", CheckKind.REGRESSION, Category.REGR, "score-regression", "the score has not fallen"),
        ("F-REGR-002", CheckKind.REGRESSION, Category.REGR, "throughput-regression", "throughput has not fallen beyond its noise"),
        ("F-REGR-003", CheckKind.REGRESSION, Category.REGR, "answer-flips", "no right answer has become wrong"),
        ("G3-STABILITY", CheckKind.GATEWAY, None, Gateway.G3, "nothing crashed, aborted or hung twice"),
        ("F-GATE-001", CheckKind.CONDITION, None, "condition", "a condition of the playbook holds for what the run found"),
    )  # fmt: skip
    return tuple(
        Gate(id_, kind, subject, category, text) for id_, kind, category, subject, text in rows
    )


_GATES = _gates()
_BY_SUBJECT = {
    (gate.kind, gate.subject, gate.category if gate.kind is CheckKind.SCENARIO else None): gate
    for gate in _GATES
}
