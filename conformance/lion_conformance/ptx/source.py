"""Reads PTX text as nvcc, clang and Triton write it. What is not known is an error, never skipped."""

from __future__ import annotations

import re
from typing import Final

from lion_conformance.ptx.operands import OperandReader, whole
from lion_conformance.ptx.syntax import (
    TYPE_WIDTHS,
    Entry,
    Instruction,
    Module,
    Negated,
    Parameter,
    Register,
    SourceError,
    Symbol,
    Variable,
)
from lion_conformance.ptx.tokens import Token, line_of, tokens

MOST_REGISTERS: Final = 1_000_000
_LINKING: Final = {".visible", ".weak", ".extern", ".common"}
_TUNING: Final = {
    ".maxnreg",
    ".minnctapersm",
    ".maxnctapersm",
    ".noreturn",
    ".reqnctapercluster",
    ".maxclusterrank",
    ".explicitcluster",
    ".blocksareclusters",
    ".abi_preserve",
    ".abi_preserve_control",
}
_SPACES: Final = {".global", ".const", ".shared", ".local"}
_CALL: Final = "a call of a function (only kernels that call none are read)"
_SPACE_WORD: Final = re.compile(r"\s+")


def parse(text: str) -> Module:
    """The kernels of this PTX text; SourceError names what is not known, and its line."""
    return _Parser(text).module()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.version = self.target = ""
        self.variables: list[Variable] = []
        self.entries: dict[str, Entry] = {}
        self.functions: list[str] = []

    # Tokens

    def peek(self) -> str:
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def token(self) -> Token:
        if self.at >= len(self.tokens):
            last = self.tokens[-1].line if self.tokens else 1
            raise SourceError(f"line {last}: the file ends in the middle of something")
        self.at += 1
        return self.tokens[self.at - 1]

    def next(self) -> str:
        return self.token().text

    def take(self, mark: str) -> bool:
        if self.peek() == mark:
            self.at += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            raise self.error(f"{mark!r} expected")

    def error(self, why: str) -> SourceError:
        place = self.tokens[min(self.at, len(self.tokens) - 1)]
        return SourceError(f"line {place.line}: {why}: {line_of(self.text, place.line)}")

    def number(self) -> int:
        sign = -1 if self.take("-") else 1
        if self.at >= len(self.tokens) or self.tokens[self.at].kind != "number":
            raise self.error("a whole number expected")
        try:
            return sign * whole(self.next())
        except ValueError:
            self.at -= 1
            raise self.error("a whole number expected") from None

    def skip_to(self, mark: str) -> None:
        while self.next() != mark:
            pass

    def skip_block(self) -> None:
        self.expect("{")
        depth = 1
        while depth:
            piece = self.next()
            depth += (piece == "{") - (piece == "}")

    # The file

    def module(self) -> Module:
        while self.at < len(self.tokens):
            self.at_file_level()
        if not self.version:
            raise SourceError("line 1: no PTX: it begins with .version")
        return Module(self.version, self.target, self.entries, tuple(self.functions))

    def at_file_level(self) -> None:
        linking = set()
        while self.peek() in _LINKING:
            linking.add(self.next())
        word = self.peek()
        if word == ".version":
            self.at += 1
            self.version = self.next()
        elif word == ".target":
            self.at += 1
            self.target = self.next()
            while self.take(","):
                self.at += 1
        elif word == ".address_size":
            self.at += 1
            if self.number() != 64:
                self.at -= 1
                raise self.error("only addresses of 64 bits are known")
        elif word == ".entry":
            self.entry()
        elif word == ".func":
            self.function()
        elif word == ".section":
            self.at += 2
            self.skip_block()
        elif word == ".pragma":
            self.skip_to(";")
        elif word in _SPACES:
            self.variables += self.variable(".extern" in linking)
        else:
            raise self.error("not known")

    def function(self) -> None:
        """A function's name is kept; what it does matters only where it is called."""
        self.at += 1
        if self.take("("):
            self.skip_to(")")
        self.functions.append(self.next())
        while self.peek() not in {";", "{"}:
            self.at += 1
            if self.at >= len(self.tokens):
                raise self.error("a function without an end")
        if not self.take(";"):
            self.skip_block()

    def variable(self, extern: bool) -> list[Variable]:
        space = self.next()[1:]
        alignment, kind = 0, ""
        while self.peek().startswith("."):
            word = self.next()
            if word == ".align":
                alignment = self.number()
            elif word[1:] in TYPE_WIDTHS:
                kind = word[1:]
            else:
                self.at -= 1
                raise self.error("not known")
        if not kind:
            raise self.error("a type expected")
        width = TYPE_WIDTHS[kind] // 8
        declared = []
        while True:
            name, size = self.next(), width
            while self.take("["):
                if self.take("]"):
                    size = 0
                else:
                    size *= self.number()
                    self.expect("]")
            data = self.initial(kind, size) if self.take("=") else None
            told = size if not extern or size else None
            declared.append(Variable(name, space, told, alignment or width, data))
            if not self.take(","):
                break
        self.expect(";")
        return declared

    def initial(self, kind: str, size: int) -> bytes:
        width = TYPE_WIDTHS[kind] // 8
        operands = OperandReader(self)
        data = b""
        depth = 0
        while True:
            if self.take("{"):
                depth += 1
                continue
            number = operands.number(kind)
            data += (number % (1 << 8 * width)).to_bytes(width, "little")
            while self.take("}"):
                depth -= 1
            if depth <= 0:
                return data.ljust(size, b"\0")
            self.expect(",")

    # A kernel

    def entry(self) -> None:
        line = self.token().line
        name = self.next()
        params = self.params() if self.take("(") else ()
        sizes: dict[str, tuple[int, int, int]] = {}
        while self.peek().startswith("."):
            word = self.next()
            if word in {".reqntid", ".maxntid"}:
                three = [self.number()]
                while self.take(","):
                    three.append(self.number())
                x, y, z = [*three, 1, 1][:3]
                sizes[word] = x, y, z
            elif word == ".pragma":
                self.skip_to(";")
            elif word in _TUNING:
                while self.at < len(self.tokens) and self.tokens[self.at].kind == "number":
                    self.at += 1
                    self.take(",")
            else:
                self.at -= 1
                raise self.error("not known")
        if self.take(";"):
            return
        body = _Body(self)
        body.read()
        self.entries[name] = Entry(
            name=name,
            params=params,
            registers=body.registers,
            variables=(*self.variables, *body.variables),
            body=tuple(body.resolved()),
            labels=body.labels,
            reqntid=sizes.get(".reqntid"),
            maxntid=sizes.get(".maxntid"),
            target=self.target,
            line=line,
        )

    def params(self) -> tuple[Parameter, ...]:
        found: list[Parameter] = []
        while not self.take(")"):
            if found:
                self.expect(",")
            self.expect(".param")
            kind, alignment, pointer = "", 0, False
            while self.peek().startswith("."):
                word = self.next()
                if word == ".align":
                    # After .ptr it is the alignment of what is pointed to.
                    alignment = self.number() if not pointer else self.number() and alignment
                elif word == ".ptr":
                    pointer = True
                elif word[1:] in TYPE_WIDTHS:
                    kind = word[1:]
                elif word not in _SPACES:
                    self.at -= 1
                    raise self.error("not known")
            name = self.next()
            if not kind:
                raise self.error("a type expected")
            size = TYPE_WIDTHS[kind] // 8
            natural = size
            while self.take("["):
                size *= self.number()
                self.expect("]")
            found.append(Parameter(name, kind, size, alignment or natural, pointer))
        return tuple(found)


