"""Published Lions as their users make them, for benchmarks and for tests of their state dicts."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from benchmarks.results import present
from lion_conformance.ports.published.timm import timm_lion


def installed() -> list[str]:
    """The distributions behind `published`, those that are installed."""
    return present(("lion-pytorch", "torch-optimi", "pytorch_optimizer", "timm"))


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
