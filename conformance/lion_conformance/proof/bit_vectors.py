"""What rewriting leaves, such as a rounding written in integers, as a query about bit vectors.

What two expressions share is any value; the rest is what IEEE 754 and integers make of it. If a
solver finds no value on which they differ, there is none. The bits of a NaN that an operation makes
may be any. bitwuzla answers; it is an extra (lion-ref[prove]).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation
from lion_conformance.proof.comparing import HOLDS
from lion_conformance.proof.evaluation import in_order
from lion_conformance.proof.facts import Facts

MILLISECONDS: Final = 4000
"""For a query: those that are meant here take a few."""

_FORMATS: Final = {"f16": (5, 11), "bf16": (8, 8), "f32": (8, 24), "f64": (11, 53)}
_ROUNDINGS: Final = {"": "RNE", "rn": "RNE", "rz": "RTZ", "rm": "RTN", "rp": "RTP"}
_FLOATS: Final = {
    "add": "FP_ADD",
    "sub": "FP_SUB",
    "mul": "FP_MUL",
    "div": "FP_DIV",
    "fma": "FP_FMA",
}
_WHOLE: Final = {
    "add": "BV_ADD",
    "sub": "BV_SUB",
    "mul": "BV_MUL",
    "and": "BV_AND",
    "or": "BV_OR",
    "xor": "BV_XOR",
    "shl": "BV_SHL",
}


class _NotSaidError(Exception):
    """An operation that no query has a word for."""


def equal_for_all(facts: Facts, first: Node, second: Node, kind: str) -> bool:
    """Whether no value has been left on which two expressions differ as floats of a type.

    False too where the solver is not installed, does not know an operation, or takes too long.
    """
    try:
        import bitwuzla
    except ImportError:
        return False
    try:
        return _Query(bitwuzla, facts, first, second).is_equality(kind)
    except _NotSaidError:
        return False


class _Query:
    def __init__(self, solver: Any, facts: Facts, first: Node, second: Node) -> None:
        self._of = solver
        self._terms = solver.TermManager()
        self._facts = facts
        self._roots = first, second
        shared = set(in_order([first])) & set(in_order([second]))
        self._shared = {x for x in shared if x.operation.name != "constant"}
        for node in in_order(self._roots):
            if node.operation.of in ("NaN", "anything"):
                raise _NotSaidError(node.operation)  # two that are written alike need not be one
        self._known: dict[Node, Any] = {}
        self._held: list[Any] = []

    def is_equality(self, kind: str) -> bool:
        """Whether the solver says so, in the time it has."""
        pair = [self._as_float(self._bits(x), kind) for x in self._roots]
        options = self._of.Options()
        options.set(self._of.Option.TIME_LIMIT_PER, MILLISECONDS)
        asked = self._of.Bitwuzla(self._terms, options)
        for assumption in (*self._held, *self._assumed()):
            asked.assert_formula(assumption)
        asked.assert_formula(self._term("NOT", self._term("EQUAL", *pair)))
        return bool(asked.check_sat() == self._of.Result.UNSAT)

    def _term(self, name: str, *arguments: Any, indices: tuple[int, ...] = ()) -> Any:
        kind = getattr(self._of.Kind, name)
        if indices:
            return self._terms.mk_term(kind, list(arguments), list(indices))
        return self._terms.mk_term(kind, list(arguments))

    @cached_property
    def _directions(self) -> dict[str, Any]:
        modes = self._of.RoundingMode
        return {x: self._terms.mk_rm_value(getattr(modes, name)) for x, name in _ROUNDINGS.items()}

    def _number(self, bits: int, width: int) -> Any:
        return self._terms.mk_bv_value(self._terms.mk_bv_sort(width), bits)

    def _any(self, width: int) -> Any:
        return self._terms.mk_const(self._terms.mk_bv_sort(width))

    def _as_float(self, bits: Any, kind: str) -> Any:
        return self._term("FP_TO_FP_FROM_BV", bits, indices=_FORMATS[kind])

    def _bits_of(self, value: Any, kind: str) -> Any:
        """The bits of a float; of a NaN, any that are one."""
        bits = self._any(WIDTHS[kind])
        self._held.append(self._term("EQUAL", self._as_float(bits, kind), value))
        return bits

    def _assumed(self) -> list[Any]:
        """The case, as far as it is about values that the query has."""
        found = []
        for node, lies in self._facts.kinds.items():
            if node not in self._known or node.type not in FLOATS:
                continue
            value = self._as_float(self._known[node], node.type)
            if lies == "NaN":
                found.append(self._term("FP_IS_NAN", value))
                continue
            name = "FP_IS_POS" if lies in ("positive", "+0") else "FP_IS_NEG"
            found.append(self._term(name, value))
            zero = self._term("FP_IS_ZERO", value)
            found.append(zero if lies in ("+0", "-0") else self._term("NOT", zero))
        return found

    def _bits(self, node: Node) -> Any:
        """The bits of an expression: of width 1 and true or false where it is that."""
        if node not in self._known:
            if node not in self._shared:
                for argument in node.arguments:
                    self._bits(argument)
            self._known[node] = self._translated(node)
        return self._known[node]

    def _translated(self, node: Node) -> Any:
        operation = node.operation
        if operation.name == "constant":
            if operation.type == "pred":
                return self._terms.mk_true() if operation.bits else self._terms.mk_false()
            return self._number(operation.bits, WIDTHS[operation.type])
        if node in self._shared or operation.name == "input":
            if node.type == "pred":
                return self._terms.mk_const(self._terms.mk_bool_sort())
            return self._any(WIDTHS[node.type])
        if operation.ftz or operation.saturate:
            raise _NotSaidError(operation)
        arguments = [self._known[x] for x in node.arguments]
        if operation.name in self._special:
            return self._special[operation.name](operation, *arguments)
        if operation.type == "pred":
            name = operation.name.upper()
            if name not in ("AND", "OR", "XOR", "NOT"):
                raise _NotSaidError(operation)
            return self._term(name, *arguments)
        if operation.type in FLOATS:
            return self._float(operation, arguments)
        if operation.name not in _WHOLE:
            raise _NotSaidError(operation)
        return self._term(_WHOLE[operation.name], *arguments)

    @cached_property
    def _special(self) -> dict[str, Callable[..., Any]]:
        return {
            "select": self._select,
            "compare": self._compare,
            "convert": self._convert,
            "extract": self._extract,
            "concat": self._concat,
            "not": self._not,
            "shr": self._shr,
            "shl": self._shl,
        }

    def _float(self, operation: Operation, arguments: list[Any]) -> Any:
        kind = operation.type
        values = [self._as_float(x, kind) for x in arguments]
        if operation.name in ("neg", "abs"):
            return self._bits_of(self._term(f"FP_{operation.name.upper()}", *values), kind)
        if operation.name not in _FLOATS:
            raise _NotSaidError(operation)
        direction = self._directions[operation.rounding]
        return self._bits_of(self._term(_FLOATS[operation.name], direction, *values), kind)

    def _select(self, _: Operation, condition: Any, yes: Any, no: Any) -> Any:
        return self._term("ITE", condition, yes, no)

    def _compare(self, operation: Operation, first: Any, second: Any) -> Any:
        kind = operation.source
        if kind in FLOATS:
            first, second = (self._as_float(x, kind) for x in (first, second))
            less, equal, greater = "FP_LT", "FP_EQUAL", "FP_GT"
        elif kind[0] == "s":
            less, equal, greater = "BV_SLT", "EQUAL", "BV_SGT"
        else:
            less, equal, greater = "BV_ULT", "EQUAL", "BV_UGT"
        tests = {"less": less, "equal": equal, "greater": greater}
        holds = HOLDS[operation.comparison]
        found = [self._term(tests[x], first, second) for x in tests if x in holds]
        if "unordered" in holds and kind in FLOATS:
            found += [self._term("FP_IS_NAN", x) for x in (first, second)]
        return found[0] if len(found) == 1 else self._term("OR", *found)

    def _convert(self, operation: Operation, argument: Any) -> Any:
        source, target = operation.source, operation.type
        if {source, target} <= set(FLOATS):
            direction = self._directions[operation.rounding]
            value = self._as_float(argument, source)
            if source != target:
                value = self._term("FP_TO_FP_FROM_FP", direction, value, indices=_FORMATS[target])
            return self._bits_of(value, target)
        if target in FLOATS and source[0] in "su":
            name = "FP_TO_FP_FROM_SBV" if source[0] == "s" else "FP_TO_FP_FROM_UBV"
            direction = self._directions[operation.rounding]
            value = self._term(name, direction, argument, indices=_FORMATS[target])
            return self._bits_of(value, target)
        if source in FLOATS or "pred" in (source, target):
            raise _NotSaidError(operation)
        wider = WIDTHS[target] - WIDTHS[source]
        if wider <= 0:
            return self._piece(argument, 0, WIDTHS[target])
        name = "BV_SIGN_EXTEND" if source[0] == "s" else "BV_ZERO_EXTEND"
        return self._term(name, argument, indices=(wider,))

    def _piece(self, bits: Any, low: int, width: int) -> Any:
        return self._term("BV_EXTRACT", bits, indices=(low + width - 1, low))

    def _extract(self, operation: Operation, argument: Any) -> Any:
        return self._piece(argument, operation.low, WIDTHS[operation.type])

    def _concat(self, _: Operation, *pieces: Any) -> Any:
        return self._term("BV_CONCAT", *reversed(pieces))

    def _not(self, operation: Operation, argument: Any) -> Any:
        return self._term("NOT" if operation.type == "pred" else "BV_NOT", argument)

    def _shr(self, operation: Operation, value: Any, count: Any) -> Any:
        name = "BV_ASHR" if operation.type[0] == "s" else "BV_SHR"
        return self._term(name, value, self._as_wide(count, WIDTHS[operation.type]))

    def _shl(self, operation: Operation, value: Any, count: Any) -> Any:
        return self._term("BV_SHL", value, self._as_wide(count, WIDTHS[operation.type]))

    def _as_wide(self, count: Any, width: int) -> Any:
        """A count in the width of what is shifted; of a wider one a number alone."""
        size = count.sort().bv_size()
        if size == width:
            return count
        if size < width:
            return self._term("BV_ZERO_EXTEND", count, indices=(width - size,))
        if not count.is_value():
            raise _NotSaidError(count)
        return self._number(min(int(count.value(10)), width), width)
