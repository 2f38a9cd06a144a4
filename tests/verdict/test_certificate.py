"""What a run adds up to: status, reason, proof and exit."""

from __future__ import annotations

import pytest

from pytest_aprqa.verdict.certificate import Certificate, certify, pass_threshold, prove
from pytest_aprqa.verdict.mqs import score_records
from pytest_aprqa.verdict.provenance import ArtifactRecord
from pytest_aprqa.words import Category, Format, Status, Tier

SHA = "a" * 64


def certified(story, *, failure="", artifacts=None, **letters) -> Certificate:
    told = story(**letters)
    mqs = score_records(told.plan, told.records)
    return certify(told.plan, told.records, mqs, artifacts=artifacts, failure=failure)


def share(percent: float) -> str:
    """Return the letters of 1000 checks of which so many per cent pass."""
    passed = round(percent * 10)
    return "C" * passed + "F" * (1000 - passed)


@pytest.mark.parametrize(
    ("letters", "status", "exit_ok"),
    [
        pytest.param({"QUAL": "CCC"}, "CERTIFIED", True, id="everything passed"),
        pytest.param({"QUAL": share(85)}, "CERTIFIED", True, id="850"),
        pytest.param({"QUAL": share(84.9)}, "PROVISIONAL", True, id="849"),
        pytest.param({"QUAL": share(70)}, "PROVISIONAL", True, id="700"),
        pytest.param({"QUAL": share(69.9)}, "BLOCKED", False, id="699"),
        pytest.param({"QUAL": "F"}, "BLOCKED", False, id="everything failed"),
        pytest.param({"QUAL": "CCC", "G0": "F"}, "BLOCKED", False, id="corrupt file"),
        pytest.param({"QUAL": "CCC", "G1": "CF"}, "BLOCKED", False, id="one cell does not load"),
        pytest.param({"QUAL": "CCC", "G2": "T"}, "BLOCKED", False, id="inference hangs"),
        pytest.param({"QUAL": "CCX"}, "BLOCKED", False, id="repeatable crash"),
        pytest.param({"QUAL": "CCC", "G4": "F"}, "BLOCKED", False, id="garbage"),
        pytest.param(
            {"QUAL": "SSS", "G2": "F"}, "BLOCKED", False, id="gateway failed, rest skipped"
        ),
        pytest.param({"QUAL": "C", "P0": "C"}, "CERTIFIED", True, id="conditions hold"),
        pytest.param({"QUAL": "C", "P0": "CF"}, "BLOCKED", False, id="a P0 condition fails"),
        pytest.param({"QUAL": "C", "P1": "F"}, "PROVISIONAL", True, id="a P1 condition fails"),
        pytest.param({"QUAL": "C", "P2": "F"}, "CERTIFIED", True, id="a P2 condition fails"),
        pytest.param({"QUAL": "C", "P2": "I"}, "PARTIAL", True, id="a condition is open"),
        pytest.param({"QUAL": "CCS"}, "PARTIAL", True, id="a check was skipped"),
        pytest.param({"QUAL": "CCI"}, "PARTIAL", True, id="a check stayed inconclusive"),
        pytest.param({"QUAL": "CC."}, "PARTIAL", True, id="a check did not run"),
        pytest.param({"QUAL": "CC", "G1": "CE"}, "PARTIAL", True, id="no GPU to load on"),
        pytest.param({"QUAL": "CC", "G1": "CI"}, "PARTIAL", False, id="a cell may not load"),
        pytest.param({"QUAL": "CC", "G1": "C."}, "PARTIAL", False, id="a cell was not loaded"),
        pytest.param({"QUAL": "C" * 99 + "x"}, "PARTIAL", False, id="crash not tried again"),
        pytest.param({"QUAL": "CC", "EDGE": "SS"}, "PARTIAL", False, id="empty category, 571"),
        pytest.param({"QUAL": "SS"}, "PARTIAL", False, id="only gateways ran"),
        pytest.param(
            {"QUAL": "C" * 9 + "F", "EDGE": "S"}, "PARTIAL", False, id="low by gaps alone"
        ),
        pytest.param({"QUAL": "CF", "EDGE": "S"}, "BLOCKED", False, id="low by failures and gaps"),
        pytest.param({"QUAL": "F....."}, "BLOCKED", False, id="stopped at the first failure"),
        pytest.param({"QUAL": share(90) + "S"}, "PARTIAL", True, id="failures do not hide a gap"),
        pytest.param({"tier": Tier.DEEP, "QUAL": share(90)}, "CERTIFIED", True, id="deep 900"),
        pytest.param({"tier": Tier.DEEP, "QUAL": share(89.9)}, "PROVISIONAL", False, id="deep 899"),
        pytest.param({"tier": Tier.DEEP, "QUAL": share(69.9)}, "BLOCKED", False, id="deep 699"),
        pytest.param({"tier": Tier.SMOKE, "QUAL": "CCC"}, "CERTIFIED", True, id="smoke"),
        pytest.param({"threshold": 950, "QUAL": share(90)}, "CERTIFIED", False, id="own threshold"),
        pytest.param({"failure": "model not found"}, "FAIL", False, id="no model"),
        pytest.param({"failure": "disk full", "QUAL": "CC"}, "FAIL", False, id="run given up"),
    ],
)
def test_status(story, letters, status, exit_ok):
    certificate = certified(story, **letters)
    assert (certificate.status, certificate.exit_ok) == (status, exit_ok)
    assert bool(certificate.reason) == (certificate.status is not Status.CERTIFIED)


