"""Files that must not load, and whose words must say why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_aprqa.engine.devices import gpu_reason
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Backend, Format

LIMIT = 60.0

NO_ROBOTS = (
    "{% for m in messages %}"
    "{% if m['role'] == 'robot' %}{{ raise_exception('no robots here') }}{% endif %}"
    "{{ m['content'] }}<|end|>{% endfor %}"
)

_SCRIPT = """
import json, sys
from pathlib import Path
from pytest_aprqa.engine.driver import DriverConfig, DriverName
from pytest_aprqa.engine.faults import fault_of
from pytest_aprqa.engine.protocol import Fault, Request
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.engine.transformers_driver import TransformersDriver
from pytest_aprqa.words import Backend, Format
found = {}
CHAT = (Message("robot", "beep"),)
for path in sorted(Path(sys.argv[1]).iterdir()):
    form = Format.APR if path.suffix == ".apr" else Format.SAFETENSORS
    name = DriverName.TRANSFORMERS
    try:
        driver = TransformersDriver(DriverConfig(name, form, str(path), Backend.CPU, 1, 256, ""))
        driver.load()
        [answer] = driver.generate([Request(None, messages=CHAT, max_tokens=1)])
        found[path.name] = ["loaded", answer.refusal]
    except Exception as error:
        fault = fault_of(error, otherwise=Fault.LOAD)
        found[path.name] = [fault.fault, fault.message]
