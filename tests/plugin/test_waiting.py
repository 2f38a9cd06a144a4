"""A run says what it waits for while it waits."""

from __future__ import annotations

from typing import Any

import pytest

FETCHING = "fetching nobody/nothing from the Hugging Face hub ..."


@pytest.fixture
def elsewhere(session: Any) -> str:
    """A playbook of a model that no place has."""
    text: str = session.playbook.replace("aprqa/aprqa-reference", "nobody/nothing")
    return text.replace("  builtin: aprqa-reference\n", "")


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A hub whose connections are refused at once, and a cache without any model."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))


@pytest.mark.parametrize(
    "options", [(), ("-n", "1"), ("-s",)], ids=["here", "worker", "no-capture"]
)
def test_a_download_is_told_once_and_past_the_capture(
    session: Any, elsewhere: str, options: tuple[str]
) -> None:
    result = session.run(*options, playbook=elsewhere)
    assert result.errlines.count(FETCHING) == 1
    assert FETCHING not in result.outlines
    result.stdout.fnmatch_lines(["Status*FAIL: model nobody/nothing was not found*"])


def test_an_offline_run_fetches_nothing(session: Any, elsewhere: str) -> None:
    result = session.run("--aprqa-offline", playbook=elsewhere)
    assert FETCHING not in result.errlines
    assert "the run is offline" in " ".join(" ".join(result.outlines).split())
