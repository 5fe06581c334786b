"""Which semantics a port has: found by composition over the rows of SPEC C16, not in a list.

m' depends on few of the choices, θ' where u is certain on a few others, and c on the rest; so the
candidates for each part are tried against the port's answers on the probes, and only what survives
is composed with the next part. A choice is other than canonical in the result only if an input was
seen on which the canonical one gives other bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any, Final

from lion_conformance.cases.case import Case, ordinary
from lion_conformance.diagnosis import canaries, probes, special_values
from lion_conformance.diagnosis.dependence import depends_on_place, differs_again, differs_alone
from lion_conformance.diagnosis.equivalent import simplest_equivalent
from lion_conformance.diagnosis.evidence import Evidence, Part
from lion_conformance.diagnosis.first_difference import FirstDifference, find_first_difference
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.dtypes import Asked, Dtypes, asked_for, spelled
from lion_conformance.ports.protocol import Port, PortError, RaisedError, Triple, run_once
from lion_conformance.ports.refusal import Refusal
from lion_conformance.verdict.refusals import Scalars, refusals_of
from lion_conformance.verdict.sentences import (
    AS_WRITTEN,
    ORDINARILY,
    depending,
    sentence,
    wherever_it_answers,
)
from lion_conformance.verdict.tally import Tally
from lion_ref import CANONICAL, Semantics
from lion_ref.semantics import choices

Scope = Callable[[Case], bool]

UNKNOWN: Final = "no known form of Lion (SPEC C16) gives these bits"
PLACE: Final = f"{UNKNOWN}: an element's bits depend on where it stands in its array (SPEC C12)"
CALLS: Final = f"{UNKNOWN}: the same inputs have other bits at another call (SPEC C12)"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Which semantics explains a port's bits, or where they part from every one.

    semantics is None where nothing explains the port; parted_at then names the operation of SPEC
    C5, and ordinarily the semantics that explains it at ordinary hyperparameters, if one does.
    undetermined names the choices that stayed canonical because no input that the port takes showed
    a difference.
    """

    semantics: Semantics | None
    sentence: str
    parted_at: str = ""
    example: tuple[str, ...] = ()
    """An element at which the bits part, a line each: what was given, what came, the nearest."""
    undetermined: tuple[str, ...] = ()
    ordinarily: Semantics | None = None
    refusals: tuple[Refusal, ...] = ()
    not_taken: dict[str, str] = field(default_factory=dict)
    """Dtypes that nobody asked for by name and that the port does not take, with its words."""


def any_case(_: Case) -> bool:
    """All hyperparameters that are legal."""
    return True


def in_widest_scope(explained: Callable[[Scope], Diagnosis]) -> Diagnosis:
    """What explains a port at all hyperparameters; else what does at ordinary ones, if anything."""
    found = explained(any_case)
    if found.semantics is not None:
        return found
    narrower = explained(ordinary).semantics
    if narrower is None:
        return found
    words = f"{found.sentence}; {ORDINARILY} it {sentence(narrower)}"
    return replace(found, sentence=words, ordinarily=narrower)


def diagnose(port: Port | Callable[..., Any], *, dtypes: Dtypes | None = None) -> Semantics | None:
    """The semantics under which lion_ref.step gives the port's bits; None if there is none.

    Args:
        port: as for `verify`.
        dtypes: as for `verify`. One semantics has to explain them all, wherever the port answers.

    Raises:
        TypeError, ValueError: an argument that is not legal, by name.

    >>> import functools, lion_ref
    >>> port = functools.partial(lion_ref.step, semantics=Semantics(momentum_fused="gradient"))
    >>> diagnose(port, dtypes=["float32"])  # doctest: +ELLIPSIS
    Semantics(sign_interpolation='weighted', ..., momentum_fused='gradient', ...)
    """
    return diagnosis(port, dtypes=dtypes).semantics


def diagnosis(port: Port | Callable[..., Any], *, dtypes: Dtypes | None = None) -> Diagnosis:
    """As `diagnose`, in full: the semantics, a sentence, where the bits part, what stays open.

    >>> import functools, lion_ref
    >>> port = functools.partial(lion_ref.step, semantics=Semantics(momentum_fused="gradient"))
    >>> diagnosis(port, dtypes=["float32"]).sentence
    "equals the reference in which m' = fma(1-β2, g, β2·m)"
    """
    given = port if isinstance(port, Port) else from_callable(port)
    asked, not_taken = without_untaken(asked_for(given, dtypes))

    def searched(scope: Scope) -> Diagnosis:
        search = Search(asked.port, asked.dtypes, scope)
        result = search.result()
        refusals = search.refusals()
        words = wherever_it_answers(result.sentence, refusals)
        return replace(result, sentence=words, refusals=refusals, not_taken=not_taken)

    found = in_widest_scope(searched)
    others = {x.words: diagnosis(x.port, dtypes=dtypes) for x in given.variants}
    if all(x.semantics == found.semantics for x in others.values()):
        return found
    told = {AS_WRITTEN: found.sentence, **{how: x.sentence for how, x in others.items()}}
    return replace(found, semantics=None, sentence=depending(given.variants, told))


