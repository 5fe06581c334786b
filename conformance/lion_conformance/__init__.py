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
    from lion_conformance.diagnosis.search import Diagnosis, diagnose, diagnosis
    from lion_conformance.port_tests import PortTests
    from lion_conformance.ports.callable import from_callable
    from lion_conformance.ports.offers import Offer
    from lion_conformance.ports.protocol import Port, PortError, Variant
    from lion_conformance.ports.refusal import Refusal
    from lion_conformance.proof.proof import Proof
    from lion_conformance.proof.prove import prove
    from lion_conformance.ptx.port import ptx_port
    from lion_conformance.report.report import Report
    from lion_conformance.verdict.verdict import Verdict
    from lion_conformance.verify import verify

__all__ = [
    "Diagnosis",
    "Offer",
    "Port",
    "PortError",
    "PortTests",
    "Proof",
    "Refusal",
    "Report",
    "Variant",
    "Verdict",
    "diagnose",
    "diagnosis",
    "from_callable",
    "prove",
    "ptx_port",
    "verify",
]

_HOMES = {
    "Diagnosis": "diagnosis.search",
    "Offer": "ports.offers",
    "Port": "ports.protocol",
    "PortError": "ports.protocol",
    "PortTests": "port_tests",
    "Proof": "proof.proof",
    "Refusal": "ports.refusal",
    "Report": "report.report",
    "Variant": "ports.protocol",
    "Verdict": "verdict.verdict",
    "diagnose": "diagnosis.search",
    "diagnosis": "diagnosis.search",
    "from_callable": "ports.callable",
    "prove": "proof.prove",
    "ptx_port": "ptx.port",
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
        # Importing a module binds it here under its name. Two have the name of a public function,
        # which is what `lion_conformance.verify` and `lion_conformance.diagnosis` mean; the room of
        # that name is reached by `from lion_conformance.diagnosis import …`.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
