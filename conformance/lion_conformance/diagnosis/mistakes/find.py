"""Which mistake a port makes: what reproduces its bits, composed over the parts of the update.

As in `search`, m' is explained first, then θ' where u is certain, then θ'; but each part may have
alterations of its own beside the Semantics that fits the rest. So two mistakes in two parts are
found as two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np

from lion_conformance.diagnosis.evidence import Evidence, Part
from lion_conformance.diagnosis.mistakes import measured
from lion_conformance.diagnosis.mistakes.altered import Alteration, Altered, Formula
from lion_conformance.diagnosis.mistakes.catalogue import catalogue
from lion_conformance.diagnosis.mistakes.nearness import far
from lion_conformance.diagnosis.search import (
    composed_decays,
    composed_momenta,
    composed_signs,
    simplicity,
)
from lion_conformance.ports.protocol import Triple
from lion_conformance.verdict.code import Code
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array, Mask, same_bits

Alterations = tuple[Alteration, ...]

PLAUSIBLE: Final = 0.75
"""The share of elements in which an alteration comes near, before it is tried for its bits."""

UNCHANGED: Final = {"θ is not updated: θ' = θ", "the momentum is not updated: m' = m"}

KEPT: Final = 8
"""Survivors of a stage that are composed with the next, the simplest: where m' is not updated at
all, no Semantics is told from another."""

TRIED: Final = 4_000
"""Results that a search may compute: a budget that no clock decides."""

ALIKE: Final = 2
"""Explanations of θ' that are given for one of m'."""

FEW: Final = 20
"""Elements in which a port has to come near to a mistake, at the least."""

FIRST: Final = 4
"""Pieces of evidence that are looked at to see whether an alteration is worth trying."""


@dataclass(frozen=True, slots=True)
class Mistaken:
    """The update with the alterations that give a port's bits, or come near to them."""

    altered: Altered
    exact: bool

    @property
    def alterations(self) -> list[tuple[Alteration, list[Formula]]]:
        """Each alteration, with the parts that it is made in."""
        found: dict[Alteration, list[Formula]] = {}
        for part, made in (
            (Formula.SIGN, self.altered.in_sign),
            (Formula.STEP, self.altered.in_step),
            (Formula.MOMENTUM, self.altered.in_momentum),
        ):
            for one in made:
                found.setdefault(one, []).append(part)
        return list(found.items())

    @property
    def words(self) -> str:
        """What is wrong."""
        said = dict.fromkeys(x.said_of(parts) for x, parts in self.alterations)
        return "nothing is updated" if set(said) == UNCHANGED else "; ".join(said)

    @property
    def code(self) -> Code:
        """The code of the first of them."""
        return self.alterations[0][0].code

    @property
    def clause(self) -> str:
        """The clause that the first of them breaks."""
        return self.alterations[0][0].clause

    def fits(self, evidence: Evidence) -> bool:
        """Whether it gives a port's bits in every element that was chosen, or comes near."""
        missed, _ = self.count(evidence)
        return not missed

    def count(self, evidence: Evidence) -> tuple[int, int]:
        """In how many of them it does not, and how many could be asked about."""
        missed = np.zeros(evidence.at.shape, bool)
        asked = np.ones(evidence.at.shape, bool)
        results = self.altered.step(evidence.case)
        for result, told, old in zip(
            results, evidence.told, evidence.telling.arrays[:2], strict=True
        ):
            mine = result.reshape(-1)[evidence.at]
            if self.exact:
                missed |= ~same_bits(mine, told)
            else:
                beyond, asked = far(mine, told, old, evidence.telling)
                missed |= beyond
        return int(missed.sum()), int(asked.sum())


def canonical_mistakes(seen: Sequence[Evidence], triples: Sequence[Triple]) -> Iterator[Mistaken]:
    """The fewest alterations of the canonical update that give all bits seen, then others."""
    return _Composition(seen, triples, [CANONICAL]).found()


def other_mistakes(seen: Sequence[Evidence], triples: Sequence[Triple]) -> Iterator[Mistaken]:
    """As that, beside any Semantics; then those with which the canonical update comes near."""
    yield from _Composition(seen, triples, None).found()
    yield from _Composition(seen, triples, [CANONICAL], exact=False).found()


