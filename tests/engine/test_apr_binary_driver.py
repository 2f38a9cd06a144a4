"""A stand-in executable that keeps to the documented command line of `apr`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.run.faults import verdict_of
from pytest_aprqa.words import Attribution, Backend, Format, Outcome

LIMIT = 60.0
PROMPT = Request("-n hens", max_tokens=3)
NOT_THERE = "return self.answer({'error': 'not_found'}, 404)"

_APR = """#!{python}
import argparse, json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

if sys.argv[1:] == ["--version", "--json"]:
    print("a line before it")
    print(json.dumps({{"name": "apr", "version": "9.9", "cuda_runtime_available": False}}))
    sys.exit()

parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command")
run = commands.add_parser("run")
run.add_argument("file")
for name in ("--prompt", "--max-tokens", "--temperature", "--seed"):
    run.add_argument(name)
for name in ("--no-gpu", "--offline", "--json"):
    run.add_argument(name, action="store_true", required=True)
server = commands.add_parser("serve").add_subparsers().add_parser("run")
server.add_argument("file")
server.add_argument("--host")
server.add_argument("--port", type=int)
server.add_argument("--context-length")
server.add_argument("--no-gpu", action="store_true", required=True)
given = parser.parse_args()
with open({calls!r}, "a") as calls:
    print(given.command, file=calls)
{fault}
if given.command == "run":
    count = int(given.max_tokens)
    print("Loading ...")
    print(json.dumps({{"text": given.prompt + "!", "tokens": [5] * count, "tokens_generated": count}}))
    sys.exit()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({{"status": "healthy"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["model"] not in ("apr", os.path.basename(given.file)[:-4]):
            return self.answer({{"error": {{"code": "model_not_found"}}}}, 404)
        if self.path == "/v1/completions":
            return self.complete(body)
        said = body["messages"][-1]["content"]
        choice = {{"message": {{"content": "you said " + said}}, "finish_reason": "stop"}}
        self.answer({{"choices": [choice]}})

    def complete(self, body):
        {completion}
        self.answer({{"text": body["prompt"] + "?", "tokens_generated": body["max_tokens"], "latency_ms": 1}})

    def answer(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


HTTPServer((given.host, given.port), Handler).serve_forever()
"""


@pytest.fixture(scope="session")
def apr_file(tiny, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    source = tiny.artifact(Format.SAFETENSORS)
    return convert(source, Format.APR, tmp_path_factory.mktemp("binary") / "apr")


@pytest.fixture
def open_binary(apr_file: Artifact, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def start(fault: str = "", backend: Backend = Backend.CPU, completion: str = "pass") -> Engine:
        binary = tmp_path / "apr"
        calls = str(tmp_path / "calls")
        binary.write_text(
            _APR.format(python=sys.executable, fault=fault, completion=completion, calls=calls)
        )
        binary.chmod(0o755)
        engine = open_engine(apr_file, backend, log_dir=tmp_path, threads=1, apr_binary=str(binary))
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.close()


def test_one_process_answers_prompts_and_conversations(
    open_binary: Callable[..., Engine],
    engine_processes: Callable[[], list[psutil.Process]],
    tmp_path: Path,
) -> None:
    engine = open_binary()
    report = engine.load(LIMIT)
    assert (report.engine, report.dtype, report.vocab_size) == ("apr 9.9", "F32", 300)
    chat = Request(None, messages=(Message("user", "hens"),))
    raw, again, served = engine.generate([PROMPT, PROMPT, chat], LIMIT)
    assert (raw.text, raw.token_ids, raw.finish) == ("-n hens?", None, FinishReason.LENGTH)
    assert (again.text, again.rendered_prompt) == ("-n hens?", "-n hens")
    assert (served.text, served.finish) == ("you said hens", FinishReason.STOP)
    assert (tmp_path / "calls").read_text().split() == ["serve"]
    assert len(engine_processes()) == 2
    engine.close()
    assert engine_processes() == []


def test_a_server_may_complete_as_openai_does(open_binary: Callable[..., Engine]) -> None:
    choice = '{"text": "so", "finish_reason": "stop"}'
    engine = open_binary(completion=f"return self.answer({{'choices': [{choice}]}})")
    [raw] = engine.generate([PROMPT], LIMIT)
    assert (raw.text, raw.finish) == ("so", FinishReason.STOP)


def test_what_the_server_has_not_is_run_once_a_prompt(
    open_binary: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = open_binary(completion=NOT_THERE)
    raw, again = engine.generate([PROMPT, PROMPT], LIMIT)
    assert (raw.text, raw.token_ids, raw.finish) == ("-n hens!", (5, 5, 5), FinishReason.LENGTH)
    assert again.text == "-n hens!"
    assert (tmp_path / "calls").read_text().split() == ["serve", "run", "run"]


def test_a_draw_is_run_once_for_the_server_takes_no_seed(
    open_binary: Callable[..., Engine],
) -> None:
    [drawn] = open_binary().generate([Request("hens", max_tokens=3, temperature=0.5)], LIMIT)
    assert drawn.text == "hens!"


def test_a_server_that_cannot_compute_an_answer_fails_at_inference(
    open_binary: Callable[..., Engine],
) -> None:
    engine = open_binary(completion="return self.answer({'error': 'shapes differ'}, 500)")
    with pytest.raises(EngineError, match="shapes differ") as caught:
        engine.generate([PROMPT], LIMIT)
    assert caught.value.fault is Fault.INFERENCE
    assert verdict_of(caught.value, converted=True) == (Outcome.FALSIFIED, Attribution.ENGINE)


def test_a_server_that_dies_of_a_prompt_is_a_crash_with_its_signal(
    open_binary: Callable[..., Engine],
) -> None:
    engine = open_binary(completion="os.kill(os.getpid(), 11)")
    with pytest.raises(EngineError) as caught:
        engine.generate([PROMPT], LIMIT)
    assert (caught.value.fault, caught.value.signal) == (Fault.CRASH, "SIGSEGV")


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (2, Fault.UNSUPPORTED),
        (3, Fault.ENVIRONMENT),
        (4, Fault.LOAD),
        (6, Fault.LOAD),
        (9, Fault.UNSUPPORTED),
    ],
)
def test_the_exit_code_of_the_server_says_whose_fault_it_is(
    open_binary: Callable[..., Engine], code: int, fault: Fault
) -> None:
    engine = open_binary(f"print('error: said so', file=sys.stderr); sys.exit({code})")
    with pytest.raises(EngineError, match=f"exit status {code}: error: said so") as caught:
        engine.load(LIMIT)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (1, Fault.PROTOCOL),
        (8, Fault.INFERENCE),
        (42, Fault.PROTOCOL),
        (101, Fault.CRASH),
        (139, Fault.CRASH),
    ],
)
def test_only_a_run_that_died_is_a_crash(
    open_binary: Callable[..., Engine], code: int, fault: Fault
) -> None:
    died = f"print('error: said so', file=sys.stderr); sys.exit({code})"
    engine = open_binary(f"if given.command == 'run': {died}", completion=NOT_THERE)
    with pytest.raises(EngineError, match="said so") as caught:
        engine.generate([PROMPT], LIMIT)
    assert caught.value.fault is fault
    assert caught.value.signal == ("SIGSEGV" if code == 139 else "")


def test_a_run_that_dies_of_a_signal_is_a_crash_with_its_name(
    open_binary: Callable[..., Engine],
) -> None:
    engine = open_binary(
        "if given.command == 'run': os.kill(os.getpid(), 11)", completion=NOT_THERE
    )
    with pytest.raises(EngineError) as caught:
        engine.generate([Request("hens")], LIMIT)
    assert (caught.value.fault, caught.value.signal) == (Fault.CRASH, "SIGSEGV")


def test_an_answer_without_json_is_a_breach_of_protocol(open_binary: Callable[..., Engine]) -> None:
    engine = open_binary(
        "if given.command == 'run': print('Output: hens'); sys.exit()", completion=NOT_THERE
    )
    with pytest.raises(EngineError, match="no JSON: Output: hens") as caught:
        engine.generate([Request("hens")], LIMIT)
    assert caught.value.fault is Fault.PROTOCOL


def test_no_gpu_in_the_build_is_the_environments_fault(open_binary: Callable[..., Engine]) -> None:
    with pytest.raises(EngineError, match="no GPU") as caught:
        open_binary(backend=Backend.GPU).load(LIMIT)
    assert caught.value.fault is Fault.ENVIRONMENT


def test_a_missing_binary_is_the_environments_fault(apr_file: Artifact, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere" / "apr")
    engine = open_engine(apr_file, Backend.CPU, log_dir=tmp_path, apr_binary=missing)
    with pytest.raises(EngineError, match="cannot be run: No such file") as caught:
        engine.load(LIMIT)
    assert caught.value.fault is Fault.ENVIRONMENT
