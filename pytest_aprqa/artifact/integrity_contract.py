"""The contract on what a sound model's tensors hold, read from data_quality.yaml."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pytest_aprqa.artifact.tensor_file import TensorInfo


class Role(StrEnum):
    """What a tensor is for, as far as its contents tell sound from broken."""

    BIAS = "bias"
    EMBEDDING = "embedding"
    VECTOR = "vector"
    WEIGHT = "weight"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Zeros(_Section):
    """How much of a tensor may be zero."""

    rule: str
    embedding_max_share: float = Field(gt=0, le=1)
    weight_max_share: float = Field(gt=0, le=1)


class Finite(_Section):
    """No NaN and no infinity."""

    rule: str


class Distribution(_Section):
    """A tensor must hold something, and not one value throughout."""

    rule: str
    min_l2_norm: float = Field(gt=0)
    constant_allowed: frozenset[Role]


class DeadRows(_Section):
    """How many rows may be all zero."""

    rule: str
    max_share: float = Field(gt=0, le=1)


class DataQuality(_Section):
    """The whole contract."""

    zeros: Zeros
    finite: Finite
    distribution: Distribution
    dead_rows: DeadRows
    roles: dict[Role, str]

    def role_of(self, info: TensorInfo) -> Role:
        """Return the role of a tensor, by its name, else by its number of dimensions."""
        for role, pattern in self.roles.items():
            if re.search(pattern, info.name):
                return role
        return Role.WEIGHT if len(info.shape) > 1 else Role.VECTOR


@cache
def data_quality() -> DataQuality:
    """Return the contract that ships with the package."""
    text = files("pytest_aprqa.artifact").joinpath("contract/data_quality.yaml").read_text("utf-8")
    return DataQuality.model_validate(yaml.safe_load(text))