@pytest.mark.parametrize("severity", ["P0", "P1"])
def test_a_condition_that_does_not_hold_is_named_and_costs_no_points(story, severity) -> None:
    certificate = certified(story, QUAL="C", **{severity: "CF"})
    assert (certificate.score, certificate.reason) == (1000, f"{severity}-1: because {severity}-1")


def test_a_run_in_which_nothing_came_to_a_verdict_is_no_run(story):
    nothing = dict.fromkeys(("G0", "G1", "G2", "G3", "G4"), "S")
    certificate = certified(story, **nothing, QUAL="SS")
    assert certificate.status is Status.FAIL
    assert certificate.reason.startswith("no check came to a verdict: because")


@pytest.mark.parametrize(
    ("letters", "reason"),
    [
        ({"QUAL": "C", "G2": "CF"}, "G2 falsified: G2-1: because G2-1"),
        ({"QUAL": "CF"}, "MQS 500 is below 700: 1 check failed, the first QUAL-1: because QUAL-1"),
        ({"QUAL": "CCCCF"}, "MQS 800 is below 850: 1 check failed, the first QUAL-4: because"),
        ({"QUAL": "CS"}, "no verdict on 1 of 7 checks: because QUAL-1"),
        ({"QUAL": "C."}, "no verdict on 1 of 7 checks: not run"),
        ({"QUAL": "C", "PERF": "S"}, "because PERF-0; nothing measured in PERF"),
        ({"QUAL": "C", "G4": ""}, "G4 is not proven: G4 is not in the plan"),
        (
            {"QUAL": "C", "planned_categories": (Category.PERF,)},
            "nothing was planned that could be measured; nothing measured in PERF",
        ),
        ({"failure": "the model org/tiny was not found"}, "the model org/tiny was not found"),
    ],
)
def test_the_reason_names_what_stands_in_the_way(story, letters, reason):
    certificate = certified(story, **letters)
    assert reason in certificate.reason
    assert "\n" not in certificate.reason


@pytest.mark.parametrize(
    ("tier", "threshold"),
    [("smoke", 700), ("mvp", 700), ("quick", 700), ("standard", 700), ("deep", 900)],
)
def test_pass_threshold_of_a_tier(tier, threshold):
    assert pass_threshold(Tier(tier)) == threshold


@pytest.mark.parametrize(
    ("qual", "prompts", "proven"),
    [
        ("C" * 18, 18, "18/18 over 18 distinct prompts: pass rate >= 0.847 at 95 %"),
        ("C" * 18, 9, "18/18 over 9 distinct prompts: pass rate >= 0.717 at 95 %"),
        ("C" * 18, 1, "18/18 over 1 distinct prompt: pass rate >= 0.050 at 95 %"),
        ("C" * 17 + "F", 9, "17/18 over 9 distinct prompts (8 everywhere): pass rate >= 0.571"),
        ("F" * 4, 4, "0/4 over 4 distinct prompts (0 everywhere): pass rate >= 0.000 at 95 %"),
        ("CCS", 3, "2/2 over 2 distinct prompts: pass rate >= 0.224 at 95 %"),
        ("SSS", 3, "nothing: no prompt was answered and judged"),
    ],
)
def test_what_the_answers_prove(story, qual, prompts, proven):
    assert certified(story, QUAL=qual, prompts=prompts).proven.startswith(proven)


def test_a_prompt_that_fails_in_one_cell_counts_as_failed(story):
    told = story(QUAL="CF", prompts=1)
    proof = prove(told.plan, told.records)
    assert (proof.prompts, proof.passed_prompts, proof.lower_bound) == (1, 0, 0.0)


def test_gateways_prove_nothing_about_answers(story):
    told = story(QUAL="C", G4="CCCCCC")
    assert prove(told.plan, told.records).prompts == 1


def artifacts(**changes) -> dict[Format, ArtifactRecord]:
    weights = {"model.safetensors": SHA, "config.json": "c" * 64}
    truth = {"digest": "1" * 64, "files": weights, "expected": {"model.safetensors": SHA}}
    return {
        Format.SAFETENSORS: ArtifactRecord(**{**truth, **changes}),
        Format.GGUF: ArtifactRecord(digest="2" * 64, converted_from="1" * 64),
    }


def test_provenance_is_verified_for_sound_files(story):
    assert certified(story, QUAL="C", artifacts=artifacts()).provenance_verified


def test_provenance_is_not_verified_without_artifacts(story):
    assert not certified(story, QUAL="C").provenance_verified


def test_provenance_is_not_verified_when_integrity_is_open(story):
    assert not certified(story, QUAL="C", G0="I", artifacts=artifacts()).provenance_verified


@pytest.mark.parametrize("letters", ["CCC", share(80), share(50), "CCS"])
def test_a_smaller_tier_gives_no_better_certificate(story, letters):
    smoke = certified(story, tier=Tier.SMOKE, QUAL=letters)
    standard = certified(story, tier=Tier.STANDARD, QUAL=letters)
    assert (smoke.status, smoke.score, smoke.grade) == (
        standard.status,
        standard.score,
        standard.grade,
    )


@pytest.mark.parametrize("gateway", ["G0", "G1", "G2", "G4"])
@pytest.mark.parametrize("letters", ["F", "I", "S", ".", ""])
def test_nothing_is_certified_unless_every_gateway_was_seen_to_hold(story, gateway, letters):
    certificate = certified(story, QUAL="CCC", **{gateway: letters})
    assert certificate.status in (Status.BLOCKED, Status.PARTIAL)
    assert not certificate.exit_ok
