"""`apr-qa`: certify models and work with what certification leaves behind."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    from pytest_aprqa.cli.app import run

    run()