def mistakes_beside(
    seen: Sequence[Evidence], triples: Sequence[Triple], base: Semantics
) -> Iterator[Mistaken]:
    """As that, beside one Semantics, which is known."""
    yield from _Composition(seen, triples, [base]).found()
    yield from _Composition(seen, triples, [base], exact=False).found()


class _Exhausted(Exception):
    """As much was tried as may be."""


class _Composition:
    def __init__(
        self,
        seen: Sequence[Evidence],
        triples: Sequence[Triple],
        semantics: list[Semantics] | None,
        *,
        exact: bool = True,
    ) -> None:
        """semantics: those that the rest may have; all of SPEC C16 if None."""
        self._seen, self._triples, self._only = seen, tuple(triples), semantics
        self._exact = exact
        self._left = TRIED
        self._known: dict[tuple[int, Altered, Part], Array] = {}

    def found(self) -> Iterator[Mistaken]:
        """Stage by stage: what survives one is composed with the next."""
        try:
            for one in self._with_momentum():
                if not (one.in_sign or one.in_step or one.in_momentum):
                    return
                found = Mistaken(one, self._exact)
                if self._exact or sum(found.count(x)[1] for x in self._seen) > FEW:
                    yield found
        except _Exhausted:
            return

    def _with_momentum(self) -> Iterator[Altered]:
        """Those in which m' is explained, and θ' after it."""
        first = self._only[0] if self._only else CANONICAL
        explained = []
        for in_momentum in self._for_momentum(Altered(first)):
            bases = [Altered(s, in_momentum=in_momentum) for s in self._semantics(composed_momenta)]
            bases = self._survivors(bases, Part.MOMENTUM)
            if bases:
                explained.append(bases)
                yield from islice(self._with_step(bases, apart=False), ALIKE)
                if not in_momentum:
                    break  # m' is right: no alteration of it is needed
        for bases in explained:
            yield from islice(self._with_step(bases, apart=True), ALIKE)

    def _semantics(
        self, composed: Callable[..., Iterable[Semantics]], base: Semantics = CANONICAL
    ) -> list[Semantics]:
        if self._only is not None:
            return self._only
        return list(dict.fromkeys(composed(base, self._triples)))

    def _for_momentum(self, base: Altered) -> Iterator[Alterations]:
        yield ()
        for one in self._all(Formula.MOMENTUM, measured.in_momentum):
            if self._plausible(replace(base, in_momentum=(one,)), base, Part.MOMENTUM):
                yield (one,)

    def _all(
        self, part: Formula, measures: Callable[[Sequence[Evidence]], Iterator[Alteration]]
    ) -> Iterator[Alteration]:
        with np.errstate(all="ignore"):
            numbers = list(measures(self._seen))
        for one in (*catalogue(), *numbers):
            # Near is too coarse to tell one rounding from another.
            if part in one.parts and (self._exact or not one.rounds):
                yield one

    def _with_step(self, bases: Sequence[Altered], *, apart: bool) -> Iterator[Altered]:
        """Those in which θ' is explained too; apart: with alterations of c that m' has none of."""
        right: list[Altered] = []
        for in_step, at_once in self._for_step(bases[0], apart=apart):
            if right and not all(x.stores for x in in_step):
                continue  # what is right wherever u is certain can be stored wrongly, no more
            moved = [
                replace(b, semantics=s, in_step=in_step, in_sign=at_once)
                for b in bases
                for s in self._semantics(composed_decays, b.semantics)
            ]
            moved = self._survivors(moved, Part.STEADY)
            if moved and not (in_step or at_once) and any(x.steady.any() for x in self._seen):
                right = moved
            if moved:
                shared = [x for x in bases[0].in_momentum if Formula.SIGN in x.parts]
                for in_sign in (at_once,) if at_once else (*((x,) for x in shared), ()):
                    yield from self._signed(moved, in_sign)
                if apart and in_step and not right:
                    for in_sign in self._for_sign(moved[0]):
                        yield from self._signed(moved, in_sign)
        for in_sign in self._for_sign(right[0]) if right and apart else ():
            yield from self._signed(right, in_sign)

    def _signed(self, bases: Sequence[Altered], in_sign: Alterations) -> Iterator[Altered]:
        """The simplest in which θ' is explained with u made so."""
        plain = [replace(b, in_sign=in_sign) for b in bases]
        found = self._survivors(plain, Part.PARAM) or self._survivors(
            [
                replace(b, semantics=s)
                for b in plain
                for s in self._semantics(composed_signs, b.semantics)
            ],
            Part.PARAM,
        )
        yield from found[:1]

    def _for_step(self, base: Altered, *, apart: bool) -> Iterator[tuple[Alterations, Alterations]]:
        """Alterations of θ', and of u where that shows wherever u is certain."""
        yield from (((), (x,)) for x in base.in_momentum if Formula.SIGN in x.parts)
        yield (), ()
        for one in self._all(Formula.STEP, measured.in_step):
            part = Part.PARAM if one.stores else Part.STEADY
            if self._plausible(replace(base, in_step=(one,)), base, part):
                yield (one,), ()
        for one in self._all(Formula.SIGN, measured.in_sign) if apart else ():
            if self._plausible(replace(base, in_sign=(one,)), base, Part.STEADY):
                yield (), (one,)

    def _for_sign(self, base: Altered) -> Iterator[Alterations]:
        for one in self._all(Formula.SIGN, measured.in_sign):
            if self._plausible(replace(base, in_sign=(one,)), base, Part.PARAM):
                yield (one,)

    def _survivors(self, candidates: list[Altered], part: Part) -> list[Altered]:
        for evidence in self._seen:
            candidates = [x for x in candidates if not self._misses(x, evidence, part).any()]
            if not candidates:
                break
        return sorted(candidates, key=lambda x: simplicity(x.semantics))[:KEPT]

    def _unaltered(self, altered: Altered, evidence: Evidence, part: Part) -> Array:
        """As `_result`, kept: what an alteration is held against, again and again."""
        key = (id(evidence), altered, part)
        if key not in self._known:
            self._known[key] = self._result(altered, evidence, part)
        return self._known[key]

    def _result(self, altered: Altered, evidence: Evidence, part: Part) -> Array:
        self._left -= 1
        if self._left < 0:
            raise _Exhausted
        of_momentum = part is Part.MOMENTUM
        with np.errstate(all="ignore"):
            if altered.whole:
                return altered.step(evidence.case)[of_momentum].reshape(-1)[evidence.at]
            case = evidence.telling
            return altered.momentum(case) if of_momentum else altered.param(case)

    def _misses(self, altered: Altered, evidence: Evidence, part: Part) -> Mask:
        if part is Part.STEADY and not evidence.steady.any():
            return np.zeros(0, bool)
        of_momentum = part is Part.MOMENTUM
        result, told = self._result(altered, evidence, part), evidence.told[of_momentum]
        if self._exact:
            differs = ~same_bits(result, told)
        else:
            old = evidence.telling.arrays[of_momentum]
            differs, _ = far(result, told, old, evidence.telling)
        return np.asarray(differs & evidence.steady if part is Part.STEADY else differs)

    def _plausible(self, altered: Altered, before: Altered, part: Part) -> bool:
        """Whether it changes anything, and comes near the port's numbers in most elements."""
        close = total = 0
        changes = False
        for evidence in self._seen[:FIRST]:
            at = evidence.steady if part is Part.STEADY else np.ones(evidence.at.shape, bool)
            if not at.any():
                continue
            with np.errstate(invalid="ignore"):  # a signalling bfloat16 NaN raises the flag
                told = np.asarray(evidence.told[part is Part.MOMENTUM], np.float64)
                old = np.asarray(evidence.telling.arrays[part is Part.MOMENTUM], np.float64)
            result = self._result(altered, evidence, part)
            changes |= not same_bits(result, self._unaltered(before, evidence, part))[at].all()
            with np.errstate(all="ignore"):
                result = np.asarray(result, np.float64)
                unit = np.spacing(np.abs(evidence.told[part is Part.MOMENTUM]))
                room = 2.0**-5 * np.abs(result - old) + 4 * np.abs(np.asarray(unit, np.float64))
                fits = (np.abs(result - told) <= room) | (result == told)
            fits |= ~np.isfinite(result) & ~np.isfinite(told)
            close += int(fits[at].sum())
            total += int(at.sum())
        if not changes:
            changes = any(
                not same_bits(
                    self._result(altered, x, part), self._unaltered(before, x, part)
                ).all()
                for x in self._seen[FIRST:]
            )
        return changes and close >= PLAUSIBLE * total
