"""lion_conformance: puts any port of Lion against lion_ref, bit for bit (SPEC.md)."""

from lion_conformance.diagnose import Diagnosis, diagnose, diagnosis
from lion_conformance.judge import Verdict
from lion_conformance.offers import Offer
from lion_conformance.port import Port, PortError, from_callable
from lion_conformance.report.model import Report
from lion_conformance.verify import verify

__all__ = [
    "Diagnosis",
    "Offer",
    "Port",
    "PortError",
    "Report",
    "Verdict",
    "diagnose",
    "diagnosis",
    "from_callable",
    "verify",
]
