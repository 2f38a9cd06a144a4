"""The readers of model files, each as something that takes bytes and refuses or reads them."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

import pytest_aprqa
from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.check_tokenizer import check_tokenizer
from pytest_aprqa.artifact.config_apr import config_from_apr, config_to_apr
from pytest_aprqa.artifact.config_gguf import config_from_gguf, config_to_gguf
from pytest_aprqa.artifact.config_hf import config_from_hf, config_to_hf, read_hf_config
from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.model import Artifact, ArtifactError
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.template_process import make_environment
from pytest_aprqa.artifact.template_sandbox import TemplateSandbox
from pytest_aprqa.artifact.tensor_file import DType, TensorFile
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer import (
    vocabulary_from_apr,
    vocabulary_from_gguf,
    vocabulary_to_apr,
    vocabulary_to_gguf,
)
from pytest_aprqa.artifact.tokenizer_read import vocabulary_from_hf
from pytest_aprqa.words import Format

MODEL = Path(pytest_aprqa.__file__).parent / "builtin/aprqa-reference"
MOST_ELEMENTS = 1 << 16
"""Of a tensor that is dequantised."""

Mutator = Callable[[bytes, int, int], bytes]


class Reader(ABC):
    """A reader, its sound inputs, and how to change them.

    Attributes:
        longest: most bytes of an input.
        mutate: a mutator that knows the form of the input, or None for that of the fuzzer.
    """

    longest = 4096
    mutate: Mutator | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "model"
        self.folder.mkdir()

    @abstractmethod
    def samples(self) -> Iterator[bytes]:
        """Yield sound inputs."""

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Read an input. Raises ArtifactError alone."""

    def close(self) -> None:  # noqa: B027  # most readers hold nothing
        """Let go of what the reader holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def feed(self, data: bytes) -> bool:
        """Return whether an input was read and not refused."""
        try:
            self.read(data)
        except ArtifactError as error:
            if not error.message:
                raise
            return False
        return True


def _tensors() -> list[TensorSource]:
    random = np.random.default_rng(1)
    rows = random.standard_normal((2, 32)).astype(np.float32)
    return [
        TensorSource.of("output_norm.weight", rows[0], DType.F32),
        TensorSource.of("token_embd.weight", rows, DType.BF16),
        TensorSource.of("blk.0.attn_q.weight", rows, DType.Q8_0),
    ]


class Container(Reader):
    """One file of tensors: what stands in it, each tensor's bytes and numbers, and its metadata."""

    name = ""

    def read(self, data: bytes) -> None:
        path = self.folder / self.name
        path.write_bytes(data)
        self.look_into(open_tensors(path, checksum=len(data) % 4 == 0))

    def look_into(self, opened: TensorFile) -> None:
        with opened as file:
            for name, info in list(file.tensors.items())[:8]:
                assert file.raw(name).nbytes == info.nbytes
                if int(np.prod(info.shape, dtype=object)) <= MOST_ELEMENTS:
                    file.read(name)
            self.understand(file)

    def understand(self, file: TensorFile) -> None:
        """Read what the metadata says of the model."""
        dict(file.metadata)


class SafeTensors(Container):
    name = "model.safetensors"

    def samples(self) -> Iterator[bytes]:
        path = self.folder / "sample"
        kept = [t for t in _tensors() if t.dtype is not DType.Q8_0]
        write_safetensors(path, kept)
        sound = path.read_bytes()
        yield sound
        yield sound[:8] + sound[8:].replace(b"F32", b"I64")
        write_safetensors(path, [])
        yield path.read_bytes()