class _Body:
    """What stands between the braces of a kernel, with the scopes inside."""

    def __init__(self, parser: _Parser) -> None:
        self.parser = parser
        self.registers: dict[str, str] = {}
        self.variables: list[Variable] = []
        self.labels: dict[str, int] = {}
        self.body: list[Instruction] = []
        # Names of registers and labels, from the outermost scope in; each scope is a dict of its own,
        # which the instructions inside keep until all of its labels are known.
        self.scopes: list[dict[str, str]] = [{}]
        self.scopes_of: list[tuple[dict[str, str], ...]] = []
        self.operands = OperandReader(parser, self.register)

    def register(self, name: str) -> Register | None:
        for scope in reversed(self.scopes):
            if name in scope:
                return Register(scope[name])
        return None

    def read(self) -> None:
        parser = self.parser
        parser.expect("{")
        while self.scopes:
            if parser.take("{"):
                self.scopes.append({})
            elif parser.take("}"):
                self.scopes.pop()
            elif parser.take(";"):
                pass
            elif parser.peek() == ".reg":
                self.declare()
            elif parser.peek() in _SPACES:
                self.variables += parser.variable(extern=False)
            elif parser.peek() == ".pragma":
                parser.skip_to(";")
            elif parser.peek() == ".param":
                raise parser.error(_CALL)
            elif parser.peek().startswith("."):
                raise parser.error("not known")
            elif parser.at + 1 < len(parser.tokens) and parser.tokens[parser.at + 1].text == ":":
                self.label(parser.next())
                parser.at += 1
            else:
                self.instruction()

    def declare(self) -> None:
        parser = self.parser
        parser.at += 1
        kind = parser.next()[1:]
        if kind not in TYPE_WIDTHS:
            parser.at -= 1
            raise parser.error("a register of a type that is not known")
        while True:
            name = parser.next()
            if parser.take("<"):
                count = parser.number()
                if count > MOST_REGISTERS:
                    raise parser.error("more registers than any kernel has")
                parser.expect(">")
                names = [f"{name}{index}" for index in range(count)]
            else:
                names = [name]
            for each in names:
                own = each
                while own in self.registers:
                    own += "'"
                self.registers[own] = kind
                self.scopes[-1][each] = own
            if not parser.take(","):
                break
        parser.expect(";")

    def label(self, name: str) -> None:
        own = name
        while own in self.labels:
            own += "'"
        self.labels[own] = len(self.body)
        self.scopes[-1][f"{name}:"] = own

    def instruction(self) -> None:
        parser = self.parser
        first = parser.tokens[parser.at]
        predicate: Register | Negated | None = None
        if parser.take("@"):
            turned = parser.take("!")
            register = self.register(parser.next())
            if register is None:
                parser.at -= 1
                raise parser.error("a predicate that is not declared")
            predicate = Negated(register) if turned else register
        opcode = parser.token()
        if opcode.kind != "word":
            parser.at -= 1
            raise parser.error("an instruction expected")
        if opcode.text.split(".")[0] == "call":
            parser.at -= 1
            raise parser.error(_CALL)
        operands = self.operands.all()
        end = parser.tokens[parser.at].start
        parser.expect(";")
        text = _SPACE_WORD.sub(" ", parser.text[first.start : end]).strip()
        self.body.append(Instruction(opcode.text, operands, predicate, first.line, text))
        self.scopes_of.append(tuple(self.scopes))

    def resolved(self) -> list[Instruction]:
        """The instructions, with the labels that they jump to by their own names."""
        return [
            self.jump(instruction, scopes) if instruction.opcode.startswith("bra") else instruction
            for instruction, scopes in zip(self.body, self.scopes_of, strict=True)
        ]

    def jump(self, instruction: Instruction, scopes: tuple[dict[str, str], ...]) -> Instruction:
        for operand in instruction.operands:
            for scope in reversed(scopes):
                if isinstance(operand, Symbol) and f"{operand.name}:" in scope:
                    target = Symbol(scope[f"{operand.name}:"])
                    return Instruction(
                        instruction.opcode,
                        (target,),
                        instruction.predicate,
                        instruction.line,
                        instruction.text,
                    )
        raise instruction.refused("a jump to a label that is not there")
