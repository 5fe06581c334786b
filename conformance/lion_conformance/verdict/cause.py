"""What is wrong with a port, named: plain values that every report shows first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lion_conformance.verdict.code import Code


class Kind(Enum):
    """What a cause speaks of."""

    MISTAKE = "mistake"
    """Another update: β1 and β2 swapped, the decay doubled, a store that rounds twice."""
    PLACE = "place"
    """Wrong in places alone: elements, shapes, values, scalars that a rule tells from the rest."""
    RUN = "run"
    """Right in a single step, wrong between steps: what is kept, restored, shared, read."""
    CONTRACT = "contract"
    """Something other than bits: an input changed, an exception, memory that is not new."""
    CHANCE = "chance"
    """The same inputs give other bits at another call."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong, in words that were confirmed on fresh cases.

    >>> Cause(Kind.MISTAKE, Code.BETAS_SWAPPED, "β1 and β2 are swapped", "C5").line()
    'β1 and β2 are swapped (SPEC C5)'
    """

    kind: Kind
    code: Code
    """The mistake in general, which has a page: `lion-conformance explain CODE`."""
    sentence: str
    """What is wrong, in at most 120 characters, without the clause and without a full stop."""
    clause: str = ""
    """The clause of SPEC.md that it breaks, as in C5."""
    rule: str = ""
    """Where it is wrong, if not everywhere: `flat index ≥ 65536`, `η > 1`."""
    evidence: tuple[str, ...] = ()
    """What was seen and confirmed, a sentence each."""

    def line(self) -> str:
        """The sentence with its clause."""
        return f"{self.sentence} (SPEC {self.clause})" if self.clause else self.sentence
