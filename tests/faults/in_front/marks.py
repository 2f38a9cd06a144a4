"""How a text asks for a fault."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import NoReturn

_MARK = re.compile(r" ?\[fault: ([a-z0-9-]+)\]")


def marked(text: str) -> tuple[str, str]:
    """Return the fault a text asks for, or an empty string, and the text without the mark."""
    found = _MARK.search(text)
    return (found[1] if found else ""), _MARK.sub("", text)


def hang() -> NoReturn:
    while True:
        time.sleep(60)


def die_of(name: str) -> NoReturn:
    """Send the process a signal, and go no further in the meantime."""
    os.kill(os.getpid(), getattr(signal, name))
    hang()
