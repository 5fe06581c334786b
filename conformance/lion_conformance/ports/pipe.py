"""A program in any language as a port: docs/reference/pipe.md is the format.

The program says what it is, then answers batches: a line an element, as hexadecimal bits.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from lion_conformance.ports.declaration import semantics_of
from lion_conformance.ports.hexadecimal import MalformedLine, decode, encode, malformed
from lion_conformance.ports.process import Conversation, HungError
from lion_conformance.ports.protocol import (
    LONGEST_NAME,
    Port,
    PortError,
    Session,
    Triple,
    check_name,
)
from lion_conformance.ports.refusal import Refusal
from lion_conformance.ports.transcript import ELSEWHERE, Form
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import Array
from lion_ref.dtypes import check_dtypes

GREETING: Final = "lion-pipe 1"
LONGEST_REASON: Final = 500
"""Characters of what is said of a line, which may be long itself."""

TIMEOUT: Final = 60.0
TIMEOUT_AFTER_A_HANG: Final = 2.0
"""Once a program has hung, reducing its counterexample asks it again, but not that patiently."""


class Program:
    """A program that speaks docs/reference/pipe.md: started, greeted, asked, ended with the block.

    Args:
        command: the program and its arguments, as one line for a shell's rules or as a list. No
            shell runs it.
        timeout: seconds that the greeting, and each batch, may take.

    Raises:
        PortError: whatever is wrong with the program, in one line with the last of its stderr.
        ValueError: a command or timeout that is not legal.

    `with Program("./my_port") as program: verify(program.port)`. A program that ended or that
    broke the format is started anew for the next batch.
    """

    def __init__(self, command: str | Sequence[str], *, timeout: float = TIMEOUT) -> None:
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise ValueError(
                f"command={command!r} is not legal: {error}; legal: a program and arguments, "
                "quoted as for a shell"
            ) from None
        if not words:
            raise ValueError(f"command={command!r} is not legal; legal: a program and arguments")
        if not 0 < timeout < np.inf:
            raise ValueError(f"timeout={timeout!r} is not legal; legal: a finite number > 0")
        self._words, self._timeout = words, timeout
        self._running: Conversation | None = None

    def __enter__(self) -> Self:
        """Start the program and hear what it says of itself."""
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the program: it sees the end of its input, and is killed if that does not do."""
        self._stop()

    @property
    def port(self) -> Port:
        """What the program said of itself, as a port to judge."""
        if self._running is None:
            self._start()
        greeting = self._greeting

        return Port(
            name=greeting.name or self._words[0][-LONGEST_NAME:],
            open=partial(_Asked, self),
            door="pipe",
            declared=greeting.declared,
            triples=tuple(greeting.triples),
            declines=tuple(greeting.declines),
            unavailable=greeting.unavailable,
        )

    def ask(self, arrays: Sequence[Array], scalars: Sequence[float]) -> list[Array]:
        """One batch: θ, m and g of one shape in, θ' and m' out."""
        running = self._running or self._start()
        param, momentum, grad = (x.dtype for x in arrays)
        size, answer = arrays[0].size, [param, momentum]
        numbers = encode([np.array([x], np.float64) for x in scalars]).decode().strip()
        head = f"step {param} {momentum} {grad} {size}"
        try:
            running.send(f"{head} {numbers}\n".encode() + encode(arrays))
            what = f"its answer to request {running.requests}, {head!r}"
            form = Form(what, "end", partial(malformed, dtypes=answer), size)
            lines = running.until(form, self._timeout)
            try:
                flat = decode(lines, answer, size)
            except MalformedLine as error:
                words = form.misplaced(error.index, error.line, error.legal)
                raise running.failed(words) from error
            except ValueError as error:
                raise running.failed(f"answered {error}") from error
        except PortError as error:
            if isinstance(error, HungError):
                self._timeout = min(self._timeout, TIMEOUT_AFTER_A_HANG)
            self._stop(kill=True)
            raise
        return [x.reshape(arrays[0].shape) for x in flat]

    def _start(self) -> Conversation:
        running = Conversation(self._words)
        self._running = running
        try:
            form = Form("its greeting", "ready", _not_greeting)
            lines = running.until(form, max(self._timeout, TIMEOUT_AFTER_A_HANG))
            self._greeting = _Greeting(running, lines)
        except PortError:
            self._stop(kill=True)
            raise
        return running

    def _stop(self, *, kill: bool = False) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop(kill=kill)


