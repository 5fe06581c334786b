"""Declarations: parameters, and variables in memory with what they begin with."""

from __future__ import annotations

from typing import Final

from lion_conformance.ptx.operands import OperandReader
from lion_conformance.ptx.syntax import TYPE_WIDTHS, Parameter, Variable
from lion_conformance.ptx.tokens import Cursor

SPACES: Final = frozenset({".global", ".const", ".shared", ".local"})
"""Where a variable can be."""

MOST_BYTES: Final = 1 << 26
"""Of one variable."""


def variables(cursor: Cursor, *, extern: bool) -> list[Variable]:
    """One declaration, which may be of several variables."""
    space = cursor.next()[1:]
    alignment, kind = 0, ""
    while cursor.peek().startswith("."):
        word = cursor.next()
        if word == ".align":
            alignment = _alignment(cursor)
        elif word[1:] in TYPE_WIDTHS:
            kind = word[1:]
        else:
            cursor.at -= 1
            raise cursor.error("not known")
    if not kind or kind == "pred":
        raise cursor.error("a type expected")
    width = TYPE_WIDTHS[kind] // 8
    declared = []
    while True:
        name, size = cursor.next(), width
        while cursor.take("["):
            if cursor.take("]"):
                size = 0
            else:
                size *= cursor.number()
                cursor.expect("]")
        if size > MOST_BYTES:
            raise cursor.error("a variable larger than any update needs")
        begins = cursor.take("=")
        unknown = begins and _has_an_address(cursor)
        data = _initial(cursor, kind, size) if begins and not unknown else None
        told = size if not extern or size else None
        declared.append(Variable(name, space, told, alignment or width, data, unknown))
        if not cursor.take(","):
            break
    cursor.expect(";")
    return declared


def _alignment(cursor: Cursor) -> int:
    """A power of two."""
    alignment = cursor.number()
    if alignment < 1 or alignment & (alignment - 1):
        cursor.at -= 1
        raise cursor.error("an alignment is a power of 2")
    return alignment


def _has_an_address(cursor: Cursor) -> bool:
    """Whether a variable begins with an address, as a table of functions does; if so, go past."""
    begin, named, depth = cursor.at, False, 0
    while cursor.peek() != ";" and (depth or cursor.peek() != ","):
        token = cursor.token()
        depth += (token.text == "{") - (token.text == "}")
        named = token.kind == "word" or named
    if not named:
        cursor.at = begin
    return named


def _initial(cursor: Cursor, kind: str, size: int) -> bytes:
    width = TYPE_WIDTHS[kind] // 8
    operands = OperandReader(cursor)
    data = b""
    depth = 0
    while True:
        if cursor.take("{"):
            depth += 1
            continue
        number = operands.number(kind)
        data += (number % (1 << 8 * width)).to_bytes(width, "little")
        while cursor.take("}"):
            depth -= 1
        if depth <= 0:
            if len(data) > size:
                raise cursor.error("more numbers than the variable has")
            return data.ljust(size, b"\0")
        cursor.expect(",")


def parameters(cursor: Cursor) -> tuple[Parameter, ...]:
    """The parameters of a kernel, after the opening parenthesis."""
    found: list[Parameter] = []
    while not cursor.take(")"):
        if found:
            cursor.expect(",")
        cursor.expect(".param")
        kind, alignment, pointer = "", 0, False
        while cursor.peek().startswith("."):
            word = cursor.next()
            if word == ".align":
                # After .ptr it is the alignment of what is pointed to.
                told = _alignment(cursor)
                alignment = alignment if pointer else told
            elif word == ".ptr":
                pointer = True
            elif word[1:] in TYPE_WIDTHS:
                kind = word[1:]
            elif word not in SPACES:
                cursor.at -= 1
                raise cursor.error("not known")
        name = cursor.next()
        if not kind or kind == "pred":
            raise cursor.error("a type expected")
        size = TYPE_WIDTHS[kind] // 8
        natural = size
        while cursor.take("["):
            size *= cursor.number()
            cursor.expect("]")
        found.append(Parameter(name, kind, size, alignment or natural, pointer))
    return tuple(found)
