"""What a port does that is no matter of bits: it writes to inputs, raises, changes its thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lion_conformance.ports.protocol import ChangedAnswerError
from lion_conformance.ptx.findings import Finding
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.code import Code
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.sentences import shortened

_GREEK: Final = {"param": "θ", "momentum": "m", "grad": "g", "params": "θ", "momenta": "m"}

_WORDS: Final[Sequence[tuple[str, str, Code, str]]] = (
    (
        r"the port changed its input (\w+)",
        "it writes to its input {0}",
        Code.INPUT_WRITTEN,
        "C14",
    ),
    (
        r"the port changed the list of gradients",
        "it writes to the list of gradients",
        Code.INPUT_WRITTEN,
        "C14",
    ),
    (
        r"the port changed a result",
        "it changes results that it has returned",
        Code.SHARED_BUFFER,
        "C12",
    ),
    (
        r"the session changed arrays",
        "it changes arrays that read() has returned",
        Code.SHARED_BUFFER,
        "C30",
    ),
    (
        r"the session shows another state",
        "read() shows another state the second time",
        Code.READING_MATTERS,
        "C30",
    ),
    (
        r"the session does not start with",
        "a session does not start with the θ and m that it is given",
        Code.CONTRACT_BROKEN,
        "C30",
    ),
    (
        r"the port returned (param|momentum) in memory that",
        "it returns {0:new} in memory that an input or the other result lies in",
        Code.RESULT_IN_INPUT,
        "C14",
    ),
    (
        r"the port returned (param|momentum) as (\S+); legal: ([^,]+)",
        "it returns {0:new} as {1}, though {0:old} is {2}",
        Code.WRONG_RESULT_TYPE,
        "C2",
    ),
    (
        r"the port returned (param|momentum) with shape (\(.*?\)); legal: (\(.*?\))",
        "it returns {0:new} with shape {1}, though {0:old} has shape {2}",
        Code.WRONG_RESULT_TYPE,
        "C12",
    ),
    (
        r"the port changed its thread: .*round to nearest",
        "it leaves its thread rounding otherwise than to nearest",
        Code.THREAD_ENVIRONMENT_CHANGED,
        "C15",
    ),
    (
        r"the port changed its thread: .*subnormal",
        "it leaves its thread flushing subnormals",
        Code.THREAD_ENVIRONMENT_CHANGED,
        "C15",
    ),
    (
        r"the port changed its thread",
        "it leaves its thread in another floating-point environment",
        Code.THREAD_ENVIRONMENT_CHANGED,
        "C15",
    ),
    (
        r"the port took (.+); legal: it raises",
        "it takes {0}, which is to be refused",
        Code.NOT_REFUSED,
        "C13",
    ),
    (
        r"read\(\) returned (params|momenta)(\[\d+\]) as (.+); legal: (.+)",
        "read() returns {0}{1} as {2} instead of {3}",
        Code.WRONG_RESULT_TYPE,
        "C30",
    ),
    (
        r"restoring in a fresh process failed",
        "what was saved cannot be restored in another process",
        Code.NOT_RESTORED_ELSEWHERE,
        "C30",
    ),
    (r"the port raised (.+)", "it raises {0}", Code.RAISES, ""),
    (r"(?:the port|the session) ([^;]+)", "it {0}", Code.CONTRACT_BROKEN, ""),
    (r"([^;]+)", "{0}", Code.CONTRACT_BROKEN, "C30"),
)
"""How a message begins, what is said of it, the code and the clause; the first that fits."""


_LINE: Final = re.compile(r" \((line \d+: [^)]*)\)")
"""A line of PTX in a message."""


class _Word(str):
    """A part of a message; as an array's name it is said in symbols."""

    __slots__ = ()

    def __format__(self, how: str) -> str:
        symbol = _GREEK.get(self, str(self))
        return {"new": f"{symbol}'", "old": symbol}.get(how, str(self))


def cause_of_contract(
    failure: Failure | RunFailure[Trajectory], smallest: str = ""
) -> Cause | None:
    """What a failure without bits says of the port; None if bits are what is wrong.

    smallest: what the smallest case says that fails so; of a kernel, it names other threads.

    >>> from lion_conformance.cases.fixed import ordinary_case
    >>> from lion_conformance.ports.protocol import ChangedInputError
    >>> error = ChangedInputError("the port changed its input grad; legal: inputs are only read")
    >>> found = cause_of_contract(Failure(ordinary_case(("float32",) * 3), None, "", error=error))
    >>> found and found.line()
    'it writes to its input grad (SPEC C14)'
    """
    last = failure.last if isinstance(failure, RunFailure) else failure
    if last.error is None or isinstance(last.error, ChangedAnswerError):
        return None
    message = " ".join(str(last.error).split())
    if isinstance(last.error, Finding):
        return _of_kernel(last.error.code, smallest or message, _where(failure))
    for begins, words, code, clause in _WORDS:
        found = re.match(begins, message)
        if found:
            said = words.format(*map(_Word, found.groups()))
            where = _where(failure)
            return Cause(Kind.CONTRACT, code, shortened(said), clause, evidence=where)
    return None


def _of_kernel(code: str, message: str, where: tuple[str, ...]) -> Cause:
    """What a kernel does that none may; why that is so, and the lines of its PTX, go below."""
    said, *why = re.split(r"; |, and ", _LINE.sub("", message), maxsplit=1)
    below = "; ".join([*why, *_LINE.findall(message)])
    evidence = (below, *where) if below else where
    return Cause(Kind.CONTRACT, Code(code), shortened(said), evidence=evidence)


def _where(failure: Failure | RunFailure[Trajectory]) -> tuple[str, ...]:
    if not isinstance(failure, RunFailure) or not failure.run.events:
        return ()
    last, _, _ = str(failure.run.events[-1]).partition(":")
    return (f"it happened at event {len(failure.run.events) - 1} of a run: {last}",)
