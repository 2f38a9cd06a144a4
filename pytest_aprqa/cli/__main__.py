"""`python -m pytest_aprqa.cli` is `apr-qa`."""

from __future__ import annotations

from pytest_aprqa.cli import main

main()
