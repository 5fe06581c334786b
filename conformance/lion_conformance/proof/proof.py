"""What was proved of a port: plain values, and how they are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from lion_conformance.ports.dtypes import spelled
from lion_conformance.proof.symbols import Triple
from lion_conformance.verdict.sentences import AS_WRITTEN, sentence
from lion_ref import Semantics

Verdict = Literal["equals", "differs", "not decided"]

_RANKS: Final[dict[Verdict, int]] = {"equals": 0, "not decided": 1, "differs": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one triple of dtypes."""

    triple: Triple
    verdict: Verdict
    way: str = ""
    """What became of the code where that is not for it to say, as a contraction."""
    semantics: Semantics | None = None
    """That of the reference which it equals."""
    sizes: tuple[int, ...] = ()
    """The sizes of tensors at which it was traced."""
    condition: str = ""
    """What is left out of "every value"."""
    difference: str = ""
    """The first operation that is another, in the clauses' names."""
    witness: str = ""
    """An element on which the bits differ."""
    not_understood: str = ""
    """Why nothing was decided."""
    caveat: str = ""
    """What has to be said with it: that a compiler may yet change what was traced."""

    @property
    def statement(self) -> str:
        """The finding in a sentence."""
        if self.verdict == "equals" and self.semantics is not None:
            sizes = ", ".join(map(str, self.sizes))
            at = f", at size{'s' * (len(self.sizes) > 1)} {sizes}" if sizes != "1" else ""
            but = f", {self.condition}" if self.condition else ""
            return f"for every θ, m, g and every η, β1, β2, λ{but}{at}: {sentence(self.semantics)}"
        if self.verdict == "differs":
            return self.difference or "differs from the reference"
        return self.not_understood


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a port equals the reference for every value.

    verdict: "equals" if it does in every triple, as it declares if it declares anything; "differs"
    if an element shows otherwise, or an access outside an array does; "not decided" else.
    """

    port: str
    findings: tuple[Finding, ...]
    declared: Semantics | None = None
    """What the port declares itself to be."""
    depends_on: tuple[str, ...] = ()
    """Whose choice it is what becomes of the code, and what decides it."""

    @property
    def verdict(self) -> Verdict:
        """The worst of all findings."""
        return max(
            (x.verdict for x in self.findings), key=_RANKS.__getitem__, default="not decided"
        )

    @property
    def is_other_algorithm(self) -> bool:
        """Whether it equals what is no rounding of Lion, and does not declare that."""
        return self.declared is None and any(
            x.semantics and x.semantics.is_other_algorithm for x in self.findings
        )

    @property
    def sentence(self) -> str:
        """What holds, each statement once; or of the first that is worst."""
        worst = [x for x in self.findings if x.verdict == self.verdict]
        if self.verdict != "equals":
            return worst[0].statement
        return "; ".join(f"{x.way}: " * bool(x.way) + x.statement for x in _once(worst))

    def lines(self) -> Iterator[str]:
        """The verdict first, then what it stands on."""
        yield f"{self.verdict}  {self.port}"
        told: dict[tuple[str, ...], dict[str, dict[str, None]]] = {}
        for finding in self.findings:
            ways = told.setdefault(tuple(_lines(finding)), {})
            ways.setdefault(finding.way, {})[spelled(finding.triple)] = None
        for lines, of_ways in told.items():
            first, *more = lines
            dtypes = dict.fromkeys(x for some in of_ways.values() for x in some)
            ways_left = " or ".join(x or AS_WRITTEN for x in of_ways)
            way = f", {ways_left}" if len(told) > 1 and any(x.way for x in self.findings) else ""
            yield f"    {', '.join(dtypes)}{way}: {first}"
            yield from (f"        {line}" for line in more)
        if len(told) > 1:
            yield from (f"    {line}" for line in self.depends_on)

    def __str__(self) -> str:
        """All lines."""
        return "\n".join(self.lines())


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Those that say what none before them has said, of whatever way."""
    said: set[str] = set()
    for finding in findings:
        if finding.statement not in said:
            said.add(finding.statement)
            yield finding


def _lines(finding: Finding) -> Iterator[str]:
    if finding.verdict == "not decided":
        yield f"not decided: {finding.statement}"
        return
    yield finding.statement
    if finding.witness:
        yield finding.witness
    if finding.caveat:
        yield finding.caveat
