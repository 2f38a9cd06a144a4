"""An engine that is loaded once and asked by several: the lender's answers, and what becomes of them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.lent import BorrowedEngine, address_of, borrow
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Backend, Format

LIMIT = 60.0
QUESTION = Request("the quick brown", max_tokens=8)
CHAT = Request(None, messages=(Message(role="user", content="the lazy dog"),), max_tokens=8)

Processes = Callable[[], list[psutil.Process]]


@pytest.fixture
def address() -> str:
    found = address_of(uuid.uuid4().hex)
    assert found is not None, "engines are lent on Linux"
    return found


@pytest.fixture
def open_at(
    tiny_gguf: Path, make_artifact: Callable[[Format, Path], Artifact], tmp_path: Path
) -> Iterator[Callable[[str | None], Engine]]:
    """Return a function that opens the tiny model, lent at an address or not."""
    engines = []

    def opened(at: str | None) -> Engine:
        artifact = make_artifact(Format.GGUF, tiny_gguf)
        engine = open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1, lend_at=at)
        engines.append(engine)
        return engine

    yield opened
    for engine in engines:
        engine.close()


@pytest.fixture
def lender(open_at: Callable[[str | None], Engine], address: str) -> Engine:
    return open_at(address)


@pytest.fixture
def borrower(
    lender: Engine, open_at: Callable[[str | None], Engine], address: str
) -> Iterator[BorrowedEngine]:
    borrowed = borrow(address, lambda: open_at(None))
    assert borrowed is not None
    yield borrowed
    borrowed.close()


def test_a_borrower_is_answered_by_the_process_of_the_lender(
    borrower: BorrowedEngine, lender: Engine, engine_processes: Processes
) -> None:
    assert borrower.load(LIMIT) == lender.load(LIMIT)
    theirs = borrower.generate([QUESTION, CHAT], LIMIT)
    ours = lender.generate([QUESTION, CHAT], LIMIT)
    assert [answer.token_ids for answer in theirs] == [answer.token_ids for answer in ours]
    ids = [list(theirs[0].prompt_token_ids + theirs[0].token_ids)]
    assert borrower.score(ids, 5, LIMIT) == lender.score(ids, 5, LIMIT)
    assert borrower.tokenize(["the hen"], special=True, timeout=LIMIT) == lender.tokenize(
        ["the hen"], special=True, timeout=LIMIT
    )
    assert borrower.detokenize(ids, LIMIT) == lender.detokenize(ids, LIMIT)
    assert CHAT.messages is not None
    assert borrower.render(CHAT.messages, LIMIT) == lender.render(CHAT.messages, LIMIT)
    assert borrower.generate_over_http(CHAT, LIMIT).text == theirs[1].text
    assert len(engine_processes()) == 1


def test_what_the_lender_has_found_is_not_computed_again(
    borrower: BorrowedEngine, lender: Engine, engine_processes: Processes
) -> None:
    ids = [[5, 6, 7, 8]]
    found = (
        lender.generate([QUESTION], LIMIT),
        lender.score(ids, 5, LIMIT),
        lender.generate_over_http(CHAT, LIMIT),
    )
    for process in engine_processes():
        process.suspend()
    try:
        again = (
            borrower.generate([QUESTION], 1.0),
            borrower.score(ids, 5, 1.0),
            borrower.generate_over_http(CHAT, 1.0),
        )
    finally:
        for process in engine_processes():
            process.resume()
    assert again == found


def test_a_sampled_answer_is_not_given_twice(borrower: BorrowedEngine, lender: Engine) -> None:
    sampled = Request("the quick brown", max_tokens=8, temperature=1.0, seed=3)
    first = lender.generate([sampled], LIMIT)
    assert borrower.generate([sampled], LIMIT)[0].seconds != first[0].seconds


def test_the_lender_computes_its_own_calls_anew(lender: Engine) -> None:
    first, second = (lender.generate([QUESTION], LIMIT)[0] for _ in range(2))
    assert first.token_ids == second.token_ids
    assert first.seconds != second.seconds


def test_measurements_are_made_on_an_engine_of_ones_own(
    borrower: BorrowedEngine, lender: Engine, engine_processes: Processes
) -> None:
    lender.load(LIMIT)
    assert borrower.stream(QUESTION, LIMIT).token_ids == lender.stream(QUESTION, LIMIT).token_ids
    assert len(engine_processes()) == 2


def test_an_engine_of_ones_own_takes_the_place_of_a_lender_that_is_gone(
    borrower: BorrowedEngine, lender: Engine, engine_processes: Processes
) -> None:
    before = borrower.generate([QUESTION], LIMIT)
    lender.close()
    assert engine_processes() == []
    after = borrower.generate([QUESTION], LIMIT)
    assert after[0].token_ids == before[0].token_ids
    assert len(engine_processes()) == 1


def test_a_fault_of_the_lent_engine_is_told_as_if_it_were_ones_own(
    borrower: BorrowedEngine, lender: Engine, engine_processes: Processes
) -> None:
    lender.load(LIMIT)
    for process in engine_processes():
        process.kill()
    with pytest.raises(EngineError, match="SIGKILL") as told:
        borrower.generate([QUESTION], LIMIT)
    assert told.value.fault is Fault.CRASH
    assert told.value.signal == "SIGKILL"
    assert borrower.generate([QUESTION], LIMIT)[0].token_ids, "a fresh process answers the next"


def test_several_borrow_at_once(
    lender: Engine, open_at: Callable[[str | None], Engine], address: str
) -> None:
    expected = lender.generate([QUESTION], LIMIT)[0].token_ids
    answers = []

    def ask() -> None:
        borrowed = borrow(address, lambda: open_at(None))
        assert borrowed is not None
        answers.append(borrowed.generate([QUESTION], LIMIT)[0].token_ids)
        borrowed.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 4


def test_nothing_is_borrowed_where_nobody_lends(address: str) -> None:
    assert borrow(address, lambda: pytest.fail("no engine is asked for")) is None


def test_a_second_lender_at_an_address_serves_itself_alone(
    lender: Engine, open_at: Callable[[str | None], Engine], address: str
) -> None:
    second = open_at(address)
    assert second.generate([QUESTION], LIMIT)[0].token_ids
    second.close()
    borrowed = borrow(address, lambda: open_at(None))
    assert borrowed is not None
    assert borrowed.load(LIMIT) == lender.load(LIMIT)
    borrowed.close()
