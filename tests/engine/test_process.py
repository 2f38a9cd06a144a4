from __future__ import annotations

import os
from pathlib import Path

from pytest_aprqa.engine.process import engine_environment


def test_an_engine_gets_no_token_and_no_network() -> None:
    own = {
        "PATH": "/bin",
        "HF_TOKEN": "secret",
        "HUGGING_FACE_HUB_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTPS_PROXY": "http://proxy",
        "LD_PRELOAD": "/lib/x.so",
        "HF_HUB_OFFLINE": "0",
    }
    environment = engine_environment(own, threads=3)
    assert environment["PATH"] == "/bin"
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert not (set(own) - {"PATH", "HF_HUB_OFFLINE"}) & set(environment)
    assert "secret" not in environment.values()


def test_every_thread_pool_gets_the_same_bound() -> None:
    environment = engine_environment({}, threads=3)
    pools = [name for name in environment if name.endswith("_NUM_THREADS")]
    assert len(pools) >= 3
    assert {environment[name] for name in pools} == {"3"}


def test_devices_and_locale_are_passed_on() -> None:
    own = {"CUDA_VISIBLE_DEVICES": "1", "LC_ALL": "C.UTF-8"}
    assert own.items() <= engine_environment(own, threads=1).items()


def test_the_package_is_found_first_without_losing_the_own_search_path() -> None:
    search = engine_environment({"PYTHONPATH": "/mine"}, threads=1)["PYTHONPATH"].split(os.pathsep)
    assert (Path(search[0]) / "pytest_aprqa").is_dir()
    assert search[1:] == ["/mine"]
