"""A kernel's update as expressions: the machine on symbols, at one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy.typing as npt

from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import WIDTHS
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.machine import DYNAMIC_SHARED, Launch, prepared
from lion_conformance.ptx.program import Filled
from lion_conformance.ptx.shape import Shape
from lion_conformance.ptx.symbols import (
    UNDEFINED,
    SymbolicMemory,
    SymbolicRun,
    objects,
    symbolic_evaluator,
)
from lion_conformance.ptx.syntax import Entry

Array = npt.NDArray[Any]

MOST_STEPS: Final = 200_000
"""Instructions of a launch on symbols after which it counts as endless."""


class _Launch(Launch):
    run = SymbolicRun

    def parameter(self, fill: Filled, argument: Any) -> Array:
        """What is loaded of a parameter, which may be an expression."""
        if not isinstance(argument, Node):
            return super().parameter(fill, argument)
        if fill.offset or 8 * fill.width != WIDTHS[argument.type]:
            raise NotTracedError(f"a part of the parameter {fill.name} is loaded")
        return objects([argument])


def launch_symbolically(
    entry: Entry,
    memory: SymbolicMemory,
    arguments: Sequence[int | bytes | Node],
    *,
    grid: tuple[int, int, int],
    threads: tuple[int, int, int],
    contraction: str = "none",
    shared: int = DYNAMIC_SHARED,
    most_steps: int = MOST_STEPS,
) -> None:
    """`launch` on memory that holds symbols; NotTracedError where it takes numbers to go on."""
    program = prepared(entry, contraction, symbolic_evaluator)
    _Launch(entry, program, memory, Shape(grid, threads), shared, most_steps).all(arguments)


def traced(
    kinds: tuple[str, str, str],
    size: int,
    run: Callable[[SymbolicMemory, dict[str, int]], None],
    *,
    elsewhere: bool = False,
    offsets: Mapping[str, int] = MappingProxyType({}),
) -> Traced:
    """The update of one tensor as a kernel leaves it in memory.

    kinds: the types of θ, m and g, as "f32". run: launches the kernel on this memory, where it
    finds the arrays by the addresses of "param", "momentum" and "grad". elsewhere: θ' and m' are
    written to arrays of their own, "new_param" and "new_momentum"; the others are only read.
    offsets: bytes past a multiple of 256 at which an array begins; 0 where it is not named.

    A finding takes the place of the results.
    """
    memory = SymbolicMemory()
    names = ("param", "momentum", "grad")
    addresses = {
        name: memory.place_symbols(name, kind, size, offset=offsets.get(name, 0))
        for name, kind in zip(names, kinds, strict=True)
    }
    results = names[:2]
    if elsewhere:
        results = ("new_param", "new_momentum")
        for name, kind in zip(results, kinds, strict=False):
            addresses[name] = memory.place_symbols(
                name, kind, size, written=False, offset=offsets.get(name, 0)
            )
    try:
        run(memory, addresses)
    except Finding as finding:
        return Traced(size, (), (), (str(finding),))
    new_param, new_momentum = (
        memory.read_symbols(name, kind) for name, kind in zip(results, kinds, strict=False)
    )
    missing = [
        f"uninitialized: element {index} of {name} is not always written"
        for name, nodes in zip(results, (new_param, new_momentum), strict=True)
        for index, node in enumerate(nodes)
        if _undefined(node)
    ]
    return Traced(size, new_param, new_momentum, tuple(missing[:1]))


def _undefined(node: Node) -> bool:
    """Whether an expression can come to what nobody wrote."""
    seen: set[Node] = set()
    work = [node]
    while work:
        each = work.pop()
        if each in seen:
            continue
        seen.add(each)
        if each.operation.name == "input" and each.operation.of == UNDEFINED:
            return True
        work += each.arguments
    return False
