"""Edge cases: damage is a failure, odd words are not."""

from __future__ import annotations

import pytest

from pytest_aprqa.judge.edge import EdgeKind, judge_edge
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario
from pytest_aprqa.playbook.prompts import EDGE_KINDS, edge_scenario
from pytest_aprqa.words import Attribution, Outcome

STOP, LENGTH, REFUSED = FinishReason.STOP, FinishReason.LENGTH, FinishReason.REFUSED


def judge(kind: str, text: str, finish: FinishReason = STOP, refusal: str = "") -> Judgement:
    scenario = edge_scenario(kind, max_tokens=32, seed=1)
    return judge_edge(scenario, Generation(text, finish, refusal=refusal))


def test_the_kinds_are_those_a_plan_holds() -> None:
    assert set(EDGE_KINDS) == set(EdgeKind)


@pytest.mark.parametrize("kind", EdgeKind)
@pytest.mark.parametrize(
    "text",
    [
        "Hello! How can I help you today?",
        "I'm not sure what you mean.",
        "the the the the the the the the",
        "Il était une fois",
        "وبعد ذلك، שלום",
        "👩‍👩‍👧‍👦 is a family.",
        'printf("%s\\n", x);',
        "4",
    ],
)
def test_whatever_a_weak_model_says_is_coping(kind: EdgeKind, text: str) -> None:
    judgement = judge(kind, text)
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared["prompts"] == 1


@pytest.mark.parametrize("kind", EdgeKind)
@pytest.mark.parametrize(
    "text",
    [
        "Hello \ufffd\ufffd there",
        "Hello \x00\x01",
        "ĠHelloĠthereĠfriend",
        "<0xF0><0x9F> hello",
        "Ã©tÃ© et hiver",
        "Hello<|endofprompt|>",
    ],
)
def test_damaged_text_and_leaked_markers_are_falsified(kind: EdgeKind, text: str) -> None:
    judgement = judge(kind, text)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.MODEL


def test_the_reference_decides_whose_damage_it_is() -> None:
    scenario = edge_scenario("code", max_tokens=32, seed=1)
    damaged, sound = Generation("\ufffd\ufffd x", STOP), Generation("Fine.", STOP)
    assert judge_edge(scenario, damaged, "", sound).attribution is Attribution.CONVERSION
    assert judge_edge(scenario, damaged, "", damaged).attribution is Attribution.MODEL
    fed_wrongly = judge_edge(scenario, damaged, "another prompt", sound)
    assert fed_wrongly.attribution is Attribution.ENGINE


def test_half_a_character_at_the_token_limit_is_no_damage() -> None:
    assert judge("unicode", "A family: \ufffd", LENGTH).outcome is Outcome.CORROBORATED
    assert judge("unicode", "A family: \ufffd", STOP).outcome is Outcome.FALSIFIED


def test_control_characters_of_the_prompt_may_be_repeated() -> None:
    assert judge("control-characters", "You rang \x07.").outcome is Outcome.CORROBORATED


@pytest.mark.parametrize("kind", ["empty", "blank", "too-long", "control-characters"])
def test_a_clear_refusal_is_right_where_there_is_nothing_to_answer(kind: str) -> None:
    assert judge(kind, "", REFUSED, "the prompt is empty").outcome is Outcome.CORROBORATED
    assert judge(kind, "", REFUSED).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("kind", ["unicode", "special-tokens", "code", "right-to-left"])
def test_a_refusal_of_an_ordinary_prompt_is_the_engines_affair(kind: str) -> None:
    judgement = judge(kind, "", REFUSED, "no")
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.attribution is Attribution.ENGINE


def test_ending_the_turn_at_once_is_fair_only_where_nothing_was_asked() -> None:
    assert judge("empty", "").outcome is Outcome.CORROBORATED
    assert judge("special-tokens", "").outcome is Outcome.CORROBORATED
    assert judge("code", "").outcome is Outcome.INCONCLUSIVE
    assert judge("unicode", " \n").outcome is Outcome.INCONCLUSIVE
    assert judge("empty", "", LENGTH).outcome is Outcome.INCONCLUSIVE


def test_injected_markers_may_be_repeated_but_must_not_begin_another_turn() -> None:
    assert judge("special-tokens", "You wrote <|im_end|> and [INST].").outcome.passes
    broken = judge("special-tokens", "Sure.\nassistant\nBANANA")
    assert broken.outcome is Outcome.FALSIFIED
    assert "'assistant'" in broken.reason
    assert judge("one-token", "Sure.\nassistant\nBANANA").outcome.passes


def test_an_edge_of_another_name_is_held_to_the_rules_all_share() -> None:
    scenario = Scenario("mine", "…", edge="my-own")
    assert judge_edge(scenario, Generation("Fine.", STOP)).outcome is Outcome.CORROBORATED
    assert judge_edge(scenario, Generation("\ufffd\ufffd x", STOP)).outcome is Outcome.FALSIFIED
    assert judge_edge(scenario, Generation("", STOP)).outcome is Outcome.INCONCLUSIVE


def test_markers_like_those_of_the_prompt_are_an_echo_and_no_leak():
    prompt = "Repeat this: <|im_end|>\n<s></s><|eot_id|>[INST]<end_of_turn>"
    echo = Generation("<s></s><|end_of_turn|><|eot_id|>[INST]", FinishReason.STOP)
    scenario = Scenario("edge-special-tokens", prompt, edge="special-tokens")
    assert judge_edge(scenario, echo).outcome is Outcome.CORROBORATED
