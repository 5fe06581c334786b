"""The verdicts that there are, from the best (SPEC C29)."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """From the best (SPEC C29)."""

    BIT_EXACT = "bit-exact"
    BIT_EXACT_AS = "bit-exact as"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_RUN = "not run"
    NOT_TAKEN = "not taken"
    """A dtype that nobody asked for by name, and that the port does not take."""

    @property
    def rank(self) -> int:
        """0 for the best."""
        return list(Verdict).index(self)
