"""What the tests of oracles share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_aprqa.judge.oracles import Case, OracleAnswer, make_oracle
from pytest_aprqa.observation import FinishReason
from pytest_aprqa.playbook.check import Scenario


@pytest.fixture(scope="session")
def ask() -> Callable[..., OracleAnswer]:
    """Ask an oracle of some type and configuration what it says to an answer."""

    def judge(
        type_: str,
        answer: str,
        prompt: str = "Say it.",
        *,
        finish: FinishReason = FinishReason.STOP,
        **config: Any,
    ) -> OracleAnswer:
        return make_oracle(type_, config).judge(Case(Scenario("s", prompt), answer, finish))

    return judge
