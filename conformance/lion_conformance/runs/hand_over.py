"""Whether a port hands its run over bit for bit: to lion_ref by a file, and back (SPEC C34)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, PortError, answering
from lion_conformance.ports.reference import reference
from lion_conformance.runs import relay
from lion_conformance.runs.relay import Dtypes, Relay, Side
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, STORAGE_DTYPES

STEPS: Final = 2
ORDINARY: Final[Dtypes] = ("float32", "float32")
TRIED: Final[tuple[Dtypes, ...]] = (
    *((dtype, dtype) for dtype in STORAGE_DTYPES),
    ("bfloat16", "float32"),
)
"""`lion-conformance handover` tries all."""
_PLAIN, _TURNED = Side(turned=False), Side(turned=True)


@dataclass(frozen=True, slots=True)
class HandOverResult:
    """The verdict on one port's run in a file."""

    verdict: Verdict
    dtypes: tuple[str, ...]
    """Of θ and m, as in bfloat16/float32, up to those that were rejected."""
    elements: int
    why: str = ""

    @property
    def as_promised(self) -> bool:
        """Whether nothing was lost: no semantics allows that."""
        return self.verdict is Verdict.BIT_EXACT


def pairs(port: Port) -> tuple[Dtypes, ...]:
    """The dtypes of θ and m in which a port takes a gradient of θ's."""
    return tuple(dict.fromkeys((x[0], x[1]) for x in port.triples if x[0] == x[2]))


def in_words(dtypes: Dtypes) -> str:
    """Dtypes of θ and m as they are told.

    >>> in_words(("bfloat16", "float32")), in_words(("float32", "float32"))
    ('bfloat16/float32', 'float32')
    """
    return "/".join(dict.fromkeys(dtypes))


def tried(port: Port, params: Sequence[str]) -> list[Dtypes]:
    """Those in which a run is handed over here, with θ of these; none if that is not offered."""
    if Offer.HAND_OVER not in port.offers:
        return []
    legal = [x for x in pairs(port) if x[0] in params]
    wanted = [x for x in legal if x in TRIED] or legal[:1]
    if port.compiles:
        return [x for x in wanted if x == ORDINARY] or wanted[:1]
    return wanted


def judge(port: Port, params: Sequence[str]) -> HandOverResult | None:
    """Hand a run over with θ of these dtypes; None if there is none to hand over."""
    wanted = tried(port, params)
    if not wanted:
        return None
    done: list[str] = []
    elements = 0
    for dtypes in wanted:
        run = relay.recorded(dtypes, STEPS)
        done.append(in_words(dtypes))
        elements += run.elements
        try:
            why = next(_lost(port, run), "")
        except PortError as error:
            why = str(error)
        if why:
            return HandOverResult(Verdict.REJECTED, tuple(done), elements, f"{done[-1]}: {why}")
    return HandOverResult(Verdict.BIT_EXACT, tuple(done), elements)


def _lost(port: Port, run: Relay) -> Iterator[str]:
    """What is lost on the way to lion_ref and back, in the order in which it is."""
    partner = reference(port.declared or CANONICAL)
    with tempfile.TemporaryDirectory() as folder:
        there, back = Path(folder, "there.safetensors"), Path(folder, "back.safetensors")
        session = relay.begun(port, run, _PLAIN)
        names, before = _exported(session, run, there, run.steps, run.group(run.steps))
        del session  # a compiled loop is lent to one session at a time
        other, header = _by_reference(partner, run, there, names)
        yield from _told("export", relay.lost(header, run, run.steps, port.declared))
        yield from _told("export", relay.difference(relay.shown(other, run, _TURNED), before))

        after = relay.finished(other, header, partner, run, _TURNED)
        step = 2 * run.steps
        other.export_state(back, step=step, group=run.group(step))
        session, header = relay.taken_over(port, run, _PLAIN, back, _TURNED, other.names())
        yield from _told("import", relay.difference(relay.shown(session, run, _PLAIN), after))
        yield from _told("import, its header", relay.lost(header, run, step))
        again = relay.lost_inside(session, run, step, port.declared)
        yield from _told("import, exported again", again)

        relay.stepped(session, port, run, _PLAIN, 0, run.group(step))
        went_on = relay.shown(session, run, _PLAIN)
        del session
        fresh = relay.opened(port, after, run.beta1, run.beta2)
        relay.stepped(fresh, port, run, _PLAIN, 0, run.group(step))
        yield from _told(
            "the step after an import",
            relay.difference(went_on, relay.shown(fresh, run, _PLAIN)),
        )


def _exported(session: Any, run: Relay, path: Path, step: int, group: Any) -> tuple[list[str], Any]:
    """The names in the file that a session writes, and its state then."""
    with answering():
        session.export_state(path, step=step, group=group)
        names = list(session.names())
    return names, relay.shown(session, run, _PLAIN)


def _by_reference(partner: Port, run: Relay, path: Path, names: list[str]) -> tuple[Any, Any]:
    """A session of lion_ref that has taken over what a port wrote."""
    try:
        return relay.taken_over(partner, run, _TURNED, path, _PLAIN, names)
    except PortError as error:
        raise PortError(f"export: lion_ref refuses the file: {error.__cause__ or error}") from None


def _told(where: str, what: str) -> Iterator[str]:
    if what:
        yield f"{where}: {what}"
