"""Operands of an instruction: registers, numbers, addresses, vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from lion_conformance.ptx.syntax import (
    Address,
    Negated,
    Number,
    Operand,
    Pair,
    Register,
    Sink,
    SourceError,
    Special,
    Symbol,
    Vector,
)
from lion_conformance.ptx.tokens import Cursor, whole

SPECIALS: Final = frozenset(
    [f"%{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyz"]
    + ["%laneid", "%warpid", "%nwarpid"]
    + [f"%lanemask_{relation}" for relation in ("eq", "le", "lt", "ge", "gt")]
)
"""Special registers that the machine knows."""

_FLOATS: Final[dict[str, tuple[Any, Any]]] = {
    "f32": (np.float32, np.uint32),
    "f64": (np.float64, np.uint64),
}


class OperandReader:
    """Reads operands; `register` knows the registers that are declared where it stands."""

    def __init__(
        self, tokens: Cursor, register: Callable[[str], Register | None] | None = None
    ) -> None:
        self.tokens = tokens
        self.register = register or (lambda _: None)

    def all(self) -> tuple[Operand, ...]:
        """All operands of an instruction, up to its semicolon."""
        found: list[Operand] = []
        while self.tokens.peek() != ";":
            if found:
                self.tokens.expect(",")
            found.append(self.operand())
        return tuple(found)

    def operand(self) -> Operand:
        """One operand, or two with a bar between them."""
        first = self.single()
        return Pair(first, self.single()) if self.tokens.take("|") else first

    def single(self) -> Operand:
        """One operand."""
        tokens = self.tokens
        if tokens.take("{"):
            parts = [self.single()]
            while tokens.take(","):
                parts.append(self.single())
            tokens.expect("}")
            return Vector(tuple(parts))
        if tokens.take("["):
            return self.address()
        if tokens.take("!"):
            register = self.register(tokens.peek())
            if register is None:
                raise tokens.error("a predicate expected")
            tokens.token()
            return Negated(register)
        if tokens.take("-"):
            return self.immediate(-1)
        return self.named() if tokens.peek()[:1] not in "0123456789" else self.immediate(1)

    def named(self) -> Operand:
        """A register, a special register, `_`, or the name of a variable or label."""
        token = self.tokens.token()
        if token.kind != "word":
            raise SourceError(f"line {token.line}: an operand expected, not {token.text!r}")
        if token.text == "_":
            return Sink()
        if token.text == "WARP_SZ":
            return Number(32, "whole")
        register = self.register(token.text)
        if register is not None:
            return register
        if token.text in SPECIALS:
            return Special(token.text)
        if token.text.startswith("%"):
            raise SourceError(f"line {token.line}: a register that is not known: {token.text}")
        return Symbol(token.text, self.offset())

    def offset(self) -> int:
        """The number that is added to an address, if any."""
        total = 0
        while self.tokens.peek() in {"+", "-"}:
            sign = -1 if self.tokens.token().text == "-" else 1
            if self.tokens.take("-"):
                sign = -sign
            token = self.tokens.token()
            if token.kind != "number":
                raise SourceError(f"line {token.line}: a number expected, not {token.text!r}")
            total += sign * whole(token)
        return total

    def address(self) -> Address:
        """What stands between the brackets, and the closing one."""
        if self.tokens.peek()[:1] in "0123456789-":
            number = self.single()
            base: Register | Symbol | None = None
            offset = int(number.value) if isinstance(number, Number) else 0
        else:
            named = self.named()
            if not isinstance(named, Register | Symbol):
                raise self.tokens.error("an address of a register or a variable expected")
            base, offset = named, self.offset()
        if isinstance(base, Symbol):
            base, offset = Symbol(base.name), base.offset + offset
        self.tokens.expect("]")
        return Address(base, offset)

    def immediate(self, sign: int) -> Number:
        """A number: whole, the bits of a float, or a decimal fraction."""
        token = self.tokens.token()
        text = token.text
        if token.kind != "number":
            raise SourceError(f"line {token.line}: a number expected, not {text!r}")
        if text[:2] in {"0f", "0F", "0d", "0D"}:
            form = "f32" if text[1] in "fF" else "f64"
            bits = int(f"0x{text[2:]}", base=0)
            return Number(bits ^ (sign < 0) << (4 * len(text[2:]) - 1), form)
        if any(mark in text for mark in ".eE") and not text.startswith(("0x", "0X")):
            return Number(sign * float(text), "decimal")
        return Number(sign * whole(token), "whole")

    def number(self, kind: str) -> int:
        """A number as bits of this type, where a variable begins with it."""
        sign = -1 if self.tokens.take("-") else 1
        bits = immediate_bits(self.immediate(sign), kind)
        if bits is None:
            raise self.tokens.error(f"no number of type {kind}")
        return bits


def immediate_bits(number: Number, kind: str) -> int | None:
    """The bits of an immediate where this type is expected; None where PTX allows none."""
    if kind in _FLOATS:
        return _float_bits(number, *_FLOATS[kind])
    return None if number.form == "decimal" else int(number.value)


def _float_bits(number: Number, of: type[np.floating[Any]], held: type[np.generic]) -> int | None:
    """Its bits as this float; None of a whole number, and of one that is too large."""
    if number.form == "whole":
        return None
    value = np.float64(number.value)
    if number.form in _FLOATS:
        source, bits = _FLOATS[number.form]
        value = np.array(number.value, bits).view(source)[()]
        if source is of:
            return int(number.value)
    with np.errstate(over="ignore"):
        rounded = of(value)
    if np.isinf(rounded) and np.isfinite(value):
        return None
    return int(rounded.view(held))
