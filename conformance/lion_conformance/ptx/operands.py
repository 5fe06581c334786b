"""Operands of an instruction: registers, numbers, addresses, vectors."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

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
            total += sign * whole(token.text)
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
        return Number(sign * whole(text), "whole")

    def number(self, kind: str) -> int:
        """A number as bits of this type, where a variable begins with it."""
        sign = -1 if self.tokens.take("-") else 1
        bits = immediate_bits(self.immediate(sign), kind)
        if bits is None:
            raise self.tokens.error(f"no number of type {kind}")
        return bits


def immediate_bits(number: Number, kind: str) -> int | None:
    """The bits of an immediate where this type is expected; None where PTX allows none."""
    if kind in {"f32", "f64"}:
        if number.form == "f32":
            value = struct.unpack("<f", struct.pack("<I", int(number.value)))[0]
            bits32 = int(number.value)
        elif number.form == "f64":
            value = struct.unpack("<d", struct.pack("<Q", int(number.value)))[0]
            bits32 = -1
        elif number.form == "decimal":
            value, bits32 = float(number.value), -1
        else:
            return None
        if kind == "f64":
            return int(struct.unpack("<Q", struct.pack("<d", value))[0])
        return bits32 if bits32 >= 0 else int(struct.unpack("<I", struct.pack("<f", value))[0])
    if number.form == "decimal":
        return None
    return int(number.value)
