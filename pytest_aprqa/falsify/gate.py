"""Where a fault is caught: the gates a certification passes, in the order it passes them."""

from __future__ import annotations

from enum import StrEnum

from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.words import Category


class Gate(StrEnum):
    """A place where a fault can be seen, the first ones first."""

    G0 = "G0"
    G1 = "G1"
    G2 = "G2"
    G4 = "G4"
    QUAL = "QUAL"
    PERF = "PERF"
    STAB = "STAB"
    EDGE = "EDGE"
    COMP = "COMP"
    I1 = "I-1"
    I2 = "I-2"
    I3 = "I-3"
    I4 = "I-4"
    I5 = "I-5"
    G3 = "G3"
    DIGEST = "sha256"
    """G0 again, with the digests of the sound files published. It sees whatever is not the file
    that was published, and nothing of what that file is worth; so it comes last."""

    @property
    def place(self) -> int:
        return list(Gate).index(self)

    def is_by(self, expected: Gate) -> bool:
        """Whether this gate comes at or before another one."""
        return self.place <= expected.place


_BY_CATEGORY = {
    Category.QUAL: Gate.QUAL,
    Category.PERF: Gate.PERF,
    Category.STAB: Gate.STAB,
    Category.EDGE: Gate.EDGE,
    Category.COMP: Gate.COMP,
}


def gate_of(check: Check) -> Gate:
    """Return the gate a check stands at."""
    if check.kind in (CheckKind.GATEWAY, CheckKind.INVARIANT):
        return Gate(check.subject)
    assert check.category is not None
    return _BY_CATEGORY[check.category]
