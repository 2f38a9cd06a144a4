"""A run that is told to end ends as if its user had broken in: with its evidence concluded."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import NoReturn


def end_like_ctrl_c() -> None:
    """Make SIGTERM, which schedulers send before SIGKILL, do what Ctrl-C does.

    A handler that somebody else has set stays.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _break_in)


def _break_in(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