print("FOUND" + json.dumps(found))
"""


def without(weights, name):
    return {key: value for key, value in weights.items() if key != name}


@pytest.fixture(scope="session")
def transformers_faults(tiny, model_writers, tmp_path_factory) -> dict[str, tuple[str, str]]:
    """Load every damaged directory in one process; return what each load said."""
    root = tmp_path_factory.mktemp("damaged")
    weights, tokenizer, write = tiny.weights, tiny.tokenizer, model_writers.safetensors
    embedding = "model.embed_tokens.weight"

    write(root / "sound", weights, tokenizer)
    write(root / "template-less", weights, tokenizer, template=None)
    write(root / "template-picky", weights, tokenizer, template=NO_ROBOTS)
    write(root / "missing", without(weights, "model.layers.1.mlp.up_proj.weight"), tokenizer)
    write(root / "no-head", without(weights, "lm_head.weight"), tokenizer)
    extra = {**weights, "model.layers.0.mlp.surprise.weight": weights["model.norm.weight"]}
    write(root / "unexpected", extra, tokenizer)
    write(root / "mismatched", {**weights, embedding: weights[embedding][:-1]}, tokenizer)

    garbage = write(root / "garbage", weights, tokenizer) / "model.safetensors"
    garbage.write_bytes(b"\x00garbage" * 100)
    cut = write(root / "truncated", weights, tokenizer) / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1000])
    (write(root / "no-weights", weights, tokenizer) / "model.safetensors").unlink()
    (write(root / "no-config", weights, tokenizer) / "config.json").unlink()
    (write(root / "bad-config", weights, tokenizer) / "config.json").write_text("{not json")
    (write(root / "bad-tokenizer", weights, tokenizer) / "tokenizer.json").write_text("{}")
    unknown = write(root / "unknown", weights, tokenizer) / "config.json"
    config = json.loads(unknown.read_text())
    unknown.write_text(json.dumps({**config, "model_type": "lxxma"}))
    encoder = write(root / "encoder", weights, tokenizer) / "config.json"
    encoder.write_text(json.dumps({"model_type": "clip"}))
    pickled = write(root / "pickled", weights, tokenizer)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    (root / "garbage.apr").write_bytes(b"APR\x00" + b"\xff" * 500)

    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(root)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.partition("FOUND")[2]))


@pytest.mark.parametrize(
    ("damage", "fault", "words"),
    [
        ("missing", Fault.LOAD, "1 missing keys in the weights: model.layers.1.mlp.up_proj.weight"),
        ("no-head", Fault.LOAD, "1 missing keys in the weights: lm_head.weight"),
        ("unexpected", Fault.LOAD, "1 unexpected keys in the weights: model.layers.0.mlp.surprise"),
        (
            "mismatched",
            Fault.LOAD,
            "model.embed_tokens.weight (shape [299, 64], by the config [300,",
        ),
        ("garbage", Fault.LOAD, "the weights: "),
        ("truncated", Fault.LOAD, "the weights: "),
        ("no-weights", Fault.LOAD, "the weights: "),
        ("no-config", Fault.LOAD, "config.json: there is none"),
        ("bad-config", Fault.LOAD, "config.json: "),
        ("bad-tokenizer", Fault.LOAD, "the tokenizer: "),
        ("pickled", Fault.LOAD, "the weights: "),
        ("unknown", Fault.UNSUPPORTED, "lxxma"),
        ("encoder", Fault.UNSUPPORTED, "generates no text with 'clip' models"),
        ("garbage.apr", Fault.LOAD, "garbage.apr"),
    ],
)
def test_transformers_says_why_it_does_not_load(
    transformers_faults: dict[str, tuple[str, str]], damage: str, fault: Fault, words: str
) -> None:
    found, message = transformers_faults[damage]
    assert (found, words in message) == (fault, True), message


@pytest.mark.parametrize(
    ("model", "refusal"),
    [("sound", ""), ("template-picky", "the chat template says: no robots here")],
)
def test_a_sound_model_loads_and_only_its_template_may_decline(
    transformers_faults: dict[str, tuple[str, str]], model: str, refusal: str
) -> None:
    assert transformers_faults[model] == ["loaded", refusal]


def test_a_directory_without_a_template_does_not_chat(
    transformers_faults: dict[str, tuple[str, str]],
) -> None:
    assert transformers_faults["template-less"] == ["unsupported", "the model has no chat template"]


def test_a_load_fault_leaves_no_process(
    tiny, gguf_fault, tmp_path: Path, engine_processes: Callable[[], list[object]]
) -> None:
    path = tmp_path / "garbage.gguf"
    path.write_bytes(b"GGUF")
    assert gguf_fault(path).fault is Fault.LOAD
    assert engine_processes() == []


@pytest.fixture
def gguf_fault(make_artifact, tmp_path: Path) -> Callable[[Path], EngineError]:
    def fault(path: Path) -> EngineError:
        artifact = make_artifact(Format.GGUF, path)
        engine = open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1)
        with pytest.raises(EngineError) as caught:
            engine.load(LIMIT)
        engine.close()
        return caught.value

    return fault


def test_llama_cpp_refuses_garbage_in_its_own_words(tmp_path, gguf_fault) -> None:
    path = tmp_path / "garbage.gguf"
    path.write_bytes(b"garbage!" * 100)
    error = gguf_fault(path)
    assert error.fault is Fault.LOAD
    assert "invalid magic" in error.message
    assert "failed to load model" in error.stderr


def test_llama_cpp_refuses_a_cut_file(tmp_path, tiny, gguf_fault) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny.gguf.read_bytes()[:-5000])
    error = gguf_fault(path)
    assert error.fault is Fault.LOAD
    assert "corrupted or incomplete" in error.message


def test_llama_cpp_names_a_missing_tensor(tmp_path, tiny, model_writers, gguf_fault) -> None:
    weights = without(tiny.weights, "model.layers.1.mlp.up_proj.weight")
    path = model_writers.gguf(tmp_path / "missing.gguf", weights, tiny.tokenizer)
    error = gguf_fault(path)
    assert error.fault is Fault.LOAD
    assert "blk.1.ffn_up.weight" in error.message


def test_llama_cpp_does_not_support_an_unknown_architecture(tmp_path, tiny, gguf_fault) -> None:
    path = tmp_path / "unknown.gguf"
    path.write_bytes(tiny.gguf.read_bytes().replace(b"\x00llama", b"\x00lxxma", 1))
    error = gguf_fault(path)
    assert error.fault is Fault.UNSUPPORTED
    assert "unknown model architecture: 'lxxma'" in error.message


def test_a_gguf_without_a_template_does_not_chat(
    tiny, model_writers, make_artifact, tmp_path: Path
) -> None:
    path = model_writers.gguf(tmp_path / "model", tiny.weights, tiny.tokenizer, template=None)
    artifact = make_artifact(Format.GGUF, path)
    engine = open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1)
    assert not engine.load(LIMIT).has_chat_template
    with pytest.raises(EngineError, match="no chat template") as caught:
        engine.render([], LIMIT)
    assert caught.value.fault is Fault.UNSUPPORTED
    assert engine.generate([Request("hens", max_tokens=2)], LIMIT)[0].token_ids
    engine.close()


def test_a_template_in_a_gguf_may_decline_a_conversation_in_its_words(
    tiny, model_writers, make_artifact, tmp_path: Path
) -> None:
    path = model_writers.gguf(tmp_path / "model", tiny.weights, tiny.tokenizer, template=NO_ROBOTS)
    artifact = make_artifact(Format.GGUF, path)
    engine = open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1)
    request = Request(None, messages=(Message("robot", "beep"),), max_tokens=2)
    answer = engine.generate([request], LIMIT)[0]
    assert answer.finish is FinishReason.REFUSED
    assert "no robots here" in answer.refusal
    with pytest.raises(EngineError, match="no robots here"):
        engine.render(request.messages or (), LIMIT)
    engine.close()


@pytest.mark.skipif(gpu_reason() is None, reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_no_fault_of_the_model(tiny, tmp_path: Path) -> None:
    engine = open_engine(tiny.artifact(Format.GGUF), Backend.GPU, log_dir=tmp_path, threads=1)
    with pytest.raises(EngineError, match="GPU") as caught:
        engine.load(LIMIT)
    assert caught.value.fault is Fault.ENVIRONMENT
