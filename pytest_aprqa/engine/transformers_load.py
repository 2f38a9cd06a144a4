"""Loading a model into transformers without letting it invent a single weight."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.config_hf import config_from_hf, read_hf_config
from pytest_aprqa.artifact.sentencepiece_model import SENTENCEPIECE_FILE
from pytest_aprqa.artifact.tokenizer_hf import write_hf_tokenizer
from pytest_aprqa.artifact.tokenizer_read import vocabulary_from_hf
from pytest_aprqa.engine.faults import fault_of
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.words import Backend

_UNKNOWN_ARCHITECTURE = re.compile(
    r"does not recognize this architecture|unrecognized configuration class|trust_remote_code",
    re.IGNORECASE,
)

_NAMED = 8
"""How many keys an error names."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to compute, with its tokenizer; `seconds` it took, without imports."""

    model: Any
    tokenizer: Any
    seconds: float


def require_device(backend: Backend) -> str:
    """Return the torch device of a backend.

    Raises:
        EngineError: ENVIRONMENT when there is no such device.
    """
    import torch

    if backend is Backend.CPU:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda:0"
    if torch.backends.mps.is_available():
        return "mps"
    raise EngineError(
        Fault.ENVIRONMENT,
        f"torch {torch.__version__} sees no GPU; install a build that supports it",
    )


def load_safetensors(directory: Path, device: str) -> Loaded:
    """Load a directory of SafeTensors in its native dtype.

    Raises:
        EngineError: LOAD, UNSUPPORTED or ENVIRONMENT, in the words of what went wrong.
    """
    config = load_config(directory)
    cls = model_class(config)
    started = time.monotonic()
    model = load_weights(cls, directory, use_safetensors=True, local_files_only=True, dtype="auto")
    tokenizer = load_tokenizer(directory)
    return Loaded(ready(model, device), tokenizer, time.monotonic() - started)


def ready(model: Any, device: str) -> Any:
    """Return a loaded model made ready to answer on a device."""
    from pytest_aprqa.engine.transformers_packed import pack_linears

    model = model.to(device).eval()
    pack_linears(model)
    return model


def load_config(directory: Path) -> Any:
    """Return the configuration of a model directory.

    Raises:
        EngineError: UNSUPPORTED - an architecture transformers has no code for; LOAD.
    """
    from transformers import AutoConfig

    if not (directory / "config.json").is_file():
        raise EngineError(Fault.LOAD, f"config.json: there is none in {directory}")
    try:
        return AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # transformers validates with errors of its own
        raise _explained(error, "config.json") from error


def model_class(config: Any) -> Any:
    """Return the class that generates text with this configuration.

    Raises:
        EngineError: UNSUPPORTED - transformers has none.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    try:
        return MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except KeyError as error:
        raise EngineError(
            Fault.UNSUPPORTED, f"transformers generates no text with {config.model_type!r} models"
        ) from error


def load_tokenizer(directory: Path) -> Any:
    """Return the tokenizer of a model directory.

    One that is there as tokenizer.model alone is read by us: it then cuts as SentencePiece does,
    whereas transformers 5 puts no space before a text that begins with one.

    Raises:
        EngineError: LOAD - it cannot be made.
        ArtifactError: MALFORMED or UNSUPPORTED, of a tokenizer.model.
    """
    alone = directory / SENTENCEPIECE_FILE
    if (directory / "tokenizer.json").is_file() or not alone.is_file():
        return _auto_tokenizer(directory)
    config = config_from_hf(read_hf_config(directory))
    vocabulary = vocabulary_from_hf(directory, config)
    assert vocabulary is not None
    with tempfile.TemporaryDirectory() as name:
        write_hf_tokenizer(vocabulary, Path(name), config, for_people=False)
        return _auto_tokenizer(Path(name))


def _auto_tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # tokenizers raises bare Exception for a malformed file
        raise _explained(error, "the tokenizer") from error


def load_weights(cls: Any, directory: Path | None, **options: Any) -> Any:
    """Return the model, made by `from_pretrained`, when every weight came from the file.

    transformers fills what a file lacks with random numbers and only logs it.

    Raises:
        EngineError: LOAD naming the missing, unexpected or mismatched keys, or in the library's
            own words; ENVIRONMENT for lack of memory.
    """
    try:
        model, info = cls.from_pretrained(
            directory,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are named; they are refused below
            trust_remote_code=False,
            **options,
        )
    except Exception as error:  # safetensors, torch and transformers each raise their own
        raise _explained(error, "the weights") from error
    for kind in ("missing", "unexpected", "mismatched"):
        if keys := info[f"{kind}_keys"]:
            raise EngineError(Fault.LOAD, f"{len(keys)} {kind} keys in the weights: {_names(keys)}")
    if words := info["error_msgs"]:
        raise EngineError(Fault.LOAD, f"the weights do not fit the model: {'; '.join(words)}")
    return model


def generation_config(directory: Path) -> Any:
    """Return generation_config.json of a directory, or an empty one when there is none."""
    from transformers import GenerationConfig

    if not (directory / "generation_config.json").is_file():
        return GenerationConfig()
    return GenerationConfig.from_pretrained(directory, local_files_only=True)


def eos_ids(model: Any) -> frozenset[int]:
    """Return the tokens that end an answer, of the generation config and the config together."""
    ids: set[int] = set()
    for config in (model.generation_config, model.config.get_text_config()):
        value = getattr(config, "eos_token_id", None)
        ids.update([value] if isinstance(value, int) else value or ())
    return frozenset(ids)


def _names(keys: Iterable[str | tuple[str, Sequence[int], Sequence[int]]]) -> str:
    names = sorted(map(_name, keys))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _name(key: str | tuple[str, Sequence[int], Sequence[int]]) -> str:
    if isinstance(key, str):
        return key
    name, stored, expected = key
    return f"{name} (shape {list(stored)}, by the config {list(expected)})"


def _explained(error: Exception, what: str) -> EngineError:
    found = fault_of(error, otherwise=Fault.LOAD)
    if _UNKNOWN_ARCHITECTURE.search(found.message):
        return EngineError(Fault.UNSUPPORTED, f"transformers does not know it: {found.message}")
    return EngineError(found.fault, f"{what}: {found.message}")
