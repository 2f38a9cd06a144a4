"""Loading a GGUF into llama.cpp: its settings, and what its words mean when it refuses."""

from __future__ import annotations

import re
from typing import Any

from pytest_aprqa.engine.driver import DriverConfig
from pytest_aprqa.engine.faults import says_no_memory
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.words import Backend

SLOTS = 4
"""Requests that one batch holds; each slot has a key-value cache of its own."""

_ALL_LAYERS = 999
_WARNINGS = 2

_ERROR_LINE = re.compile(r"^\S+ E +(?:\w+ +)?\w+: (.*)$", re.MULTILINE)
_CONSEQUENCE = re.compile(r"failed to load model'?$|failed to load model[ ,]|exiting due to")
_UNSUPPORTED = re.compile(
    r"unknown model architecture|unknown pre-tokenizer|not supported|unsupported"
)


def server_parameters(config: DriverConfig, api_key: str) -> Any:
    """Return the parameters of a server that computes the same answer for the same request.

    Every slot has its own cache, so that what another request left behind does not change the
    order of summation; no prompt is kept unless a request asks for it; no sampler but temperature.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = config.path
    parameters.n_ctx = config.context_length * SLOTS
    parameters.n_parallel = SLOTS
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


def load_error(log: str, error: Exception) -> EngineError:
    """Return what llama.cpp's own words in its log say about a load that failed."""
    lines = [line for line in _ERROR_LINE.findall(log) if not _CONSEQUENCE.search(line)]
    words = "; ".join(dict.fromkeys(lines)) or str(error)
    if says_no_memory(words):
        return EngineError(Fault.ENVIRONMENT, f"llama.cpp got no memory: {words}")
    if _UNSUPPORTED.search(words):
        return EngineError(Fault.UNSUPPORTED, f"llama.cpp does not support this model: {words}")
    return EngineError(Fault.LOAD, f"llama.cpp refused the file: {words}")


def has_chat_template(path: str) -> bool:
    """Whether the file carries a chat template; the server does not tell it from its own default."""
    from gguf import GGUFReader

    return "tokenizer.chat_template" in GGUFReader(path).fields
