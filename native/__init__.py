"""The loops in C that run for every event. Each has a twin in Python, which gives the same.

`core` is None where it was not built, or where LLMOPT_NATIVE is "off".
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

__all__ = ["core"]


def _core() -> ModuleType | None:
    if os.environ.get("LLMOPT_NATIVE", "") == "off":
        return None
    try:
        return import_module("native.core")
    except ImportError:  # there was no compiler when it was installed
        return None


core = _core()