class Index(Container):
    """The index of a sharded model, whose shards lie beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for number, tensor in enumerate(_tensors()[:2]):
            write_safetensors(self.folder / f"{number}.safetensors", [tensor])
        self.mutate = mutate_json

    def samples(self) -> Iterator[bytes]:
        shards = {"output_norm.weight": "0.safetensors", "token_embd.weight": "1.safetensors"}
        yield json.dumps({"metadata": {"total_size": 256}, "weight_map": shards}).encode()
        for stray in ("../../../etc/passwd", "/etc/passwd", "a/../../b", "nul\0", "."):
            yield json.dumps({"weight_map": {"output_norm.weight": stray}}).encode()

    def read(self, data: bytes) -> None:
        (self.folder / "model.safetensors.index.json").write_bytes(data)
        self.look_into(open_tensors(self.folder))


class Gguf(Container):
    name = "model.gguf"

    def samples(self) -> Iterator[bytes]:
        path = self.folder / "sample"
        config = config_from_hf(read_hf_config(MODEL))
        keys: dict[str, Any] = {"general.architecture": "llama"}
        keys |= {**config_to_gguf(config), **_small_vocabulary()}
        write_gguf(path, _tensors(), [_gguf_value(key, value) for key, value in keys.items()])
        yield path.read_bytes()
        write_gguf(path, _tensors()[:1], [GgufValue("a.b", GgufType.UINT8, 1)])
        yield path.read_bytes()

    def understand(self, file: TensorFile) -> None:
        dict(file.metadata)
        _each(partial(config_from_gguf, file), partial(vocabulary_from_gguf, dict(file.metadata)))


class Apr(Container):
    name = "model.apr"

    def samples(self) -> Iterator[bytes]:
        path = self.folder / "sample"
        config = config_from_hf(read_hf_config(MODEL))
        vocabulary = vocabulary_from_gguf(_small_vocabulary())
        assert vocabulary is not None
        kept = [t for t in _tensors() if t.dtype is not DType.Q8_0]
        write_apr(path, kept, {**config_to_apr(config), **vocabulary_to_apr(vocabulary)})
        yield path.read_bytes()
        write_apr(path, _tensors()[:1], {"name": "tiny"})
        yield path.read_bytes()

    def understand(self, file: TensorFile) -> None:
        dict(file.metadata)
        _each(partial(config_from_apr, file), partial(vocabulary_from_apr, dict(file.metadata)))


class Config(Reader):
    """config.json, and what GGUF and APR say of the same."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mutate = mutate_json

    def samples(self) -> Iterator[bytes]:
        sound = json.loads((MODEL / "config.json").read_bytes())
        yield json.dumps(sound).encode()
        for kind in ("yarn", "llama3", "longrope", "linear"):
            scaling = {"rope_type": kind, "factor": 2.0, "original_max_position_embeddings": 512}
            scaling |= {"short_factor": [1.0] * 32, "long_factor": [1.0] * 32}
            scaling |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
            yield json.dumps({**sound, "rope_parameters": scaling}).encode()
        for family in ("qwen2", "qwen3", "gemma", "gemma2", "phi3", "mistral"):
            yield json.dumps({**sound, "model_type": family}).encode()

    def read(self, data: bytes) -> None:
        (self.folder / "config.json").write_bytes(data)
        config = config_from_hf(read_hf_config(self.folder))
        _each(
            partial(config_to_hf, config),
            partial(config_to_gguf, config),
            partial(config_to_apr, config),
        )


class Tokenizer(Reader):
    """tokenizer.json and tokenizer_config.json, one JSON object with the two inside."""

    longest = 8192

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mutate = mutate_json
        self._config = config_from_hf(read_hf_config(MODEL))
        self._artifact = Artifact(Format.SAFETENSORS, self.folder, (), "0" * 64, "fuzz")

    def samples(self) -> Iterator[bytes]:
        tokenizer = _small_tokenizer()
        stated = json.loads((MODEL / "tokenizer_config.json").read_bytes())
        yield json.dumps({"tokenizer": tokenizer, "stated": stated}).encode()
        tokenizer["model"]["byte_fallback"] = True
        tokenizer["pre_tokenizer"] = None
        yield json.dumps({"tokenizer": tokenizer, "stated": {}}).encode()

    def read(self, data: bytes) -> None:
        try:
            both = json.loads(data)
            tokenizer, stated = both["tokenizer"], both["stated"]
            if isinstance(stated, dict):
                stated.pop("chat_template", None)  # a reader of its own
        except (ValueError, KeyError, TypeError, RecursionError):
            tokenizer, stated = None, {}
        text = data if tokenizer is None else json.dumps(tokenizer).encode()
        (self.folder / "tokenizer.json").write_bytes(text)
        (self.folder / "tokenizer_config.json").write_text(json.dumps(stated))
        _each(
            partial(check_tokenizer, self._artifact, self._config),
            partial(self._vocabulary),
        )

    def _vocabulary(self) -> None:
        if vocabulary := vocabulary_from_hf(self.folder, self._config):
            vocabulary_to_gguf(vocabulary)
            vocabulary_to_apr(vocabulary)


