"""What a run waits for, told while it waits: a model of gigabytes takes minutes to fetch."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_LOG = logging.getLogger("pytest_aprqa")


class _AtOnce(logging.Handler):
    """Writes to the standard error of the session, past pytest's capture of it.

    The capture belongs to the thread that runs the tests; what other threads tell stays in the log.
    """

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(logging.INFO)
        self._capture: Any = config.pluginmanager.getplugin("capturemanager")

    def emit(self, record: logging.LogRecord) -> None:
        if self._capture and threading.current_thread() is threading.main_thread():
            with self._capture.global_and_fixture_disabled():
                sys.stderr.write(f"\n{self.format(record)}\n")


@contextmanager
def told_at_once(config: pytest.Config) -> Iterator[None]:
    """Show what this package logs as soon as it does."""
    handler, level = _AtOnce(config), _LOG.level
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)
