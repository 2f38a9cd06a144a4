"""From answer to judgement, and what an earlier tool's oracles got wrong (A1-A6)."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_aprqa.judge.answer import judge_answer, judge_beside, without_thinking
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.oracles import OracleError
from pytest_aprqa.observation import FinishReason, Generation, Usage
from pytest_aprqa.playbook.check import OracleSpec, Scenario
from pytest_aprqa.playbook.judges import Judges
from pytest_aprqa.playbook.matrix import Prompt
from pytest_aprqa.words import Attribution, Outcome

SUM = OracleSpec("arithmetic", {"tolerance": 0.01})
GARBAGE = OracleSpec("garbage", {"max_repetition_ratio": 0.3, "min_unique_chars": 10})
RESPONSE = OracleSpec("response", {"min_relevance": 0.2})
BANNER = (
    "\x1b[1;36m=== APR Run ===\x1b[0m\n\nSource: model.gguf\n\n"
    "=== Benchmark Results ===\ntokens: 32\ntok/s: 2.4\nlatency: 23724.61ms\nmodel: model.gguf"
)


def judge(
    prompt: str,
    answer: str | Generation,
    *oracles: OracleSpec,
    reference: str | Generation | None = None,
) -> Judgement:
    scenario = Scenario("s", prompt, oracles=oracles)
    return judge_answer(
        scenario, _generation(answer), None if reference is None else _generation(reference)
    )


def _generation(answer: str | Generation) -> Generation:
    if isinstance(answer, Generation):
        return answer
    return Generation(answer, FinishReason.STOP, token_ids=tuple(range(len(answer.split()))))


# --- what an earlier tool got wrong


@pytest.mark.parametrize(
    "answer", ["", "  \n", "olumbia+lsi nunca/localENTS xiv ngrx", "5", "Paris."]
)
def test_a1_a_question_in_words_is_understood_and_a_wrong_answer_to_it_falsified(
    answer: str,
) -> None:
    assert judge("What is 2+2?", answer, SUM, GARBAGE, RESPONSE).outcome is Outcome.FALSIFIED
    assert judge("What is 2+2?", "4", SUM, GARBAGE, RESPONSE).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize("answer", ["", "**,))****))**),)))))**)**", BANNER])
def test_a2_empty_answers_token_salad_and_banners_hold_no_answer(answer: str) -> None:
    assert judge("What is 2+2?", answer, SUM).outcome is Outcome.FALSIFIED
    assert judge("What is 2+2?", answer).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize(
    ("prompt", "answer"), [("2+2=", "latency: 23724.61ms"), ("1+1=", "12"), ("2+2=", "tok/s: 2.4")]
)
def test_a3_digits_elsewhere_in_the_text_are_not_the_answer(prompt: str, answer: str) -> None:
    assert judge(prompt, answer, SUM).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize(
    "answer",
    [
        "More information is in the infrastructure guide.",
        "Infer the type, then inform the user.",
        "NaN is what a float is when it is not a number; Inf is infinity.",
    ],
)
def test_a4_words_that_begin_with_inf_are_not_garbage(answer: str) -> None:
    assert judge("Tell me more.", answer).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(
    "answer",
    [
        "The capital of France is Paris.",
        "The capital of France is lovely Paris.",
        "To be or not to be, friend.",
        "It is what it is, my friend.",
    ],
)
def test_a5_answers_of_six_or_seven_words_are_not_repetitive(answer: str) -> None:
    assert judge("Say something.", answer).outcome is Outcome.CORROBORATED


def test_a6_code_that_does_not_parse_is_falsified() -> None:
    code = OracleSpec("code_syntax", {"languages": ["python"]})
    stem = "def add(a, b):\n"
    assert judge(stem, "    return a + b\n", code).outcome is Outcome.CORROBORATED
    assert judge(stem, "    return (a + b\n", code).outcome is Outcome.FALSIFIED
    assert judge(stem, "{ return; } => fn let", code).outcome is Outcome.FALSIFIED


# --- outcomes


def test_an_answer_without_oracles_is_corroborated_by_not_being_garbage() -> None:
    judgement = judge("Hi", "Hello! How can I help you?")
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared["prompts"] == 1


def test_a_pass_counts_the_oracles_that_spoke_and_the_tokens() -> None:
    judgement = judge("What is 2+2?", "2+2 is 4.", SUM, OracleSpec("contains", {"any": ["4"]}))
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"prompts": 1, "tokens": 3, "oracles": 2}
    assert judgement.attribution is None


def test_tokens_are_counted_from_the_usage_where_a_server_gives_no_ids() -> None:
    answer = Generation("4", FinishReason.STOP, usage=Usage(7, 2))
    assert judge("What is 2+2?", answer, SUM).compared["tokens"] == 2


PARIS = OracleSpec("contains", {"any": ["Paris"]})


def test_oracles_that_do_not_apply_make_no_pass() -> None:
    judgement = judge("What is the capital of France?", "Paris.", SUM)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.reason == "arithmetic does not apply: the prompt asks for no single sum"


@pytest.mark.parametrize("others", [(), (GARBAGE,), (RESPONSE, GARBAGE), (PARIS,)])
def test_no_other_oracle_makes_up_for_one_that_cannot_judge(others: tuple[OracleSpec, ...]) -> None:
    judgement = judge("What is the capital of France?", "Paris.", SUM, *others)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.reason.startswith("arithmetic does not apply")
    wrong = judge("What is the capital of France?", "Lyon.", SUM, PARIS)
    assert wrong.outcome is Outcome.FALSIFIED


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("What is 5+3 minus the number of legs of a dog?", "I do not know that."),
        ("Write a Kotlin function that adds.", "fun add(a: Int, b: Int) = a + b"),
    ],
)
def test_a_form_that_promised_too_much_leaves_the_answer_unjudged(prompt: str, answer: str) -> None:
    chosen = Judges(()).of_prompt(Prompt(prompt=prompt))
    assert judge(prompt, answer, *chosen).outcome is Outcome.INCONCLUSIVE


def test_where_only_garbage_is_asked_for_not_to_be_garbage_is_a_pass() -> None:
    assert judge("Tell me a joke.", "Why not.", GARBAGE).outcome is Outcome.CORROBORATED
    assert judge("Tell me a joke.", "Why not.", RESPONSE, GARBAGE).outcome is Outcome.INCONCLUSIVE


def test_a_right_answer_needs_no_witness() -> None:
    for witness in (RESPONSE, OracleSpec("reference")):
        judgement = judge("What is 2+2?", "4", SUM, witness)
        assert judgement.outcome is Outcome.CORROBORATED
        assert judgement.compared["oracles"] == 1


@pytest.mark.parametrize("mode", ["all", "any"])
def test_in_a_composite_garbage_makes_no_answer_right_either(mode: str) -> None:
    members = [{"type": "arithmetic"}, {"type": "garbage"}]
    both = OracleSpec("composite", {"mode": mode, "oracles": members})
    assert judge("Tell me a joke.", "Why not.", both).outcome is Outcome.INCONCLUSIVE
    assert judge("What is 2+2?", "4", both).outcome is Outcome.CORROBORATED
    only = OracleSpec("composite", {"mode": mode, "oracles": members[1:]})
    assert judge("Tell me a joke.", "Why not.", only).outcome is Outcome.CORROBORATED
    assert judge("Tell me a joke.", "Why not.", SUM, only).outcome is Outcome.INCONCLUSIVE


def test_any_wrong_falsifies_and_expected_says_what_was_right() -> None:
    judgement = judge("What is 2+2?", "It is 5.", SUM, OracleSpec("contains", {"any": ["5"]}))
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.reason == "the stated value is 5; 4 is right"
    assert judgement.expected == "4 and any of ['5']"


def test_garbage_is_looked_for_before_any_oracle_is_asked() -> None:
    holds_it = OracleSpec("contains", {"any": ["4"]})
    judgement = judge("What is 2+2?", "4 4 4 4 4 <|im_end|><|im_end|>", holds_it)
    assert judgement.outcome is Outcome.FALSIFIED
    assert "<|im_end|>" in judgement.reason


def test_the_templates_own_markers_are_a_leak_and_the_users_are_not() -> None:
    rendered = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    answer = Generation("Hello.<|im_end|>", FinishReason.STOP, rendered_prompt=rendered)
    assert judge("Hi", answer).outcome is Outcome.FALSIFIED
    assert judge("What is <|im_end|> for?", answer).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(
    ("reference", "attribution"),
    [
        (None, Attribution.MODEL),
        ("5", Attribution.MODEL),
        ("", Attribution.MODEL),
        ("4", Attribution.CONVERSION),
        ("2 + 2 = 4", Attribution.CONVERSION),
    ],
)
def test_a_wrong_answer_is_the_conversions_doing_when_the_reference_is_right(
    reference: str | None, attribution: Attribution
) -> None:
    judgement = judge("What is 2+2?", "It is 5.", SUM, reference=reference)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is attribution


@pytest.mark.parametrize(
    ("reference", "attribution"),
    [("Hello there, friend.", Attribution.CONVERSION), ("ak ak ak ak ak ak", Attribution.MODEL)],
)
def test_garbage_is_attributed_like_a_wrong_answer(
    reference: str, attribution: Attribution
) -> None:
    judgement = judge("Hi", "VILLEVILLEVILLEVILLE", reference=reference)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is attribution


REFUSED = Generation("", FinishReason.REFUSED, refusal="prompt of 900 tokens exceeds 512")


def test_a_declined_question_is_inconclusive_in_the_engines_own_words() -> None:
    for reference in (None, REFUSED):
        judgement = judge("What is 2+2?", REFUSED, SUM, reference=reference)
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.attribution is Attribution.ENGINE
        assert "exceeds 512" in judgement.reason


def test_declining_what_the_reference_answers_is_the_conversions_doing() -> None:
    judgement = judge("What is 2+2?", REFUSED, SUM, reference="4")
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.CONVERSION


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>2+2=5? no</think>\n4", "\n4"),
        ("First, 5 comes up.</think>4", "4"),
        ("<think></think>4", "4"),
        ("<think>still thinking about 4", "<think>still thinking about 4"),
        ("4", "4"),
    ],
)
def test_thinking_is_not_part_of_the_answer(text: str, answer: str) -> None:
    assert without_thinking(text) == answer


def test_a_wrong_guess_while_thinking_does_no_harm() -> None:
    assert judge("What is 2+2?", "<think>2+2=5? No.</think>4", SUM).outcome.passes


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("<think>2+2 is 4, I think, but let me", None),
        ("\n<think>\nThe answer is 4", "<|user|>What is 2+2?<|assistant|>"),
        ("The answer may be 4, but let me", "<|user|>What is 2+2?<|assistant|><think>\n"),
        ("<think>2+2 is 4.</think>\n", None),
    ],
)
@pytest.mark.parametrize("oracles", [(), (SUM,)])
def test_a_model_that_only_thought_has_not_answered(
    text: str, rendered: str | None, oracles: tuple[OracleSpec, ...]
) -> None:
    def judged(finish: FinishReason) -> Judgement:
        return judge("What is 2+2?", Generation(text, finish, rendered_prompt=rendered), *oracles)

    cut_off, ended = judged(FinishReason.LENGTH), judged(FinishReason.STOP)
    assert cut_off.outcome is Outcome.INCONCLUSIVE
    assert "cut off" in cut_off.reason
    assert ended.outcome is Outcome.FALSIFIED
    assert ended.attribution is Attribution.MODEL


def test_an_answer_after_thinking_that_the_template_began_is_judged() -> None:
    answer = Generation("2+2=5? No.</think>4", FinishReason.STOP, rendered_prompt="<think>\n")
    assert judge("What is 2+2?", answer, SUM).outcome is Outcome.CORROBORATED


def test_an_oracle_that_does_not_exist_is_an_error_not_an_outcome() -> None:
    with pytest.raises(OracleError, match="There is no oracle"):
        judge("Hi", "Hello there.", OracleSpec("vibes"))


def test_agreement_with_the_reference_can_be_asked_for() -> None:
    spec: Any = OracleSpec("reference")
    assert judge("Hi", "Hello there.", spec, reference="Hello there.").outcome.passes
    assert judge("Hi", "Hello there.", spec).outcome is Outcome.INCONCLUSIVE


AGREES = OracleSpec("reference")
AGREES_IN_ONE = OracleSpec("composite", {"oracles": [{"type": "reference"}]})


@pytest.mark.parametrize("oracle", [AGREES, AGREES_IN_ONE])
def test_the_reference_is_asked_for_where_an_oracle_compares_with_it(oracle: OracleSpec) -> None:
    scenario = Scenario("s", "Hi", oracles=(oracle,))
    reference = Generation("Hello there.", FinishReason.STOP, (1, 2), (-0.1, -0.1), (-9.0, -9.0))
    same = judge_beside(scenario, reference, lambda: reference)
    assert same.outcome is Outcome.CORROBORATED
    other = Generation("Hello you.", FinishReason.STOP, (1, 3), (-0.1, -0.1), (-9.0, -9.0))
    differs = judge_beside(scenario, other, lambda: reference)
    assert differs.outcome is Outcome.FALSIFIED
    assert differs.attribution is Attribution.CONVERSION
    assert judge_beside(scenario, other, lambda: None).outcome is Outcome.INCONCLUSIVE


def test_the_reference_is_not_asked_for_a_right_answer() -> None:
    asked = []
    scenario = Scenario("s", "What is 2+2?", oracles=(SUM,))
    for text in ("4", "5"):
        judge_beside(scenario, _generation(text), lambda: asked.append(text))  # noqa: B023
    assert asked == ["5"]
