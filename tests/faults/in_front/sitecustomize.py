"""Puts faults in front of llama.cpp, in the process that hosts it.

Python imports this before anything else when its folder is on the search path.
"""

from __future__ import annotations

import sys

if "pytest_aprqa.engine.child" in sys.orig_argv:
    from engine_faults import FaultyDriver

    from pytest_aprqa.engine import llama_cpp_driver

    llama_cpp_driver.LlamaCppDriver = FaultyDriver  # type: ignore[misc]
