from __future__ import annotations

from typing import Any

import pytest

from pytest_aprqa.falsify.detection import Catch, Detection, SoundRun, Trial
from pytest_aprqa.falsify.fault import Family, Original
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.table import render_detection, summarise
from pytest_aprqa.words import Format, Outcome, Status, Tier


def catch(gate: Gate, tier: Tier = Tier.MVP) -> Catch:
    reason = "layer *2* differs | beyond rounding"
    return Catch(
        gate=gate, check=f"{gate}[gguf]", outcome=Outcome.FALSIFIED, reason=reason, tier=tier
    )


def trial(fault: str, *gates: Gate, form: Format = Format.GGUF, **fields: Any) -> Trial:
    known: dict[str, Any] = {
        "fault": f"weights-{fault}",
        "family": Family.WEIGHTS,
        "description": "two layers changed places",
        "format": form,
        "original": Original.NATIVE,
        "expected": Gate.I4,
        "expected_tier": Tier.MVP,
        "catches": tuple(map(catch, gates)),
    }
    return Trial(**(known | fields))


def sound(status: Status = Status.CERTIFIED, alarms: tuple[Catch, ...] = ()) -> SoundRun:
    return SoundRun(
        original=Original.NATIVE,
        tier=Tier.MVP,
        seed=42,
        digests={Format.SAFETENSORS: "aa", Format.GGUF: "bb"},
        alarms=alarms,
        checks=50,
        status=status,
        score=980,
    )


def detection(*trials: Trial, runs: tuple[SoundRun, ...] = (sound(),)) -> Detection:
    return Detection(
        model_id="org/model",
        digest="0" * 64,
        tier=Tier.MVP,
        seed=42,
        complete=False,
        command="apr-qa falsify",
        versions={"python": "3.11"},
        trials=trials,
        sound=runs,
    )


@pytest.mark.parametrize(
    ("gates", "expected", "caught"),
    [
        ((Gate.G0,), Gate.I4, True),
        ((Gate.I4,), Gate.I4, True),
        ((Gate.I5,), Gate.I4, False),
        ((Gate.DIGEST,), Gate.I4, False),
        ((Gate.DIGEST,), Gate.DIGEST, True),
        ((), Gate.DIGEST, False),
    ],
)
def test_caught_is_caught_at_the_expected_gate_or_before(
    gates: tuple[Gate, ...], expected: Gate, caught: bool
) -> None:
    assert trial("x", *gates, expected=expected).is_caught is caught


@pytest.mark.parametrize(
    ("by", "expected", "caught"),
    [
        (Tier.MVP, Tier.STANDARD, True),
        (Tier.STANDARD, Tier.STANDARD, True),
        (Tier.STANDARD, Tier.MVP, False),
    ],
)
def test_caught_is_caught_at_the_expected_tier_or_below(
    by: Tier, expected: Tier, caught: bool
) -> None:
    found = trial("x", expected_tier=expected, catches=(catch(Gate.QUAL, by),))
    assert found.is_caught is caught


def test_an_error_of_the_certifier_is_no_catch() -> None:
    assert not trial("x", Gate.G0, error="ValueError: no").is_caught


def test_a_class_is_caught_when_every_format_is() -> None:
    summary = summarise(
        detection(
            trial("one", Gate.G0),
            trial("one", Gate.G4, form=Format.APR),
            trial("two", Gate.G0),
            trial("two", form=Format.APR),
            trial("three", Gate.DIGEST, expected=Gate.DIGEST),
            trial("four", not_applicable="there is no bias"),
        )
    )
    assert (summary.classes.count, summary.classes.total) == (2, 3)
    assert (summary.classes_without_digests.count, summary.classes_without_digests.total) == (1, 3)
    assert (summary.cells.count, summary.cells.total) == (4, 5)
    assert str(summary.cells) == "4 of 5 (80.0%)"


def test_nothing_tried_proves_nothing() -> None:
    assert not summarise(detection()).passes


def test_one_blocked_sound_model_fails_the_certifier() -> None:
    caught = trial("one", Gate.G0)
    assert summarise(detection(caught)).passes
    assert not summarise(detection(caught, runs=(sound(Status.BLOCKED),))).passes


def test_sound_files_are_counted_by_digest_and_certifications_one_by_one() -> None:
    summary = summarise(
        detection(trial("one", Gate.G0), runs=(sound(), sound(alarms=(catch(Gate.I3),))))
    )
    assert (summary.sound_artifacts, summary.sound_runs, summary.blocked) == (2, 4, 0)
    assert (summary.alarms.count, summary.alarms.total) == (1, 100)


def test_the_table_says_of_each_fault_and_format_who_caught_it() -> None:
    withheld = catch(Gate.G1).model_copy(update={"reason": "the server is out of order"})
    text = render_detection(
        detection(
            trial("swapped", Gate.G4, Gate.I4),
            trial("swapped", Gate.I5, form=Format.APR),
            trial(
                "scaled",
                Gate.DIGEST,
                form=Format.SAFETENSORS,
                expected=Gate.DIGEST,
                blind="it answers as well",
            ),
            trial("lost", withheld=withheld),
            trial("bias", not_applicable="there is no bias"),
            trial(
                "seldom", catches=(catch(Gate.QUAL, Tier.STANDARD),), expected_tier=Tier.STANDARD
            ),
        )
    )
    lines = text.splitlines()
    assert "| swapped | two layers changed places |  | I-5, **late**: I-4 | G4 (I-4) |" in lines
    assert "| scaled | two layers changed places | sha256 |  |  |" in lines
    assert "| lost | two layers changed places |  |  | **missed**, withheld |" in lines
    assert "| bias | two layers changed places |  |  | n/a |" in lines
    assert "| seldom | two layers changed places |  |  | QUAL at standard |" in lines
    assert "* weights-scaled in SafeTensors: it answers as well." in lines
    assert any("weights-lost" in line and "came to no verdict" in line for line in lines)
    assert "layer \\*2\\* differs \\| beyond rounding" in text


def test_the_record_comes_back_as_it_was() -> None:
    kept = detection(trial("one", Gate.G0))
    assert Detection.model_validate_json(kept.to_json()) == kept
