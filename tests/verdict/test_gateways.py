"""The gateways over all cells."""

from __future__ import annotations

import pytest

from pytest_aprqa.verdict.gateways import gateways
from pytest_aprqa.words import Backend, Gateway, Outcome


def result(story, gateway: Gateway, **letters):
    told = story(**letters)
    return gateways(told.records, told.plan)[gateway]


@pytest.mark.parametrize(
    ("gateway", "letters", "outcome"),
    [
        ("G0", "CC", "corroborated"),
        ("G0", "CF", "falsified"),
        ("G0", "FC", "falsified"),
        ("G0", "IF", "falsified"),
        ("G0", "CI", "inconclusive"),
        ("G0", "C.", "inconclusive"),
        ("G0", "", "inconclusive"),
        ("G0", "T", "inconclusive"),
        ("G1", "CC", "corroborated"),
        ("G1", "CT", "falsified"),
        ("G1", "CX", "falsified"),
        ("G1", "Cx", "falsified"),
        ("G1", "Cy", "corroborated"),
        ("G1", "Ch", "corroborated"),
        ("G1", "CS", "inconclusive"),
        ("G1", "CE", "corroborated"),
        ("G1", "EE", "inconclusive"),
        ("G2", "CT", "falsified"),
        ("G2", "CX", "falsified"),
        ("G2", "CI", "inconclusive"),
        ("G4", "CC", "corroborated"),
        ("G4", "CF", "falsified"),
        ("G4", "CT", "inconclusive"),
        ("G4", "CX", "inconclusive"),
    ],
)
def test_a_gateway_over_its_cells(story, gateway, letters, outcome):
    found = result(story, Gateway(gateway), **{gateway: letters})
    assert found.outcome == outcome


def test_the_first_failing_check_is_named(story):
    found = result(story, Gateway.G2, G2="CFF")
    assert (found.check, found.reason) == ("G2-1", "G2-1: because G2-1")


def test_a_check_that_did_not_run_is_named(story):
    assert result(story, Gateway.G1, G1="C.").reason == "G1-1: not run"


def test_a_gateway_outside_the_plan_is_not_taken_as_held(story):
    found = result(story, Gateway.G4, G4="")
    assert (found.outcome, found.reason) == (Outcome.INCONCLUSIVE, "G4 is not in the plan")


def test_a_missing_gpu_is_no_failure_but_leaves_the_gateway_incomplete(story):
    found = result(story, Gateway.G1, G1="CE")
    assert found.outcome is Outcome.CORROBORATED
    assert not found.complete
    assert (found.planned, found.held, found.unavailable) == (2, 1, 1)


def test_a_skipped_gpu_cell_counts_as_a_missing_gpu(story):
    found = result(story, Gateway.G1, G1="CS", backend=Backend.GPU)
    assert found.outcome is Outcome.CORROBORATED
    assert not found.complete


@pytest.mark.parametrize(
    ("letters", "outcome"),
    [
        ({"QUAL": "CC"}, "corroborated"),
        ({"QUAL": "FF"}, "corroborated"),
        ({"QUAL": "CX"}, "falsified"),
        ({"QUAL": "Cy"}, "corroborated"),
        ({"QUAL": "Cx"}, "inconclusive"),
        ({"QUAL": "CT"}, "falsified"),
        ({"QUAL": "Ch"}, "corroborated"),
        ({"QUAL": "Ct"}, "inconclusive"),
        ({"G2": "X"}, "falsified"),
        ({"G3": "F", "QUAL": "C"}, "falsified"),
        ({"G3": "."}, "corroborated"),
        ({"G2": "S", "G4": "S"}, "inconclusive"),
        ({"G2": "S", "G4": "S", "QUAL": "SI"}, "inconclusive"),
    ],
)
def test_stability_is_read_from_every_check_of_the_run(story, letters, outcome):
    assert result(story, Gateway.G3, **letters).outcome == outcome


@pytest.mark.parametrize(("letters", "words"), [("CyX", "crashed again"), ("ChT", "hung again")])
def test_a_repeated_crash_or_hang_is_named(story, letters, words):
    found = result(story, Gateway.G3, QUAL=letters)
    assert found.check == "QUAL-2"
    assert found.reason.startswith(f"QUAL-2: {words} in a fresh engine")
