"""pytest underneath `run` and `certify`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_aprqa.cli.exits import Exit

# pytest's exit codes. Playbooks are read before, so 2 is an interruption and no collection error.
_CODES = {
    0: Exit.OK,
    1: Exit.FAILED,
    2: Exit.INTERRUPTED,
    3: Exit.FAULT,
    4: Exit.USAGE,
    5: Exit.NOT_FOUND,
}


def run_pytest(arguments: Sequence[str]) -> Exit:
    """Run pytest on arguments in a process of its own, in this directory, on this terminal.

    A process of its own, because pytest rewrites and times what it imports itself. Ctrl-C reaches
    it directly, and it is waited for: what it found is written down before it ends.
    """
    with _patient() as children:
        child = subprocess.Popen([sys.executable, "-m", "pytest", *arguments])
        children.append(child)
        code = child.wait()
    return Exit.INTERRUPTED if code < 0 else _CODES.get(code, Exit.FAULT)


@contextmanager
def _patient() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Leave Ctrl-C to the child, and pass on a request to end."""
    children: list[subprocess.Popen[bytes]] = []

    def wait(*_: object) -> None:
        pass

    def pass_on(*_: object) -> None:
        for child in children:
            child.send_signal(signal.SIGINT)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, wait),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
    }
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
