"""Whether a port equals the reference for every value, by its expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lion_conformance.cases.case import Case
from lion_conformance.cases.fixed import ordinary_case
from lion_conformance.diagnosis.search import diagnosis
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.dtypes import Dtypes, asked_for
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from lion_conformance.proof.differing import first_difference
from lion_conformance.proof.elsewhere import UNLESS, differs_elsewhere, other_bits
from lion_conformance.proof.evaluated import evaluated_port
from lion_conformance.proof.forms import Form, forms
from lion_conformance.proof.proof import Finding, Proof
from lion_conformance.proof.samples import witness
from lion_conformance.proof.symbols import Reference, reference, with_plain_scalars
from lion_conformance.proof.tracing import trace_of
from lion_conformance.ptx.findings import Finding as KernelFinding
from lion_conformance.verdict.sentences import sentence
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array

NOT_TINY: Final = "but for scalars just below 2**-126, which are rounded up to it"
"""A host that rounds scalars keeps those; C18 flushes them."""


def prove(port: Port | Callable[..., Any], *, dtypes: Dtypes | None = None) -> Proof:
    """Whether a port equals lion_ref's update for every θ, m, g and every η, β1, β2, λ.

    Its update is had as expressions (of a GPU kernel, or of NumPy code that can be traced), and
    these are matched with the reference's. "equals" is a proof; "differs" has an element as its
    witness; what is neither is "not decided", which says why.

    Args:
        port: as for `verify`.
        dtypes: as for `verify`.

    Raises:
        TypeError, ValueError: an argument that is not legal, by name.

    >>> def step(param, momentum, grad, *, lr, beta1, beta2, weight_decay):
    ...     f32 = np.float32
    ...     u = np.sign(f32(beta1) * momentum + f32(1 - beta1) * grad)
    ...     kept = f32(beta2) * momentum + f32(1 - beta2) * grad
    ...     return param - f32(lr) * (u + f32(weight_decay) * param), kept
    >>> import numpy as np
    >>> print(prove(step, dtypes=["float32"]).sentence)
    for every θ, m, g and every η, β1, β2, λ, at sizes 1, 2, 17: equals the reference
    """
    given = port if isinstance(port, Port) else from_callable(port)
    asked = asked_for(given, dtypes)
    wanted = [triple for triple in asked.port.triples if triple[0] in asked.dtypes]
    ways = [("", asked.port), *((x.words, x.port) for x in asked.port.variants)]
    found = [replace(x, way=words) for words, one in ways for x in _findings(one, wanted)]
    variants = asked.port.variants
    depends = [f"its bits depend on {x.depends_on}; {x.decided_by}" for x in variants]
    return Proof(asked.port.name, tuple(found), asked.port.declared, tuple(dict.fromkeys(depends)))


def _findings(port: Port, wanted: Sequence[Triple]) -> list[Finding]:
    traced = [_traced(port, triple) for triple in wanted]
    candidates = _Candidates(port, [x for x in traced if isinstance(x, _Update)])
    return [x if isinstance(x, Finding) else _told(port, x, candidates) for x in traced]


def _told(port: Port, update: _Update, candidates: _Candidates) -> Finding:
    """What was found, and what has to be said with it."""
    # JAX compiles for each shape, though a callable does not say so.
    known = replace(port, compiles=port.compiles or bool(update.caveat))
    return replace(_judged(known, update, candidates), caveat=update.caveat)


@dataclass(frozen=True, slots=True)
class _Update:
    """A port's update in one triple, as expressions."""

    triple: Triple
    forms: tuple[Form, ...]
    sizes: tuple[int, ...]
    caveat: str
    first_call: tuple[Case, tuple[Array, Array]]


def _traced(port: Port, triple: Triple) -> _Update | Finding:
    try:
        case = ordinary_case(triple)
        first = run_once(port, *case.arrays, **case.scalars)  # what fails at once, or never ends
        first = first[0].copy(), first[1].copy()
        traced: list[Traced] = list(trace_of(port)(triple))
    except KernelFinding as error:
        return Finding(triple, "differs", difference=str(error))
    except (NotTracedError, PortError) as error:
        return Finding(triple, "not decided", not_understood=str(error))
    except RecursionError:
        return Finding(triple, "not decided", not_understood="its expressions are too deep")
    sizes = tuple(x.size for x in traced)
    wrong = [x for one in traced for x in one.findings]
    if wrong:
        return Finding(triple, "differs", sizes=sizes, difference=wrong[0])
    found, words = forms(traced, triple)
    if words:
        return Finding(triple, "differs", sizes=sizes, difference=words)
    if not found:
        return Finding(triple, "not decided", not_understood="nothing was traced")
    return _Update(triple, tuple(found), sizes, traced[0].caveat, (case, first))


