"""An APR file as a transformers model: its metadata as config and tokenizer, its bytes as weights."""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from pytest_aprqa.artifact.config_hf import config_to_hf
from pytest_aprqa.artifact.contents import ModelContents, model_contents
from pytest_aprqa.artifact.dtypes import to_float32
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.names import Naming
from pytest_aprqa.artifact.stack import stored_as
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer_hf import write_hf_tokenizer
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.engine.transformers_load import (
    Loaded,
    generation_config,
    load_config,
    load_tokenizer,
    load_weights,
    model_class,
    ready,
)
from pytest_aprqa.words import Format

_DTYPES = {
    DType.F64: torch.float64,
    DType.F32: torch.float32,
    DType.F16: torch.float16,
    DType.BF16: torch.bfloat16,
}


def load_apr(path: Path, device: str) -> Loaded:
    """Load an APR file.

    Weights that torch has a type for are views of the memory map; quantised ones are decoded to
    float32. It computes in the dtype all tensors share, else in float32.

    Raises:
        ArtifactError: the file is malformed or of an unknown kind.
        EngineError: LOAD - no tokenizer inside, or weights that do not fit; UNSUPPORTED.
    """
    artifact = Artifact(Format.APR, path, (path,), identity="", source="engine")
    with model_contents(artifact) as contents, tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = _write_files(contents, directory)
        cls = model_class(config)
        started = time.monotonic()
        stored = stored_as(Naming.HF, contents.config, contents.tensors)
        weights = {source.name: _tensor(source) for source in stored}
        model = load_weights(
            cls, None, config=config, state_dict=weights, dtype=_compute_dtype(weights)
        )
        tokenizer = load_tokenizer(directory)
        model.generation_config = generation_config(directory)
        return Loaded(ready(model, device), tokenizer, time.monotonic() - started)


def _write_files(contents: ModelContents, directory: Path) -> Any:
    """Write what transformers wants as files; return the configuration read back from them."""
    if contents.vocabulary is None:
        raise EngineError(Fault.LOAD, "the APR file has no tokenizer inside")
    write_hf_tokenizer(contents.vocabulary, directory, contents.config, for_people=False)
    config = json.dumps(config_to_hf(contents.config))
    (directory / "config.json").write_text(config, encoding="utf-8")
    return load_config(directory)


def _tensor(source: TensorSource) -> torch.Tensor:
    raw = source.data()
    dtype = _DTYPES.get(source.dtype)
    if dtype is None:
        return torch.from_numpy(to_float32(raw, source.dtype, source.shape))
    with warnings.catch_warnings():
        # torch warns that the map is read-only; nothing writes to weights here.
        warnings.simplefilter("ignore", UserWarning)
        return torch.frombuffer(raw, dtype=dtype).reshape(source.shape)


def _compute_dtype(weights: dict[str, torch.Tensor]) -> torch.dtype:
    dtypes = {weight.dtype for weight in weights.values()}
    return dtypes.pop() if len(dtypes) == 1 else torch.float32
