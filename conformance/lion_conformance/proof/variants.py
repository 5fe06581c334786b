"""One proof of code that may come to several things: what holds of all, or what it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lion_conformance.ports.protocol import Variant
from lion_conformance.proof.proof import Finding, Proof

AS_WRITTEN: Final = "as written"


def together(as_written: Proof, variants: Sequence[tuple[Variant, Proof]]) -> Proof:
    """What was proved of a port as it is written, and of its variants.

    What differs in one of them differs. Where each equals something else, nothing is decided: which
    it is, is not for the port to say.
    """
    if not variants:
        return as_written
    findings = [
        _of_triple(finding, [(variant, proof.findings[i]) for variant, proof in variants])
        for i, finding in enumerate(as_written.findings)
    ]
    return replace(as_written, findings=tuple(findings))


def _of_triple(as_written: Finding, variants: Sequence[tuple[Variant, Finding]]) -> Finding:
    found = [(AS_WRITTEN, as_written), *((variant.words, x) for variant, x in variants)]
    if len({(x.verdict, x.statement) for _, x in found}) == 1:
        return as_written
    wrong = next(((words, x) for words, x in found if x.verdict == "differs"), None)
    if wrong is not None:
        words, finding = wrong
        return replace(finding, difference=f"{words}: {finding.statement}")
    depends = dict.fromkeys(f"its bits depend on {x.depends_on}" for x, _ in variants)
    decided = dict.fromkeys(x.decided_by for x, _ in variants)
    parts = [*depends, *(f"{words}: {x.statement}" for words, x in found), *decided]
    return replace(
        as_written, verdict="not decided", semantics=None, not_understood="; ".join(parts)
    )
