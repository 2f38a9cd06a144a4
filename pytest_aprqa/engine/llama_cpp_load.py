"""Loading a GGUF into llama.cpp: its settings, and what its words mean when it refuses."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.engine.driver import DriverConfig
from pytest_aprqa.engine.faults import says_no_memory
from pytest_aprqa.engine.log import EngineLog
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.words import Backend

MOST_SLOTS = 4
"""Requests that one batch holds at most; each slot has a key-value cache of its own."""

_CACHE_BUDGET = 1 << 30
"""Bytes of memory that slots beyond the first may take."""

_ALL_LAYERS = 999
_WARNINGS = 2

_LAST_WORDS = "exiting due to model loading error"
_LOG_PATIENCE = 5.0

_ERROR_LINE = re.compile(r"^\S+ E +(?:\w+ +)?\w+: (.*)$", re.MULTILINE)
_CONSEQUENCE = re.compile(r"failed to load model'?$|failed to load model[ ,]|exiting due to")
_UNSUPPORTED = re.compile(
    r"unknown model architecture|unknown pre-tokenizer|not supported|unsupported"
    r"|chat template parsing error"
)


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """What has to be known of a file before, or instead of, asking the server.

    Attributes:
        has_chat_template: the server does not tell it from the default it takes in its place.
        context: tokens one slot holds.
        slots: requests in a batch.
    """

    has_chat_template: bool
    context: int
    slots: int


def gguf_facts(path: Path, context_length: int) -> GgufFacts:
    """Read the facts from a file's metadata; of a file we cannot read llama.cpp has the say."""
    try:
        with open_tensors(path) as file:
            metadata = file.metadata
    except ArtifactError:
        return GgufFacts(has_chat_template=False, context=context_length, slots=1)
    known = f"{metadata.get('general.architecture')}."
    context = min(metadata.get(known + "context_length") or context_length, context_length)
    cache = max(context * _cache_bytes_per_token(metadata, known), 1)
    return GgufFacts(
        has_chat_template=bool(metadata.get("tokenizer.chat_template")),
        context=context,
        slots=min(MOST_SLOTS, 1 + _CACHE_BUDGET // cache),
    )


def _cache_bytes_per_token(metadata: Mapping[str, Any], known: str) -> int:
    """Return the bytes of keys and values in 16 bits, at most; grouped heads need less."""
    width = metadata.get(known + "embedding_length") or 0
    layers = metadata.get(known + "block_count") or 0
    heads = metadata.get(known + "attention.head_count")
    shared = metadata.get(known + "attention.head_count_kv")
    if isinstance(heads, int) and isinstance(shared, int) and heads:
        width = width * shared // heads
    return int(2 * 2 * layers * width)


def server_parameters(config: DriverConfig, facts: GgufFacts, api_key: str) -> Any:
    """Return the parameters of a server that computes the same answer for the same request.

    Every slot has its own cache, so that what another request left behind does not change the
    order of summation; no prompt is kept unless a request asks for it; no sampler but temperature.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = config.path
    parameters.model_alias = {Path(config.path).name}  # answers name the model, not the machine
    parameters.n_ctx = facts.context * facts.slots
    parameters.n_parallel = facts.slots
    parameters.kv_unified = False
    parameters.fit_params = False
    parameters.n_gpu_layers = _ALL_LAYERS if config.backend is Backend.GPU else 0
    parameters.no_op_offload = config.backend is Backend.CPU
    parameters.cpuparams.n_threads = config.threads
    parameters.cpuparams_batch.n_threads = config.threads
    parameters.warmup = True
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.cache_idle_slots = False
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [api_key]
    parameters.cors_origins = ""
    parameters.ui = False
    parameters.force_pure_content_parser = True
    parameters.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    parameters.verbosity = _WARNINGS
    return parameters


def require_device(backend: Backend) -> str:
    """Return the device llama.cpp computes on.

    Raises:
        EngineError: ENVIRONMENT when a GPU is asked for and this build sees none; llama.cpp itself
            would quietly compute on the CPU.
    """
    import xllamacpp

    if backend is Backend.CPU:
        return "cpu"
    kinds = xllamacpp.ggml_backend_dev_type
    gpus = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    names = [device["name"] for device in xllamacpp.get_device_info() if device["type"] in gpus]
    if not names:
        raise EngineError(
            Fault.ENVIRONMENT,
            "this build of xllamacpp has no GPU backend or sees no GPU; install its CUDA, ROCm or "
            "Vulkan wheel",
        )
    return ", ".join(names)


def whole_log(log: EngineLog, start: int) -> str:
    """Return what a load that failed has logged; llama.cpp writes its log in a thread of its own."""
    give_up = time.monotonic() + _LOG_PATIENCE
    while _LAST_WORDS not in (words := log.tail(start)) and time.monotonic() < give_up:
        time.sleep(0.01)
    return words


def load_error(log: str, error: Exception) -> EngineError:
    """Return what llama.cpp's own words in its log say about a load that failed."""
    lines = [line for line in _ERROR_LINE.findall(log) if not _CONSEQUENCE.search(line)]
    words = "; ".join(dict.fromkeys(lines)) or str(error)
    if says_no_memory(words):
        return EngineError(Fault.ENVIRONMENT, f"llama.cpp got no memory: {words}")
    if _UNSUPPORTED.search(words):
        return EngineError(Fault.UNSUPPORTED, f"llama.cpp does not support this model: {words}")
    return EngineError(Fault.LOAD, f"llama.cpp refused the file: {words}")