def _not_greeting(lines: bytes) -> MalformedLine | None:
    """The first line, if it does not say that the program speaks this format."""
    first = lines.partition(b"\n")[0].decode("utf-8", "backslashreplace")
    return None if first == GREETING else MalformedLine(0, first[:80], repr(GREETING))


class _Greeting:
    """What a program says of itself before its line `ready`."""

    def __init__(self, running: Conversation, lines: bytes) -> None:
        fault = _not_greeting(lines)
        if fault is not None:
            raise running.failed(f"began with {fault.line!r}; legal: {fault.legal}; {ELSEWHERE}")
        _, *rest = lines.decode("utf-8", "backslashreplace").splitlines()
        self.name = ""
        self.triples: list[Triple] = []
        self.declared: Semantics | None = None
        self.declines: list[Refusal] = []
        self.unavailable = ""
        self._said: set[str] = set()
        for line in rest:
            try:
                self._hear(*line.partition(" ")[::2])
            except (TypeError, ValueError) as error:
                words = str(error)[:LONGEST_REASON]
                raise running.failed(f"greeted with {line[:80]!r}: {words}") from error
        if not self.triples:
            raise running.failed("named no dtypes; legal: a line 'dtypes θ m g' for each triple")

    def _hear(self, key: str, value: str) -> None:
        if key in self._said and key not in ("dtypes", "declines"):
            raise ValueError(f"a second line {key!r}; legal: one")
        self._said.add(key)
        if key == "name":
            self.name = value.strip()
            check_name(self.name)
        elif key == "dtypes":
            self._add(*value.split())
        elif key == "semantics":
            self.declared = parse_semantics(value)
        elif key == "declines":
            self.declines.append(parse_refusal(value))
        elif key == "unavailable":
            self.unavailable = parse_reason(value)
        else:
            legal = "name, dtypes, semantics, declines, unavailable, ready"
            raise ValueError(f"legal: {legal}; {ELSEWHERE}")

    def _add(self, *names: str) -> None:
        if len(names) != 3:
            raise ValueError("legal: three dtypes, those of θ, m and g")
        for name in names:
            if name not in STORAGE_DTYPES:
                raise ValueError(f"dtype {name!r} is not legal; legal: {', '.join(STORAGE_DTYPES)}")
        check_dtypes(*names)
        param, momentum, grad = names
        if (param, momentum, grad) not in self.triples:
            self.triples.append((param, momentum, grad))


def parse_refusal(text: str) -> Refusal:
    """The Refusal that a scalar's name and one or two numbers tell.

    >>> parse_refusal("lr 0").describe(), parse_refusal("beta1 0 0.25").describe()
    ('lr = 0', 'beta1 from 0 to 0.25')
    """
    argument, *numbers = text.split() or [""]
    if len(numbers) not in (1, 2):
        raise ValueError("legal: a scalar's name, the least value that is refused, the greatest")
    return Refusal(argument, float(numbers[0]), float(numbers[-1]))


def parse_reason(text: str) -> str:
    """Why a program cannot be judged where it is.

    >>> parse_reason(" no GPU ")
    'no GPU'
    """
    reason = text.strip()
    if not reason or not reason.isprintable():
        raise ValueError("legal: the reason, in printable characters")
    return reason


def parse_semantics(text: str) -> Semantics:
    """The Semantics that words such as "subnormals=flush" name; "canonical" is none of them.

    >>> parse_semantics("subnormals=flush step_fused=True").describe()
    "θ' = θ - η·(u + λ·θ), fused: η·(…); subnormals flushed"
    """
    if text.strip() == "canonical":
        return Semantics()
    fields: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        fields[name] = {"True": True, "False": False}.get(value, value)
    return semantics_of(fields)


class _Asked(Session):
    """A session whose state lives here: a program is asked one step at a time."""

    def __init__(
        self,
        program: Program,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
    ) -> None:
        self._program, self._betas = program, (beta1, beta2)
        self._params, self._momenta = list(params), list(momenta)

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """One batch for each tensor."""
        for i, grad in enumerate(grads):
            self._params[i], self._momenta[i] = self._program.ask(
                (self._params[i], self._momenta[i], grad), (lr, *self._betas, weight_decay)
            )

    def read(self) -> tuple[list[Array], list[Array]]:
        """What the program answered last."""
        return list(self._params), list(self._momenta)
