"""The oracle that compares with the reference's answer."""

from __future__ import annotations

from pytest_aprqa.judge.oracles import Case, OracleAnswer, Ruling, make_oracle
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
LENGTH = FinishReason.LENGTH


def generation(tokens: tuple[int, ...], margins: tuple[float, ...] | None, text: str) -> Generation:
    return Generation(
        text=text,
        finish=LENGTH,
        token_ids=tokens,
        logprobs=None if margins is None else tuple(-0.1 for _ in tokens),
        runner_up=None if margins is None else tuple(-0.1 - m for m in margins),
    )


def against(mine: Generation, reference: Generation | None, **config: float) -> OracleAnswer:
    case = Case(Scenario("s", "p"), mine.text, LENGTH, mine, reference)
    return make_oracle("reference", config).judge(case)


def test_agreement_with_the_reference_ends_at_a_tie_and_breaks_at_a_clear_choice() -> None:
    reference = generation((1, 2, 3), (2.0, 2.0, 0.1), "a b c")
    assert against(generation((1, 2, 3), (2.0, 2.0, 2.0), "a b c"), reference).ruling is RIGHT
    tie = against(generation((1, 2, 4), (2.0, 2.0, 0.2), "a b d"), reference)
    assert tie.ruling is RIGHT
    assert "tie at token 2" in tie.reason
    clear = against(generation((1, 9, 4), (2.0, 2.0, 0.2), "a x d"), reference)
    assert clear.ruling is WRONG
    assert "token 1" in clear.reason
    assert (
        against(generation((1, 2, 4), (2.0, 2.0, 0.2), "a b d"), reference, tie_nats=0.05).ruling
        is WRONG
    )


def test_without_a_reference_or_its_tokens_agreement_is_not_applicable() -> None:
    mine = generation((1, 2), (1.0, 1.0), "a b")
    assert against(mine, None).ruling is NOT_APPLICABLE
    assert against(mine, Generation("a c", LENGTH)).ruling is NOT_APPLICABLE
    assert against(mine, Generation("a b", LENGTH)).ruling is RIGHT
    assert against(mine, generation((7, 2), (0.0, 0.0), "x b")).ruling is NOT_APPLICABLE
    assert against(generation((), None, ""), mine).ruling is WRONG