def without_untaken(asked: Asked) -> tuple[Asked, dict[str, str]]:
    """What is left of a port that takes not all that is tried, and its words on the rest."""
    tally = Tally(None)
    for triple in asked.port.triples:
        if triple in asked.tried:
            tally.takes(asked.port, triple)
            tally.go_on()
    port = asked.without(tally.not_taken)
    if port.triples == asked.port.triples:  # it takes all, or nothing
        return asked, {}
    dtypes = tuple(dtype for dtype in asked.dtypes if dtype in port.params())
    return replace(asked, port=port, dtypes=dtypes), {
        spelled(triple): words for triple, words in tally.not_taken.items()
    }


class Search:
    """The candidates that the evidence so far has left; more evidence may be added."""

    def __init__(self, port: Port, dtypes: Sequence[str], scope: Scope = any_case) -> None:
        self._port, self._scope = port, scope
        self._triples = [triple for triple in port.triples if triple[0] in dtypes]
        self._simplest = partial(simplest_equivalent, triples=self._triples)
        self._unasked = filter(scope, self._inputs())
        self._seen: list[Evidence] = []
        self._scalars = Scalars.none()
        self._raised = False
        self._survivors: list[Semantics] | None = None
        self._failed: Diagnosis | None = None

    def result(self) -> Diagnosis:
        """The simplest semantics that is left, once it holds on every element seen."""
        try:
            if self._survivors is None:
                self._survivors = self._search()
        except PortError as error:
            self._raised = True
            self._failed = Diagnosis(None, f"{UNKNOWN}: {error}", parted_at=str(error))
        while self._failed is None and self._survivors:
            best = min(self._survivors, key=simplicity)
            differs = next(filter(None, (x.contradiction(best) for x in self._seen)), None)
            if differs is None:
                return self._explained(best)
            self._add(differs)
        return self._without_semantics(self._failed or Diagnosis(None, UNKNOWN))

    def _without_semantics(self, found: Diagnosis) -> Diagnosis:
        """Where the elements do not stand for themselves, no semantics is to be looked for."""
        try:
            last = self._seen[-1:]  # the evidence that no semantics explains
            # Any of them may be what a port gave by chance, or only once.
            if any(differs_again(self._port, x) for x in reversed(self._seen)):
                return Diagnosis(None, CALLS, parted_at=CALLS)
            if any(differs_alone(self._port, x) for x in last) or depends_on_place(
                self._port, self._triples, self._scope
            ):
                return Diagnosis(None, PLACE, parted_at=PLACE)
        except PortError:
            pass  # it is in found already, or the port answers some cases alone
        return found

    def learn(self, case: Case, got: tuple[Any, Any]) -> None:
        """Take the port's answer on one more case for evidence."""
        self._add(Evidence.of(case, got))

    def _add(self, evidence: Evidence) -> None:
        self._seen.append(evidence)
        before = self._survivors or []
        self._survivors = [
            s for s in before if not any(evidence.misses(s, p).any() for p in _WHOLE)
        ]
        if before and not self._survivors:
            self._failed = self._unexplained(
                find_first_difference([evidence], before, Part.PARAM, _WHOLE)
            )

    def _inputs(self) -> Iterator[Case]:
        by_dtype = [triple for triple in self._triples if len(set(triple)) == 1]
        for triple in by_dtype:
            yield probes.cases(triple)[0]  # one case in each dtype leaves few candidates
        yield from (case for (dtype, *_) in by_dtype for case in canaries.cases(dtype))
        for triple in probes.in_order(self._triples):
            yield from special_values.cases(triple)
        for case in probes.of(self._triples):
            if case is not probes.cases(case.triple)[0] or case.triple not in by_dtype:
                yield case

    def _evidence(self) -> Iterator[Evidence]:
        """What was seen, then more, for as long as it is asked for."""
        yield from list(self._seen)
        for case in self._unasked:
            try:
                got = run_once(self._port, *case.arrays, **case.scalars)
            except RaisedError as error:
                if not self._scalars.refuse(case, error):
                    raise
                continue
            self._scalars.answer(case)
            self._seen.append(Evidence.of(case, got))
            yield self._seen[-1]

    def refusals(self) -> tuple[Refusal, ...]:
        """The legal scalars that the port refused on the way, unless it raised at others too."""
        if self._raised:
            return ()
        return refusals_of(self._port, self._scalars)

    def _search(self) -> list[Semantics]:
        survivors = [CANONICAL]
        for part, composed in (
            (Part.MOMENTUM, composed_momenta),
            (Part.STEADY, composed_decays),
            (Part.PARAM, composed_signs),
        ):
            triples = tuple(self._triples)
            found = (s for base in survivors for s in composed(base, triples))
            survivors = list(dict.fromkeys(found))
            for evidence in self._evidence():
                left = [s for s in survivors if evidence.fits(s, part)]
                if not left:
                    self._failed = self._unexplained(
                        find_first_difference(self._seen, survivors, part, (part,))
                    )
                    return []
                survivors = left
        return survivors

    def _explained(self, best: Semantics) -> Diagnosis:
        survivors = set(self._survivors or ())
        undetermined = tuple(
            name
            for name, options in choices().items()
            if any(self._simplest(x) in survivors for x in _changed(best, name, options))
        )
        return Diagnosis(best, sentence(best), undetermined=undetermined)

    @staticmethod
    def _unexplained(found: FirstDifference) -> Diagnosis:
        return Diagnosis(
            None,
            f"{UNKNOWN}; they part at {found.operation}",
            parted_at=found.operation,
            example=found.example,
        )


