"""Reads PTX as nvcc, clang and Triton write it. What is not known is an error, never skipped."""

from __future__ import annotations

from typing import Final

from lion_conformance.ptx.body import Body
from lion_conformance.ptx.declarations import SPACES, parameters, variables
from lion_conformance.ptx.syntax import Entry, Module, SourceError, Variable
from lion_conformance.ptx.tokens import Cursor

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


def parse(text: str) -> Module:
    """The kernels of this PTX text; SourceError names what is not known, and its line.

    A file has many kernels, of which one is judged: what is not known in a kernel is kept beside
    those that are read, for whoever asks for it.
    """
    return _Parser(text).module()


class _Parser(Cursor):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.version = self.target = ""
        self.variables: list[Variable] = []
        self.entries: dict[str, Entry] = {}
        self.functions: list[str] = []
        self.refused: dict[str, SourceError] = {}

    def module(self) -> Module:
        while self.at < len(self.tokens):
            self.at_file_level()
        if not self.version:
            raise SourceError("line 1: no PTX: it begins with .version")
        functions = tuple(self.functions)
        return Module(self.version, self.target, self.entries, functions, self.refused)

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
            self.kernel()
        elif word == ".func":
            self.function()
        elif word == ".section":
            self.at += 2
            self.skip_block()
        elif word == ".pragma":
            self.skip_to(";")
        elif word in SPACES:
            self.variables += variables(self, extern=".extern" in linking)
        else:
            raise self.error("not known")

    def function(self) -> None:
        """A function's name is kept; what it does matters only where it is called."""
        self.at += 1
        if self.take("("):
            self.skip_to(")")
        self.functions.append(self.next())
        self.skip_function()

    def skip_function(self) -> None:
        """Go past the rest of a function or kernel."""
        while self.peek() not in {";", "{"}:
            self.at += 1
            if self.at >= len(self.tokens):
                raise self.error("a function without an end")
        if not self.take(";"):
            self.skip_block()

    def kernel(self) -> None:
        """A kernel, or the error that it is for those who ask for it."""
        begin = self.at
        try:
            self.entry()
        except SourceError as error:
            self.at = begin + 1
            name = self.next()
            self.skip_function()
            self.refused[name] = error

    def entry(self) -> None:
        line = self.token().line
        name = self.next()
        params = parameters(self) if self.take("(") else ()
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
        begin = self.at
        body = Body(self)
        body.read()
        named = {token.text for token in self.tokens[begin : self.at]}
        # Those of other kernels take up no memory of this one, in which it could go astray.
        variables = [x for x in self.variables if x.name in named]
        self.entries[name] = Entry(
            name=name,
            params=params,
            registers=body.registers,
            variables=(*variables, *body.variables),
            body=tuple(body.resolved()),
            labels=body.labels,
            reqntid=sizes.get(".reqntid"),
            maxntid=sizes.get(".maxntid"),
            target=self.target,
            line=line,
        )
