from __future__ import annotations

from itertools import pairwise

from pytest_aprqa.falsify.gate import Gate, gate_of
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.words import Category, Cell, Gateway


def test_gates_come_in_the_order_a_plan_passes_them_digests_last() -> None:
    assert all(one.is_by(other) for one, other in pairwise(Gate))
    assert not Gate.I4.is_by(Gate.QUAL)
    assert Gate.G0.is_by(Gate.G0)
    assert list(Gate)[-1] is Gate.DIGEST


def test_every_kind_of_check_stands_at_a_gate() -> None:
    def check(kind: CheckKind, subject: str, category: Category | None) -> Check:
        return Check("name", "id", kind, category, Cell(), subject)

    assert gate_of(check(CheckKind.GATEWAY, Gateway.G4, None)) is Gate.G4
    assert gate_of(check(CheckKind.INVARIANT, "I-4", Category.COMP)) is Gate.I4
    assert gate_of(check(CheckKind.PARITY, "format", Category.COMP)) is Gate.COMP
    assert gate_of(check(CheckKind.SCENARIO, "", Category.QUAL)) is Gate.QUAL
    assert gate_of(check(CheckKind.SCENARIO, "", Category.EDGE)) is Gate.EDGE
    assert gate_of(check(CheckKind.STABILITY, "repeat", Category.STAB)) is Gate.STAB
