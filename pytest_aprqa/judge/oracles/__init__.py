"""Oracles: was the answer right?"""

from __future__ import annotations

from pytest_aprqa.judge.oracles.oracle import Case, Oracle, OracleAnswer, Role, Ruling, left_open
from pytest_aprqa.judge.oracles.registry import (
    OracleError,
    make_oracle,
    oracle_types,
    validate_config,
)

__all__ = [
    "Case",
    "Oracle",
    "OracleAnswer",
    "OracleError",
    "Role",
    "Ruling",
    "left_open",
    "make_oracle",
    "oracle_types",
    "validate_config",
]