class SentencePiece(Reader):
    """tokenizer.model, where there is no tokenizer.json."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._config = config_from_hf(read_hf_config(MODEL))
        self._artifact = Artifact(Format.SAFETENSORS, self.folder, (), "0" * 64, "fuzz")

    def samples(self) -> Iterator[bytes]:
        kinds = [(b"<unk>", 2), (b"<s>", 3), (b"</s>", 3), (b"<tool>", 4), (b"<0x0A>", 6)]
        pieces = [_message(1, text) + b"\x18" + bytes([kind]) for text, kind in kinds]
        pieces += [_message(1, text.encode()) + b"\x15\0\0\x80\xbf" for text in "\u2581hello"]
        vocabulary = b"".join(_message(1, piece) for piece in pieces)
        trainer = _message(2, b"\x18\x02\x98\x02\x01\xd8\x02" + b"\xff" * 9 + b"\x01")
        yield vocabulary + trainer + _message(3, b"\x20\0")
        yield vocabulary + _message(2, b"\x18\x01") + _message(3, _message(2, b"table"))

    def read(self, data: bytes) -> None:
        (self.folder / "tokenizer.model").write_bytes(data)
        _each(
            partial(check_tokenizer, self._artifact, self._config),
            partial(vocabulary_from_hf, self.folder, self._config),
        )


def _message(field: int, body: bytes) -> bytes:
    return bytes([field << 3 | 2, len(body)]) + body


class Template(Reader):
    """A chat template: parsed here, where coverage is seen, and rendered where it is contained."""

    longest = 1024

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mutate = mutate_template
        self._sandbox = TemplateSandbox()
        self._environment = make_environment()
        self._values = {
            "messages": [{"role": "user", "content": "Hello"}],
            "bos_token": "<s>",
            "eos_token": "</s>",
            "add_generation_prompt": True,
        }

    def close(self) -> None:
        self._sandbox.close()

    def samples(self) -> Iterator[bytes]:
        yield (MODEL / "chat_template.jinja").read_bytes()
        yield from (text.encode() for text in _TEMPLATES)

    def read(self, data: bytes) -> None:
        template = data.decode("utf-8", "replace")
        with _anything():
            self._environment.parse(template)
        answer = self._sandbox.answer(template, self._values)
        assert answer.keys() & {"text", "refused", "error"}, answer


class _anything:  # noqa: N801  # reads as a statement
    """What a parser of Jinja raises is caught in the sandbox; here it only guides."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        return isinstance(error, Exception) and not isinstance(error, MemoryError)


_TEMPLATES = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ m.content | trim }}{% endif %}{% endfor %}",
    "{% macro f(x, y=1) %}{{ x }}{{ caller() }}{% endmacro %}{% call f(1) %}{% endcall %}",
    "{% set ns = namespace(a='') %}{% for i in range(9) %}{% set ns.a = ns.a ~ i %}{% endfor %}",
    "{{ messages | tojson(indent=2) }}{{ messages[0].keys() | list | join(',') }}",
    "{% for i in range(10 ** 5) %}{% if loop.index > 3 %}{% break %}{% endif %}{% endfor %}",
    "{{ 'a' * 10 ** 9 }}{{ ''.__class__.__mro__ }}{{ '%9d' % 1 }}{{ raise_exception('no') }}",
    "{%- filter upper -%}a{%- endfilter -%}{% raw %}{{{% endraw %}{# c #}{{ strftime_now('%Y') }}",
)


