"""lion_conformance: puts any port of Lion against lion_ref, bit for bit (SPEC.md)."""

from lion_conformance.judge import Verdict
from lion_conformance.port import Port, PortError, from_callable
from lion_conformance.report.model import Report
from lion_conformance.verify import verify

__all__ = ["Port", "PortError", "Report", "Verdict", "from_callable", "verify"]
