"""lion_conformance: puts any port of Lion against lion_ref, bit for bit (SPEC.md).

A public name is imported when it is asked for: pytest imports this package wherever it is
installed, for its plugin, and a test run that judges no port should not wait for NumPy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lion_conformance.callables import from_callable
    from lion_conformance.diagnose import Diagnosis, diagnose, diagnosis
    from lion_conformance.judge import Verdict
    from lion_conformance.offers import Offer
    from lion_conformance.port import Port, PortError
    from lion_conformance.port_tests import PortTests
    from lion_conformance.refusal import Refusal
    from lion_conformance.report.model import Report
    from lion_conformance.verify import verify

__all__ = [
    "Diagnosis",
    "Offer",
    "Port",
    "PortError",
    "PortTests",
    "Refusal",
    "Report",
    "Verdict",
    "diagnose",
    "diagnosis",
    "from_callable",
    "verify",
]

_HOMES = {
    "Diagnosis": "diagnose",
    "Offer": "offers",
    "Port": "port",
    "PortError": "port",
    "PortTests": "port_tests",
    "Refusal": "refusal",
    "Report": "report.model",
    "Verdict": "judge",
    "diagnose": "diagnose",
    "diagnosis": "diagnose",
    "from_callable": "callables",
    "verify": "verify",
}


class _Package(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        setattr(self, name, found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a module binds it here under its name. Two of them hold the function of that
        # name, and it is the function that `lion_conformance.verify` means.
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
