"""timm: its optimizers alone, as its models would need torchvision."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_torch import torch_port


def timm_lion() -> Any:
    """timm's Lion class, without an import of timm's models.

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


def ports(device: str) -> list[Port]:
    """The loop over parameters, which is the default on a CPU, and lists of them."""
    lion = timm_lion()
    return [
        torch_port("timm", "step()", device, lion, foreach=False),
        torch_port("timm", "step(), foreach", device, lion, foreach=True),
    ]
