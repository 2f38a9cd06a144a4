from __future__ import annotations

from pathlib import Path

from pytest_aprqa.engine.log import CAP, TAIL, EngineLog


def test_the_tail_is_the_end_of_what_was_written_after_a_point(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "deep" / "engine.log")
    log.path.write_bytes(b"before|" + b"x" * TAIL + b"the end")
    assert log.tail().endswith("the end")
    assert len(log.tail()) == TAIL
    assert log.tail(log.size() - 3) == "end"
    assert log.tail(log.size()) == ""


def test_bytes_that_are_no_text_do_not_hide_the_rest(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.path.write_bytes(b"\xff\xfe words")
    assert log.tail().endswith(" words")


def test_an_overgrown_log_is_cut_to_its_end_and_still_appended_to(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    with log.path.open("ab", buffering=0) as writer:
        writer.write(b"x" * (CAP + 1) + b"last words")
        log.trim()
        assert log.size() < 2 * TAIL
        writer.write(b" and more")
    assert log.tail().endswith("last words and more")


def test_a_log_under_its_cap_is_left_alone(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.path.write_bytes(b"x" * CAP)
    log.trim()
    assert log.size() == CAP


def test_the_last_words_are_those_of_the_process_that_began_last(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    with log.path.open("ab", buffering=0) as writer:
        writer.write(b"of the first")
        log.begin()
        assert log.last_words() == ""
        writer.write(b"of the second")
        assert log.last_words() == "of the second"
        writer.write(b"x" * CAP + b"its end")
        log.trim()
        assert "first" not in log.last_words()
        assert log.last_words().endswith("its end")
