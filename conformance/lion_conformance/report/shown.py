"""A counterexample as rows, and as text: what was given, each operation, what the port has."""

from __future__ import annotations

from dataclasses import dataclass

from lion_conformance.report.counterexample import Counterexample, Value
from lion_conformance.report.operations import operations_of, what_it_did

SYMBOLS = {"param": "θ", "momentum": "m", "grad": "g"}
PLAIN_SHAPES = ((), (1,))
WIDE = 80
"""Columns beyond which a port's numbers have lines of their own."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number: its name, what it is made of, and what the port has in its place."""

    name: str
    formula: str
    dtype: str
    value: Value
    got: Value | None = None
    again: Value | None = None
    """What a second call with the same inputs gave."""


def rows(found: Counterexample) -> list[Row]:
    """What was given, then each operation as far as a canonical step is expected."""
    shown = [Row(SYMBOLS[name], "", found.dtypes[name], x) for name, x in found.inputs.items()]
    operations = operations_of(found)
    for one in operations:
        again = found.again.get({"θ'": "param", "m'": "momentum"}.get(one.name, ""))
        shown.append(Row(one.name, one.formula, one.dtype, one.value, one.got, again))
    for name, value in {} if operations or not found.got else found.expected.items():
        result, dtype = f"{SYMBOLS[name]}'", found.dtypes[name]
        shown.append(
            Row(result, "expected", dtype, value, found.got.get(name), found.again.get(name))
        )
    return shown


def differs(right: Value, value: Value) -> bool:
    """Whether a number has other bits, any NaN aside (SPEC C11)."""
    return right.hex != value.hex and not right.decimal == value.decimal == "nan"


def settings(found: Counterexample) -> str:
    """The scalars, and where in which arrays the element stands."""
    words = [f"{name}={value!r}" for name, value in found.scalars.items()]
    if found.shape not in PLAIN_SHAPES:
        words += [f"shape {found.shape}", f"element {found.index}"]
    return ", ".join([*words, *found.layout_words()])


def remarks(found: Counterexample) -> list[str]:
    """What the numbers say, a sentence each; nothing that a run does not."""
    said = list(what_it_did(found))
    if not (found.alone or found.again or found.run):
        said.append("no single call shows it: the port keeps something between calls, or varies")
    return said


def accepted(found: Counterexample) -> list[tuple[str, str]]:
    """The symbol of each result that there is, and the set of what is accepted for it."""
    if not found.got:
        return []
    return [(f"{SYMBOLS[name]}'", x.words()) for name, x in found.accepted.items()]


def lines(found: Counterexample) -> list[str]:
    """The counterexample as text, one fact a line."""
    told = [found.why, *found.run, settings(found)]
    told += [f"  {line}" for line in _table(rows(found))]
    told += [f"  accepted for {name}: {words}" for name, words in accepted(found)]
    return [*told, *remarks(found)]


def _table(shown: list[Row]) -> list[str]:
    cells = [[row.name, row.formula, row.dtype, *_both(row.value)] for row in shown]
    beside = [[*_against(x.value, x.got), *_against(x.value, x.again)] for x in shown]
    if not any(x for line in beside for x in line):
        return _aligned(cells)
    heads = ["", "", "", "reference", "", "the port", ""]
    if any(row.again for row in shown):
        heads += ["called again", ""]
    whole = _aligned([heads, *([*a, *b] for a, b in zip(cells, beside, strict=True))])
    if max(map(len, whole)) <= WIDE:
        return whole
    below = []
    for row, line in zip(shown, cells, strict=True):
        below.append(line)
        for name, value in (("the port", row.got), ("called again", row.again)):
            if value is not None:
                below.append(["", name, row.dtype, *_against(row.value, value)])
    return _aligned(below)


def _both(value: Value | None) -> list[str]:
    return ["", ""] if value is None else [value.hex, value.decimal]


def _against(right: Value, value: Value | None) -> list[str]:
    """What the port has, with a mark where it is something else."""
    mark = " ≠" if value is not None and differs(right, value) else ""
    hexadecimal, decimal = _both(value)
    return [hexadecimal, decimal + mark]


def _aligned(table: list[list[str]]) -> list[str]:
    """Columns of one width, without the blanks behind the last."""
    count = max((len(line) for line in table), default=0)
    full = [line + [""] * (count - len(line)) for line in table]
    widths = [max(len(line[i]) for line in full) for i in range(count)]
    return [
        "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip()
        for line in full
    ]
