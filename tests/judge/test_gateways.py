"""What lets a gateway hold, and what makes it fail."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pytest_aprqa.judge.gateways import judge_g0, judge_g2, judge_g3, judge_g4
from pytest_aprqa.observation import FileReport, Finding, FinishReason, Generation, Severity
from pytest_aprqa.words import Attribution, Outcome

Answer = Callable[..., Generation]
SOUND = "The capital of France is Paris, which lies on the river Seine."
GARBAGE = "the the the the the the the the the the the the the the the the"


def test_consistent_files_hold_g0_and_say_what_was_looked_at() -> None:
    judgement = judge_g0(FileReport(checked={"tensors": 272, "bytes": 98_362_432}))
    assert judgement.outcome is Outcome.CORROBORATED
    assert "272 tensors" in judgement.reason


@pytest.mark.parametrize("checked", [{}, {"tensors": 0, "bytes": 0}])
def test_a_file_check_that_looked_at_nothing_is_inconclusive(checked: dict[str, int]) -> None:
    assert judge_g0(FileReport(checked=checked)).outcome is Outcome.INCONCLUSIVE


def test_warnings_do_not_fail_g0() -> None:
    warning = Finding("G0-X", "odd", Severity.WARNING)
    assert judge_g0(FileReport((warning,), {"tensors": 1})).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(
    ("converted", "attribution"), [(False, Attribution.MODEL), (True, Attribution.CONVERSION)]
)
def test_an_error_in_the_files_fails_g0_with_its_sentence(
    converted: bool, attribution: Attribution
) -> None:
    errors = tuple(Finding("G0-HEADER", f"fault {i}") for i in range(3))
    judgement = judge_g0(FileReport(errors, {"tensors": 1}), converted=converted)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is attribution
    assert judgement.reason == "G0-HEADER: fault 0 (2 more errors)"
    assert judgement.metrics == {"errors": 3.0}


def test_an_error_found_before_anything_was_counted_still_fails_g0() -> None:
    report = FileReport((Finding("G0-HEADER", "not a GGUF file"),))
    assert judge_g0(report).outcome is Outcome.FALSIFIED


def test_one_token_of_text_holds_g2(answer: Answer) -> None:
    judgement = judge_g2(answer("4", (19,), finish=FinishReason.LENGTH))
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared["tokens"] == 1


def test_text_over_http_holds_g2_without_token_ids(answer: Answer) -> None:
    assert judge_g2(answer("4")).outcome is Outcome.CORROBORATED


SILENT = Generation(text="", finish=FinishReason.STOP, token_ids=(2,))
REFUSED = Generation(text="", finish=FinishReason.REFUSED, refusal="prompt too long")


@pytest.mark.parametrize("silent", [SILENT, Generation(text="", finish=FinishReason.LENGTH)])
def test_an_answer_without_text_fails_g2(silent: Generation) -> None:
    assert judge_g2(silent).outcome is Outcome.FALSIFIED


def test_a_refusal_fails_g2_in_the_engines_words() -> None:
    judgement = judge_g2(REFUSED)
    assert judgement.outcome is Outcome.FALSIFIED
    assert "prompt too long" in judgement.reason


def test_the_reference_decides_whose_fault_silence_is() -> None:
    assert judge_g2(SILENT, reference_holds=True).attribution is Attribution.CONVERSION
    assert judge_g2(SILENT).attribution is Attribution.MODEL


def test_a_cancelled_generation_says_nothing_about_g2() -> None:
    cancelled = Generation(text="", finish=FinishReason.CANCELLED)
    assert judge_g2(cancelled).outcome is Outcome.INCONCLUSIVE


def test_a_crash_that_repeats_fails_g3_and_is_named() -> None:
    judgement = judge_g3(executed=12, repeated=["G2[gguf-cpu]"], flaky=["repeat[apr-cpu]"])
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
    assert "G2[gguf-cpu]" in judgement.reason


def test_a_crash_that_does_not_repeat_leaves_g3_standing() -> None:
    judgement = judge_g3(executed=12, repeated=[], flaky=["repeat[apr-cpu]"])
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.metrics["flaky_crashes"] == 1


def test_a_run_that_executed_nothing_proves_no_stability() -> None:
    assert judge_g3(executed=0, repeated=[]).outcome is Outcome.INCONCLUSIVE
    assert judge_g3(executed=0, repeated=["G1"]).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize(
    ("garbage", "total", "outcome"),
    [
        (0, 6, Outcome.CORROBORATED),
        (1, 6, Outcome.CORROBORATED),
        (2, 6, Outcome.FALSIFIED),
        (6, 6, Outcome.FALSIFIED),
        (1, 1, Outcome.FALSIFIED),
        (1, 2, Outcome.FALSIFIED),
        (1, 3, Outcome.CORROBORATED),
        (2, 30, Outcome.FALSIFIED),
        (2, 31, Outcome.CORROBORATED),
    ],
)
def test_g4_fails_on_more_garbage_than_the_detector_invents(
    answer: Answer, garbage: int, total: int, outcome: Outcome
) -> None:
    texts = [GARBAGE] * garbage + [SOUND] * (total - garbage)
    judgement = judge_g4([answer(text) for text in texts], false_alarm_rate=0.005)
    assert judgement.outcome is outcome
    assert judgement.compared == {"outputs": total}
    assert judgement.metrics["garbage_share"] == garbage / total


def test_many_judgements_in_a_run_accuse_a_sound_model_no_more_often_than_one(
    answer: Answer,
) -> None:
    answers = [answer(GARBAGE), *[answer(SOUND)]]
    alone = judge_g4(answers, false_alarm_rate=0.004)
    one_of_nine = judge_g4(answers, false_alarm_rate=0.004, family=9)
    assert alone.outcome is Outcome.FALSIFIED
    assert one_of_nine.outcome is Outcome.CORROBORATED
    assert judge_g4([answer(GARBAGE)] * 2, family=9).outcome is Outcome.FALSIFIED


def test_a_detector_that_errs_more_excuses_more(answer: Answer) -> None:
    answers = [answer(GARBAGE)] * 2 + [answer(SOUND)] * 4
    assert judge_g4(answers, false_alarm_rate=0.2).outcome is Outcome.CORROBORATED
    all_garbage = [answer(GARBAGE)] * 2
    assert judge_g4(all_garbage, false_alarm_rate=0.2).outcome is Outcome.FALSIFIED


def test_the_detectors_measured_errors_are_what_excuses_by_default(answer: Answer) -> None:
    sound = [answer(SOUND)] * 5
    assert judge_g4([answer(GARBAGE), *sound]).outcome is Outcome.CORROBORATED
    assert judge_g4([answer(GARBAGE)] * 2 + sound).outcome is Outcome.FALSIFIED


def test_nothing_to_look_at_is_inconclusive() -> None:
    assert judge_g4([]).outcome is Outcome.INCONCLUSIVE
    assert judge_g4([REFUSED]).outcome is Outcome.INCONCLUSIVE


def test_an_empty_answer_is_garbage() -> None:
    assert judge_g4([SILENT, SILENT]).outcome is Outcome.FALSIFIED


def test_the_reference_decides_whose_garbage_it_is(answer: Answer) -> None:
    broken = [answer(GARBAGE)] * 4
    assert judge_g4(broken, reference_holds=True).attribution is Attribution.CONVERSION
    assert judge_g4(broken).attribution is Attribution.MODEL


def test_log_probabilities_that_are_not_numbers_are_garbage(answer: Answer) -> None:
    broken = Generation(text=SOUND, finish=FinishReason.STOP, logprobs=(-0.1, math.nan))
    judgement = judge_g4([broken])
    assert judgement.outcome is Outcome.FALSIFIED
    assert "not finite" in judgement.reason


WORDS = "mutual Printer Hemisphere badge inventory"


def test_words_that_the_reference_finds_unlikely_are_garbage(answer: Answer) -> None:
    answers = [answer(WORDS)] * 3
    assert judge_g4(answers).outcome is Outcome.CORROBORATED
    assert judge_g4(answers, logprobs=[[-9.5] * 5] * 3).outcome is Outcome.FALSIFIED
    assert judge_g4(answers, logprobs=[[-2.5] * 5] * 3).outcome is Outcome.CORROBORATED
    refused = [REFUSED, *answers]
    assert judge_g4(refused, logprobs=[(), *[[-9.5] * 5] * 3]).compared == {"outputs": 3}


def test_the_tokenizers_special_tokens_are_garbage(answer: Answer) -> None:
    answers = [answer(f"{SOUND} [[STOP]]")] * 3
    assert judge_g4(answers).outcome is Outcome.CORROBORATED
    assert judge_g4(answers, special_tokens=["[[STOP]]"]).outcome is Outcome.FALSIFIED
