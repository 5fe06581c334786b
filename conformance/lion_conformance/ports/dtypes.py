"""Which triples of dtypes a port is judged in: those that were asked for, and that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lion_conformance.ports.protocol import UNIFORM, Port, Triple, params_of
from lion_ref import STORAGE_DTYPES, legal_triples

Dtypes = Iterable["str | Triple"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged of a port: in these dtypes of θ, the triples that it has of them.

    Those with another θ are left to it, for tensors of several dtypes beside one another.
    """

    port: Port
    dtypes: tuple[str, ...]
    tried: frozenset[Triple]
    """Triples that nobody named: one that the port does not take is no shortfall."""

    def without(self, not_taken: Iterable[Triple]) -> Port:
        """The port with the triples that it takes; with all of them if it takes none."""
        left = tuple(x for x in self.port.triples if x not in set(not_taken))
        return replace(self.port, triples=left or self.port.triples)


def asked_for(port: Port, dtypes: Dtypes | None, *, mixed: bool = False) -> Asked:
    """The port as it is to be judged.

    Args:
        port: what is judged.
        dtypes: each a dtype of θ, which means every triple with it that the port names, or the
            uniform one where it names none; or a triple, as a tuple or as "θ/m/g".
        mixed: of a port that names no dtypes, judge every triple with one of these θ.

    Raises:
        TypeError, ValueError: what is no dtype, or not one that this port takes; nothing at all.
    """
    named = list(dict.fromkeys(port.triples if dtypes is None else _named(port, dtypes)))
    chosen = named
    if mixed and port.dtypes_unsaid:
        of_these = {param for param, *_ in named}
        chosen = list(dict.fromkeys([*named, *(x for x in legal_triples() if x[0] in of_these)]))
    by_name = named if dtypes is not None else []
    tried = set(chosen) - set(by_name) if port.dtypes_unsaid else set()
    params = params_of(chosen)
    others = () if port.dtypes_unsaid else (x for x in port.triples if x[0] not in params)
    return Asked(replace(port, triples=(*chosen, *others)), params, frozenset(tried))


def spelled(triple: Sequence[str]) -> str:
    """A triple as it is asked for: in one word where it is of one dtype.

    >>> spelled(("float32", "float32", "float32")), spelled(("bfloat16", "float32", "bfloat16"))
    ('float32', 'bfloat16/float32/bfloat16')
    """
    return triple[0] if len(set(triple)) == 1 else "/".join(triple)


def check_names(dtypes: Dtypes) -> None:
    """ValueError for what is no dtype, and no triple of them."""
    for entry in dtypes:
        if entry not in list(STORAGE_DTYPES):  # it need not be hashable
            _legal_triple(entry)


def takes_some(port: Port, dtypes: Dtypes) -> list[str | Triple]:
    """Of the dtypes that are asked for, those that the port takes."""
    return [x for x in dtypes if x in port.params() or _parts(x) in port.triples]


def _named(port: Port, dtypes: Dtypes) -> Iterable[Triple]:
    known = ", ".join(STORAGE_DTYPES)
    if not isinstance(dtypes, Iterable):
        raise TypeError(f"dtypes={dtypes!r} is not legal; legal: some of {known}")
    wanted = [dtypes] if isinstance(dtypes, str) else list(dtypes)
    if not wanted:  # nothing judged is no port that passed
        raise ValueError(
            f"dtypes={dtypes!r} is not legal; legal: one or more of {', '.join(port.params())}"
        )
    return [triple for entry in wanted for triple in _triples(port, entry)]


def _triples(port: Port, entry: object) -> list[Triple]:
    """What one entry stands for."""
    if isinstance(entry, str) and entry in STORAGE_DTYPES:  # it need not be hashable
        among = UNIFORM if port.dtypes_unsaid else port.triples
        found = [triple for triple in among if triple[0] == entry]
        legal = ", ".join(port.params())
    else:
        wanted = _legal_triple(entry)
        found = [wanted] if port.dtypes_unsaid or wanted in port.triples else []
        legal = ", ".join(map(spelled, port.triples))
    if not found:
        raise ValueError(f"dtype={entry!r} is not taken by {port.name}; legal: {legal}")
    return found


def _parts(entry: object) -> tuple[object, ...]:
    if isinstance(entry, str):
        return tuple(entry.split("/"))
    return tuple(entry) if isinstance(entry, (tuple, list)) else (entry,)


def _legal_triple(entry: object) -> Triple:
    """The triple that an entry is; ValueError if it is none."""
    for triple in legal_triples():
        if triple == _parts(entry):
            return triple
    raise ValueError(
        f"dtype={entry!r} is not legal; legal: {', '.join(STORAGE_DTYPES)}, or three of them for "
        "θ, m and g, as in bfloat16/float32/bfloat16"
    )
