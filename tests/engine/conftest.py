"""A tiny random Llama, seeded, as SafeTensors and as GGUF with the same weights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.words import Backend, Format

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FEED, CONTEXT = 64, 2, 4, 2, 16, 128, 256
SPECIALS = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
END = 0
CORPUS = ["the quick brown fox jumps over the lazy dog and the hen then sings to the other hens"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Tiny:
    """The model in memory, and where it lies."""

    weights: Weights
    tokenizer: Tokenizer
    directory: Path
    gguf: Path

    def artifact(self, kind: Format) -> Artifact:
        return artifact_at(kind, self.gguf if kind is Format.GGUF else self.directory)


def artifact_at(kind: Format, path: Path) -> Artifact:
    return Artifact(format=kind, path=path, files=(path,), identity="0" * 64, source="test")


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[AddedToken(text, special=True) for text in SPECIALS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _weights(vocabulary: int) -> Weights:
    random = np.random.default_rng(20)

    def matrix(rows: int, columns: int) -> npt.NDArray[np.float32]:
        return (random.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    def norm() -> npt.NDArray[np.float32]:
        return (1 + 0.1 * random.standard_normal(HIDDEN)).astype(np.float32)

    weights: Weights = {"model.embed_tokens.weight": matrix(vocabulary, HIDDEN) * 2}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        weights |= {
            f"{at}input_layernorm.weight": norm(),
            f"{at}self_attn.q_proj.weight": matrix(HEADS * HEAD_DIM, HIDDEN) * 2,
            f"{at}self_attn.k_proj.weight": matrix(KV_HEADS * HEAD_DIM, HIDDEN) * 2,
            f"{at}self_attn.v_proj.weight": matrix(KV_HEADS * HEAD_DIM, HIDDEN),
            f"{at}self_attn.o_proj.weight": matrix(HIDDEN, HEADS * HEAD_DIM),
            f"{at}post_attention_layernorm.weight": norm(),
            f"{at}mlp.gate_proj.weight": matrix(FEED, HIDDEN),
            f"{at}mlp.up_proj.weight": matrix(FEED, HIDDEN),
            f"{at}mlp.down_proj.weight": matrix(HIDDEN, FEED),
        }
    return weights | {"model.norm.weight": norm(), "lm_head.weight": matrix(vocabulary, HIDDEN)}


def write_safetensors(
    directory: Path, weights: Weights, tokenizer: Tokenizer, *, template: str | None = TEMPLATE
) -> Path:
    """Write a model directory as transformers reads it."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FEED,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": END,
        "dtype": "float32",
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIALS[END],
        "pad_token": SPECIALS[END],
        "model_max_length": CONTEXT,
    }
    if template is not None:
        settings["chat_template"] = template
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer.save(str(directory / "tokenizer.json"))
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def _rope_order(weight: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Reorder rows from split halves to adjacent pairs, as llama.cpp turns them."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


_GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


def _gguf_name(name: str) -> str:
    for ours, theirs in _GGUF_NAMES.items():
        name = name.replace(ours, theirs)
    return name.replace("model.layers.", "blk.")


def write_gguf(
    path: Path, weights: Weights, tokenizer: Tokenizer, *, template: str | None = TEMPLATE
) -> Path:
    """Write the same model as llama.cpp reads it, in F32."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_vocab_size(tokenizer.get_vocab_size())
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    bpe = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in SPECIALS else normal for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in bpe["merges"]])
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    for name, weight in weights.items():
        if "q_proj" in name or "k_proj" in name:
            weight = _rope_order(weight, HEADS if "q_proj" in name else KV_HEADS)
        writer.add_tensor(_gguf_name(name), weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")
    tokenizer = _tokenizer()
    weights = _weights(tokenizer.get_vocab_size())
    return Tiny(
        weights=weights,
        tokenizer=tokenizer,
        directory=write_safetensors(root / "hf", weights, tokenizer),
        gguf=write_gguf(root / "tiny.gguf", weights, tokenizer),
    )


def _engine(artifact: Artifact, logs: Path) -> Iterator[Engine]:
    engine = open_engine(artifact, Backend.CPU, log_dir=logs, threads=1)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def gguf_engine(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The tiny model in llama.cpp, for tests that leave it as they found it."""
    yield from _engine(tiny.artifact(Format.GGUF), tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def safetensors_engine(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The tiny model in transformers, for tests that leave it as they found it."""
    yield from _engine(tiny.artifact(Format.SAFETENSORS), tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def apr_engine(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The tiny model, converted to APR, in transformers."""
    root = tmp_path_factory.mktemp("apr")
    artifact = convert(tiny.artifact(Format.SAFETENSORS), Format.APR, root / "apr")
    yield from _engine(artifact, root)


@pytest.fixture(scope="session")
def model_writers() -> SimpleNamespace:
    """The writers of the tiny model, for tests that damage it."""
    return SimpleNamespace(safetensors=write_safetensors, gguf=write_gguf)


@pytest.fixture(scope="session")
def make_artifact() -> Callable[[Format, Path], Artifact]:
    return artifact_at


@pytest.fixture
def tiny_gguf(tiny: Tiny) -> Path:
    return tiny.gguf


@pytest.fixture
def fresh_engine(tiny: Tiny, tmp_path: Path) -> Iterator[Engine]:
    """An engine of its own, for tests that harm it."""
    yield from _engine(tiny.artifact(Format.GGUF), tmp_path)


@pytest.fixture
def engine_processes() -> Callable[[], list[psutil.Process]]:
    """Return a function that lists the engine processes this process has started since now."""
    me = psutil.Process()
    before = {process.pid for process in me.children(recursive=True)}

    def started() -> list[psutil.Process]:
        return [
            process
            for process in me.children(recursive=True)
            if process.pid not in before and process.status() != psutil.STATUS_ZOMBIE
        ]

    return started


@pytest.fixture
def wait_until_dead() -> Callable[[psutil.Process], None]:
    """Return a function that waits until a process has ended, reaped or not."""

    def wait(process: psutil.Process) -> None:
        give_up = time.monotonic() + 10
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < give_up, "the process lives on"
            time.sleep(0.02)

    return wait
