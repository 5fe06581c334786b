"""What stands between the braces of a kernel: registers, labels, instructions, in their scopes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from lion_conformance.ptx.declarations import SPACES, variables
from lion_conformance.ptx.operands import OperandReader
from lion_conformance.ptx.syntax import (
    TYPE_WIDTHS,
    Instruction,
    Negated,
    Register,
    SourceError,
    Symbol,
    Variable,
)
from lion_conformance.ptx.tokens import Cursor

MOST_REGISTERS: Final = 1_000_000
_CALL: Final = (
    "; only kernels that call none are read: inline it (__forceinline__), compile without -G, "
    "leave out printf and assert"
)
_BLANKS: Final = re.compile(r"\s+")


class Body:
    """What stands between the braces of a kernel, with the scopes inside."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.registers: dict[str, str] = {}
        self.variables: list[Variable] = []
        self.labels: dict[str, int] = {}
        self.body: list[Instruction] = []
        # Names of registers and labels, from the outermost scope in. Instructions keep theirs until
        # all labels are known.
        self.scopes: list[dict[str, str]] = [{}]
        self.scopes_of: list[tuple[dict[str, str], ...]] = []
        self.operands = OperandReader(cursor, self.register)

    def register(self, name: str) -> Register | None:
        """The register of this name, if the scopes here have one."""
        for scope in reversed(self.scopes):
            if name in scope:
                return Register(scope[name])
        return None

    def read(self) -> None:
        """Read up to the closing brace."""
        cursor = self.cursor
        cursor.expect("{")
        while self.scopes:
            if cursor.take("{"):
                self.scopes.append({})
            elif cursor.take("}"):
                self.scopes.pop()
            elif cursor.take(";"):
                pass
            elif cursor.peek() == ".reg":
                self._declare()
            elif cursor.peek() in SPACES:
                self.variables += variables(cursor, extern=False)
            elif cursor.peek() == ".pragma":
                cursor.skip_to(";")
            elif cursor.peek() == ".param":
                raise self._call()
            elif cursor.peek().startswith("."):
                raise cursor.error("not known")
            elif cursor.at + 1 < len(cursor.tokens) and cursor.tokens[cursor.at + 1].text == ":":
                self._label(cursor.next())
                cursor.at += 1
            else:
                self._instruction()

    def _declare(self) -> None:
        cursor = self.cursor
        cursor.at += 1
        kind = cursor.next()[1:]
        if kind not in TYPE_WIDTHS:
            cursor.at -= 1
            raise cursor.error("a register of a type that is not known")
        while True:
            name = cursor.next()
            if cursor.take("<"):
                count = cursor.number()
                if count > MOST_REGISTERS:
                    raise cursor.error("more registers than any kernel has")
                cursor.expect(">")
                names = [f"{name}{index}" for index in range(count)]
            else:
                names = [name]
            for each in names:
                own = each
                while own in self.registers:
                    own += "'"
                self.registers[own] = kind
                self.scopes[-1][each] = own
            if not cursor.take(","):
                break
        cursor.expect(";")

    def _label(self, name: str) -> None:
        own = name
        while own in self.labels:
            own += "'"
        self.labels[own] = len(self.body)
        self.scopes[-1][f"{name}:"] = own

    def _instruction(self) -> None:
        cursor = self.cursor
        first = cursor.ahead()
        predicate: Register | Negated | None = None
        if cursor.take("@"):
            turned = cursor.take("!")
            register = self.register(cursor.next())
            if register is None:
                cursor.at -= 1
                raise cursor.error("a predicate that is not declared")
            predicate = Negated(register) if turned else register
        opcode = cursor.token()
        if opcode.kind != "word":
            cursor.at -= 1
            raise cursor.error("an instruction expected")
        if opcode.text.split(".")[0] == "call":
            cursor.at -= 1
            raise self._call()
        operands = self.operands.all()
        end = cursor.ahead().start
        cursor.expect(";")
        text = _BLANKS.sub(" ", cursor.text[first.start : end]).strip()
        self.body.append(Instruction(opcode.text, operands, predicate, first.line, text))
        self.scopes_of.append(tuple(self.scopes))

    def _call(self) -> SourceError:
        """The error for a call, which begins where its own parameters are declared."""
        cursor = self.cursor
        begin = cursor.at
        while cursor.peek() not in {"", "}"} and not cursor.peek().startswith("call"):
            cursor.at += 1
        name = ""
        if cursor.take(cursor.peek()) and cursor.take("("):
            cursor.skip_to(",")
        name = cursor.peek()
        cursor.at = begin
        return cursor.error(f"a call of a function, {name}{_CALL}")

    def resolved(self) -> list[Instruction]:
        """The instructions, with the labels that they jump to by their own names."""
        return [
            self._jump(instruction, scopes) if instruction.opcode.startswith("bra") else instruction
            for instruction, scopes in zip(self.body, self.scopes_of, strict=True)
        ]

    def _jump(self, instruction: Instruction, scopes: tuple[dict[str, str], ...]) -> Instruction:
        for operand in instruction.operands:
            for scope in reversed(scopes):
                if isinstance(operand, Symbol) and f"{operand.name}:" in scope:
                    target = Symbol(scope[f"{operand.name}:"])
                    return replace(instruction, operands=(target,))
        raise instruction.refused("a jump to a label that is not there")
