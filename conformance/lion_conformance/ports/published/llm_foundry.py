"""LLM Foundry's DecoupledLionW, without Composer, of which only its metrics make use."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.bare import bare_import
from lion_conformance.ports.published.decoupled import decoupled_port


def ports(device: str) -> list[Port]:
    """The loop over parameters. Its Lion of 8 bits needs a GPU."""
    if importlib.util.find_spec("composer") is None:
        for name in ("composer", "composer.utils"):
            sys.modules[name] = ModuleType(name)
        sys.modules["composer.utils"].dist = None  # type: ignore[attr-defined]
    lion = bare_import("llmfoundry.optim.lion").DecoupledLionW
    return [decoupled_port("llm-foundry", device, lion)]