def _each(*calls: Callable[[], object]) -> None:
    """Make every call; raise the last refusal when one refuses."""
    refusal: ArtifactError | None = None
    for call in calls:
        try:
            call()
        except ArtifactError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def _small_tokenizer() -> dict[str, Any]:
    tokenizer: dict[str, Any] = json.loads((MODEL / "tokenizer.json").read_bytes())
    model = tokenizer["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < 40}
    pairs = [pair for pair in model["merges"] if "".join(pair) in model["vocab"]]
    model["merges"] = [pair for pair in pairs if set(pair) <= model["vocab"].keys()]
    return tokenizer


def _small_vocabulary() -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b", "ab"],
        "tokenizer.ggml.token_type": [3, 3, 1, 1, 1],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
    }


def _gguf_value(key: str, value: Any) -> GgufValue:
    kinds = {bool: GgufType.BOOL, int: GgufType.UINT32, float: GgufType.FLOAT32}
    kinds[str] = GgufType.STRING
    if isinstance(value, list):
        return GgufValue(key, GgufType.ARRAY, value, kinds[type(value[0])])
    return GgufValue(key, kinds[type(value)], value)


_VALUES = (None, True, -1, 0, 3, 2**31, 2**70, 0.5, 1e300, "", "é", "a" * 99, [], [-1, 3], {})
_KEYS = ("", "type", "id", "rope_type", "vocab_size", "../x", "\ud800")


def mutate_json(data: bytes, most: int, seed: int) -> bytes:
    """Change a value, a key or a length somewhere in JSON; bytes that are none, as bytes."""
    import atheris

    draw = random.Random(seed)
    if draw.random() < 0.2:
        return bytes(atheris.Mutate(data, most))
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, most))
    for _ in range(draw.choice((1, 1, 2, 4))):
        value = _changed(value, draw)
    return json.dumps(value).encode()[:most]


def _changed(value: Any, draw: random.Random) -> Any:
    """Return JSON with one change somewhere inside."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        match draw.randrange(12):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, draw.choice(_KEYS): value[key]}
            case _:
                return {**value, key: _changed(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        at = draw.randrange(len(value))
        match draw.randrange(8):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[:at] + value[at:] * 2
            case _:
                return [*value[:at], _changed(value[at], draw), *value[at + 1 :]]
    if isinstance(value, int | float) and draw.random() < 0.5:
        return draw.choice((value + 1, value - 1, -value, value * 2, value * 1000, str(value)))
    if isinstance(value, str) and draw.random() < 0.5:
        return draw.choice((value * 2, value[1:], value + "\0", value.upper(), f"{value}\ud800"))
    return draw.choice(_VALUES)


_PIECES = (
    *("{{", "}}", "{%", "%}", "{#", "#}", "|", "~", "**", "*", "%", "(", ")", "[", "]", ".", ","),
    *("for i in ", "endfor", "if ", "endif", "set ", "macro f() ", "endmacro", "f()", "loop."),
    *("range(", "99999", "messages", "content", "'a'", "center", "indent", "replace", "join"),
    *("namespace(", "attr('__class__')", "__globals__", "lipsum", "cycler", "self", "recursive "),
    *("tojson", "format", "map", "select", "batch(9)", "slice(9)", "raise_exception", "break"),
)


def mutate_template(data: bytes, most: int, seed: int) -> bytes:
    """Insert, double or take out a piece of Jinja; one time in five, change bytes."""
    import atheris

    draw = random.Random(seed)
    if draw.random() < 0.2:
        return bytes(atheris.Mutate(data, most))
    text = data.decode("utf-8", "replace")
    for _ in range(draw.choice((1, 2, 4))):
        at, to = sorted(draw.randrange(len(text) + 1) for _ in range(2))
        piece = draw.choice((draw.choice(_PIECES), text[at : at + draw.randrange(40)], ""))
        text = text[:at] + piece + text[at if piece else min(to, at + 20) :]
    return text.encode("utf-8", "replace")[:most]


READERS: dict[str, type[Reader]] = {
    "safetensors": SafeTensors,
    "index": Index,
    "gguf": Gguf,
    "apr": Apr,
    "config": Config,
    "tokenizer": Tokenizer,
    "sentencepiece": SentencePiece,
    "template": Template,
}