class _Candidates:
    """The semantics that may be the port's, likeliest first; searched for only when asked."""

    def __init__(self, port: Port, updates: Sequence[_Update]) -> None:
        self.declares = port.declared is not None
        self.promised = port.declared or CANONICAL
        self._updates = updates
        self._searched: list[Semantics] | None = None

    def __iter__(self) -> Iterator[Semantics]:
        yield from dict.fromkeys((self.promised, CANONICAL))
        if self._searched is None:
            self._searched = list(self._search())
        yield from self._searched

    def _search(self) -> Iterator[Semantics]:
        """What explains the bits of the expressions themselves."""
        port = evaluated_port({x.triple: x.forms[0] for x in self._updates})
        found = diagnosis(port)
        yield from (x for x in (found.semantics, found.ordinarily) if x is not None)


def _judged(port: Port, update: _Update, candidates: _Candidates) -> Finding:
    """Proved under the semantics that is promised, or under another, or what stands against it."""
    promised = candidates.promised
    first, open_one = None, None
    for semantics in candidates:
        found = _matched(update, semantics)
        if found.verdict == "equals":
            if candidates.declares and semantics != promised:
                return _other_than_declared(found, promised, first)
            return _as_run(port, update, found)
        first = first or found
        if found.verdict == "not decided" and not candidates.declares:
            words = f"seems to be what {sentence(semantics)}; {found.not_understood}"
            open_one = open_one or replace(found, not_understood=words)
    return open_one or first or Finding(update.triple, "not decided")


def _as_run(port: Port, update: _Update, found: Finding) -> Finding:
    """What was proved of the expressions, unless the port does otherwise elsewhere."""
    if found.semantics is None:
        return found
    tiny_scalars = not found.condition
    words = other_bits(*update.first_call, found.semantics)
    words = f"{UNLESS} at its first call: {words}" if words else ""
    words = words or differs_elsewhere(
        port, found.triple, found.semantics, tiny_scalars=tiny_scalars
    )
    return replace(found, verdict="differs", difference=words) if words else found


def _other_than_declared(found: Finding, promised: Semantics, first: Finding | None) -> Finding:
    """Proved of another semantics than the port declares: an element has to show that it is one."""
    words = f"{found.statement}, but it declares: {promised.describe()}"
    if first is None or not first.witness:
        return replace(found, verdict="not decided", not_understood=words)
    return replace(found, verdict="differs", difference=words, witness=first.witness)


def _matched(update: _Update, semantics: Semantics) -> Finding:
    """The update held against lion_ref's under one semantics."""
    triple, sizes = update.triple, update.sizes
    undecided = Finding(triple, "not decided", sizes=sizes)
    try:
        target = reference(semantics, triple)
    except NotImplementedError as error:
        return replace(undecided, not_understood=str(error))
    shown = ((x, witness(x, triple, semantics)) for x in update.forms)
    where, seen = next(((x, found) for x, found in shown if found), (None, None))
    open_case = None if seen else _unmatched(update, target)
    if seen is None and open_case is None:
        return Finding(triple, "equals", semantics=semantics, sizes=sizes)
    if semantics.subnormals == "flush":
        kept = with_plain_scalars(target)
        all_shown = (witness(x, triple, semantics, tiny_scalars=False) for x in update.forms)
        if not any(all_shown) and _unmatched(update, kept) is None:
            return Finding(triple, "equals", semantics=semantics, sizes=sizes, condition=NOT_TINY)
    if where is not None and seen is not None:
        difference = first_difference(where, triple, target, at=seen.case)
        return Finding(triple, "differs", sizes=sizes, difference=difference, witness=str(seen))
    return replace(undecided, not_understood=open_case or "")


def _unmatched(update: _Update, target: Reference) -> str | None:
    """What could not be matched, in words; None where all is."""
    for form in update.forms:
        words = first_difference(form, update.triple, target)
        if words:
            return f"no difference was seen, and not matched: {words}"
    return None
