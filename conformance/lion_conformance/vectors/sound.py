"""What a schema cannot say of a file of vectors, and judging by it takes for granted.

A damaged file must not become a verdict on somebody's port.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lion_conformance.ports.declaration import semantics_of
from lion_conformance.ports.hexadecimal import decode, digits
from lion_conformance.vectors.build import CHECKPOINTS, LONG_ELEMENTS, NAMES, SCHEDULE, number
from lion_ref import STORAGE_DTYPES, legal_triples
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import Hyperparameters, round_scalars

_RESULTS: Final = {"new_param": "param", "new_momentum": "momentum"}
_LONG_SCHEDULE: Final = [
    {"from_step": first, "lr": number(lr), "weight_decay": number(weight_decay)}
    for first, lr, weight_decay in SCHEDULE
]


def fault(document: dict[str, Any]) -> str:
    """The first thing that is wrong with vectors that keep to their schema; empty if nothing is."""
    seen: set[str] = set()
    for group in document["groups"]:
        name = group["id"]
        if name in seen:
            return f"group {name!r} is there twice; legal: once"
        seen.add(name)
        try:
            found = next(_faults(group), "")
        except ValueError as error:  # a number, or a choice, that there is not
            found = str(error)
        if found:
            return f"group {name!r}: {found}"
    return ""


def _faults(group: dict[str, Any]) -> Iterator[str]:
    triple = tuple(group["dtypes"][name] for name in NAMES)
    if triple not in legal_triples():
        yield f"dtypes {'/'.join(triple)} are not legal; legal: those of lion_ref.legal_triples()"
        return
    if group["kind"] == "long":
        yield from _faults_of_long(group)
        return
    if group["kind"] == "trajectory":
        rows, count = [group, *group["steps"]], len(group["param"])
        scalars = [group["betas"] | {x: row[x] for x in ("lr", "weight_decay")} for row in rows[1:]]
        if any(len(row[x]) != count for row in rows for x in _numbers(row)):
            yield f"its lists of numbers differ in length; legal: {count} in each"
    else:
        rows, scalars = [*group["cases"], *group.get("others", ())], [group["scalars"]]
    for row in rows:
        for name in _numbers(row):
            _check_width(name, row[name], STORAGE_DTYPES[group["dtypes"][_RESULTS.get(name, name)]])
    for one in scalars:
        values = {
            name: float(decode(f"{x}\n".encode(), [_BINARY64], 1)[0][0]) for name, x in one.items()
        }
        round_scalars(Hyperparameters.checked(**values), compute_dtype(STORAGE_DTYPES[triple[0]]))
    for other in group.get("others", ()):
        semantics_of(other["semantics"])


_BINARY64: Final = STORAGE_DTYPES["float64"]


def _numbers(row: dict[str, Any]) -> list[str]:
    return [name for name in (*NAMES, *_RESULTS) if name in row]


def _check_width(name: str, given: str | list[str], dtype: Any) -> None:
    for bits in [given] if isinstance(given, str) else given:
        if len(bits) != digits(dtype):
            raise ValueError(f"{name} {bits!r} is not legal; legal: {digits(dtype)} digits")


def _faults_of_long(group: dict[str, Any]) -> Iterator[str]:
    """Its gradients are made as `build` makes them: another length or schedule has no meaning."""
    steps = tuple(x["step"] for x in group["checkpoints"])
    if steps != CHECKPOINTS:
        yield f"checkpoints of steps {steps} are not legal; legal: {CHECKPOINTS}"
    if (group["elements"], group["schedule"]) != (LONG_ELEMENTS, _LONG_SCHEDULE):
        yield "elements and schedule are not legal; legal: those that `vectors export` writes"
    if group["betas"] != {"beta1": number(0.9), "beta2": number(0.99)}:
        yield "betas are not legal; legal: those that `vectors export` writes"