_WHOLE: Final = (Part.MOMENTUM, Part.PARAM)


def simplicity(semantics: Semantics) -> tuple[bool, int, list[int]]:
    """A rounding of Lion before another algorithm, few differences before many."""
    ranks = [options.index(getattr(semantics, name)) for name, options in choices().items()]
    return semantics.is_other_algorithm, len(semantics.differences()), ranks


def _changed(semantics: Semantics, name: str, options: Iterable[Any]) -> Iterator[Semantics]:
    for option in options:
        if option != getattr(semantics, name):
            yield from _legal(semantics, {name: (option,)})


def _legal(base: Semantics, values: dict[str, tuple[Any, ...]]) -> Iterator[Semantics]:
    """base with every legal combination of values."""
    for combination in product(*values.values()):
        try:
            yield replace(base, **dict(zip(values, combination, strict=True)))
        except ValueError:
            continue


@lru_cache(maxsize=256)
def _composed(
    composed: Callable[[Semantics], Iterator[Semantics]],
    base: Semantics,
    triples: tuple[Triple, ...],
) -> tuple[Semantics, ...]:
    """The candidates beside base, each in its simplest words: the same ones for most ports."""
    return tuple(dict.fromkeys(simplest_equivalent(s, triples) for s in composed(base)))


def composed_momenta(base: Semantics, triples: tuple[Triple, ...]) -> tuple[Semantics, ...]:
    """What differs from base in what m' depends on."""
    return _composed(_with_momentum, base, triples)


def composed_decays(base: Semantics, triples: tuple[Triple, ...]) -> tuple[Semantics, ...]:
    """What differs from base in what θ' depends on beside u."""
    return _composed(_with_decay, base, triples)


def composed_signs(base: Semantics, triples: tuple[Triple, ...]) -> tuple[Semantics, ...]:
    """What differs from base in what u depends on."""
    return _composed(_with_sign, base, triples)


def _options(*names: str) -> dict[str, tuple[Any, ...]]:
    return {name: choices()[name] for name in names}


def _with_momentum(base: Semantics) -> Iterator[Semantics]:
    """All that m' depends on; of the decay, only whether it is coupled into g, and how."""
    rows = _options("momentum_interpolation", "momentum_fused", "momentum_complement")
    rows |= _options("momentum_precision", "scalars", "subnormals")
    yield from _legal(base, rows)
    coupled = {"decay": ("coupled",)} | _options("decay_fused", "decay_skipped_at_zero")
    yield from _legal(base, rows | coupled)


def _with_decay(base: Semantics) -> Iterator[Semantics]:
    """All that θ' depends on beside u; a decay that is coupled is known from m' already."""
    rows = _options("step_fused") | {"precision": ("compute", "storage")}
    if base.momentum_precision == base.scalars == "compute":
        rows["scalars"] = ("compute", "storage")  # m' met none that were rounded to storage
    if base.decay != "coupled":
        rows |= _options("decay", "decay_scalar", "decay_order", "decay_fused")
        rows |= _options("step_stored", "decay_skipped_at_zero")
        rows["decay"] = tuple(decay for decay in rows["decay"] if decay != "coupled")
    yield from _legal(base, rows)


def _with_sign(base: Semantics) -> Iterator[Semantics]:
    """All that u depends on; c alone tells whether its lerp is whole."""
    rows = _options("sign_interpolation", "sign_fused", "sign_complement", "zero_sign", "nan_sign")
    if base.precision == "storage":
        rows["precision"] = ("storage", "storage-whole-lerp")
    yield from _legal(base, rows | _options("decay_skipped_at_zero"))
