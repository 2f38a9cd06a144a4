"""Gate ids."""

from __future__ import annotations

import re
from collections import Counter

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.gate_ids import gate, gate_table
from pytest_aprqa.words import Category, Gateway


def test_ids_are_unique_and_well_formed() -> None:
    ids = [row.id for row in gate_table()]
    assert max(Counter(ids).values()) == 1
    assert all(re.fullmatch(r"(G[0-4]|F)-[A-Z0-9]+(-[0-9]{3}|-I[1-5]-001)?", i) for i in ids)


def test_every_gateway_and_invariant_has_one() -> None:
    subjects = {(row.kind, row.subject) for row in gate_table()}
    assert {(CheckKind.GATEWAY, gateway.value) for gateway in Gateway} <= subjects
    assert gate(CheckKind.INVARIANT, "I-4").id == "F-CONTRACT-I4-001"


def test_scenarios_and_edge_cases_of_one_name_are_told_apart() -> None:
    quality = gate(CheckKind.SCENARIO, "unicode", Category.QUAL)
    edge = gate(CheckKind.SCENARIO, "unicode", Category.EDGE)
    assert (quality.id, edge.id) == ("F-QUAL-005", "F-EDGE-005")


def test_only_gateways_and_conditions_count_in_no_category() -> None:
    for row in gate_table():
        assert (row.category is None) == (row.kind in (CheckKind.GATEWAY, CheckKind.CONDITION))


def test_an_id_names_its_category() -> None:
    for row in gate_table():
        if row.category and row.kind is not CheckKind.INVARIANT:
            assert row.id.split("-")[1] == row.category
