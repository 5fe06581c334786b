"""Published Lions as their users make them, for benchmarks and for tests of their state dicts."""

from __future__ import annotations

import contextlib
import importlib
import sys
from importlib.machinery import PathFinder
from importlib.metadata import Distribution
from types import ModuleType
from typing import Any


def timm_lion() -> Any:
    """timm's Lion class, from its optimizers alone: timm's models would need torchvision.

    Raises:
        ModuleNotFoundError: timm is not installed.
    """
    if "timm" not in sys.modules:
        for name in ("timm", "timm.optim"):
            parent = sys.modules["timm"].__path__ if "." in name else None
            spec = PathFinder.find_spec(name, parent)
            if spec is None or spec.submodule_search_locations is None:
                raise ModuleNotFoundError("No module named 'timm': pip install timm")
            package = ModuleType(name)
            package.__path__ = list(spec.submodule_search_locations)
            sys.modules[name] = package
    return importlib.import_module("timm.optim.lion").Lion


def installed() -> list[str]:
    """The distributions behind `published`, those that are installed."""
    wanted = ("lion-pytorch", "torch-optimi", "pytorch_optimizer", "timm")
    return [name for name in wanted if any(Distribution.discover(name=name))]


def published() -> dict[str, Any]:
    """The Lions that are installed, by name: each takes parameters, lr and weight_decay."""
    found: dict[str, Any] = {}
    for name, module, attribute in (
        ("lion-pytorch", "lion_pytorch", "Lion"),
        ("lion-pytorch foreach", "lion_pytorch.foreach", "Lion"),
        ("torch-optimi", "optimi", "Lion"),
        ("pytorch_optimizer", "pytorch_optimizer", "Lion"),
    ):
        try:
            found[name] = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError:
            continue
    with contextlib.suppress(ModuleNotFoundError):
        found["timm"] = timm_lion()
    return found
