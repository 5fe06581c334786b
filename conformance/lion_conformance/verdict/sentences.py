"""What is said of a port in one sentence: the semantics that it has, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lion_conformance.ports.protocol import Variant
from lion_conformance.ports.refusal import Refusal
from lion_ref import CANONICAL, Semantics

FEW: Final = 3
"""Intervals of one scalar that are told one by one."""


LONGEST: Final = 120
"""Characters of a sentence at the most: what is longer is told as a headline and statements."""


def headline(text: str) -> tuple[str, tuple[str, ...]]:
    """What is said first, and the statements that go on from it, where one line is too short.

    >>> headline("equals the reference")
    ('equals the reference', ())
    >>> longer = Semantics(momentum_fused="gradient", sign_fused="gradient", decay="unscaled",
    ...     subnormals="flush", nan_sign="zero", precision="storage")
    >>> headline(sentence(longer))[0]
    'another algorithm: equals the reference in which'
    """
    if len(text) <= LONGEST:
        return text, ()
    first, *more = (part for whole in text.split("; ") for part in whole.split(", and "))
    if more[-1:] == [OTHER] and first.startswith("equals"):
        more.remove(OTHER)
        first = f"{OTHER}: {first}"
    begins, in_which, form = first.partition(" in which ")
    if in_which:
        first, more = f"{begins} in which", [form, *more]
    shown = shortened(first)  # the port's own words, which can be of any length
    if shown != first:
        more = [first, *more]
    return shown, tuple(more)


def shortened(text: str) -> str:
    """Text that is cut where it is too long for a line.

    >>> len(shortened("x" * 200)), shortened("short")
    (120, 'short')
    """
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


OTHER: Final = "another algorithm"
ORDINARILY: Final = "at ordinary hyperparameters"


def sentence(semantics: Semantics) -> str:
    """A semantics as a sentence.

    >>> sentence(Semantics(subnormals="flush", decay="unscaled"))
    "equals the reference in which θ' = (θ - λ·θ) - η·u, and subnormals flushed; another algorithm"
    """
    if semantics == CANONICAL:
        return "equals the reference"
    differences = semantics.describe().replace("; ", ", and ")
    other = f"; {OTHER}" if semantics.is_other_algorithm else ""
    return f"equals the reference in which {differences}{other}"


def in_words(refusals: Sequence[Refusal]) -> str:
    """What is refused, without the port's words.

    >>> in_words([Refusal("lr", 0.0, 0.0), Refusal("beta1", 0.0, 0.25)])
    'refuses lr = 0, beta1 from 0 to 0.25'
    """
    by_argument: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        by_argument.setdefault(refusal.argument, []).append(refusal)
    return f"refuses {', '.join(_briefly(x) for x in by_argument.values())}"


def _briefly(refusals: Sequence[Refusal]) -> str:
    """What is refused of one scalar; of many intervals how many, and where they begin and end."""
    if len(refusals) <= FEW:
        return ", ".join(dict.fromkeys(x.describe() for x in refusals))
    argument = refusals[0].argument
    whole = Refusal(argument, min(x.least for x in refusals), max(x.greatest for x in refusals))
    return f"{len(refusals)} values or intervals of {whole.describe()}"


def wherever_it_answers(sentence: str, refusals: Sequence[Refusal]) -> str:
    """A sentence about all cases, for a port that did not answer some."""
    if not refusals:
        return sentence
    if not sentence:
        return in_words(refusals)
    wherever = ", wherever it answers" if sentence.startswith("equals") else ""
    return f"{sentence}{wherever}; {in_words(refusals)}"


AS_WRITTEN: Final = "as written"


def depending(variants: Sequence[Variant], told: Mapping[str, str]) -> str:
    """What is said of code that comes to several things, by how it does: see `Variant`."""
    return "; ".join(
        [
            *dict.fromkeys(f"its bits depend on {x.depends_on}" for x in variants),
            *(f"{how}: {what}" for how, what in told.items()),
            *dict.fromkeys(x.decided_by for x in variants),
        ]
    )
