"""lion_ref: the Lion update whose order of operations and roundings is the definition (SPEC.md)."""

from lion_ref.acceptance import accepts
from lion_ref.dtypes import STORAGE_DTYPES, legal_triples
from lion_ref.semantics import CANONICAL, Semantics
from lion_ref.update import step

__all__ = [
    "CANONICAL",
    "SPEC_VERSION",
    "STORAGE_DTYPES",
    "Semantics",
    "accepts",
    "legal_triples",
    "step",
]

__version__ = "0.1.0"
SPEC_VERSION = 1
"""Of SPEC.md, which C32 says when to raise: with every change of a bit that it fixes."""
