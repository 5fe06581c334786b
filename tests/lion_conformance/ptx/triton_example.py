"""The Triton kernel of the examples, whose folder is no package."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

EXAMPLE = Path(__file__).parents[3] / "examples" / "ports" / "triton" / "lion.py"


@cache
def example() -> ModuleType:
    """examples/ports/triton/lion.py as a module."""
    spec = importlib.util.spec_from_file_location("lion_in_triton", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
