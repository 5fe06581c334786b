"""Expressions on numbers: what a proof is held against, and where a witness comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.operations.evaluate import evaluator
from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import WIDTHS

Array = NDArray[Any]


def values(roots: Sequence[Node], given: Mapping[Node, Array]) -> list[Array]:
    """The bits of each expression where its leaves have these, arrays that broadcast."""
    found: dict[Node, Array] = dict(given)
    with np.errstate(all="ignore"):
        for node in in_order(roots):
            if node not in found:
                found[node] = _value(node, found)
    return [found[root] for root in roots]


def _value(node: Node, found: Mapping[Node, Array]) -> Array:
    operation = node.operation
    if operation.name == "constant":
        width = WIDTHS[operation.type]
        dtype = np.dtype(np.bool_) if width == 1 else np.dtype(f"u{width // 8}")
        return np.array(operation.bits, dtype)
    if operation.name == "input":
        raise KeyError(f"{operation.of}[{operation.index}] has no value")
    arguments = [found[x] for x in node.arguments]
    return np.asarray(evaluator(operation)(*np.broadcast_arrays(*arguments)))


def in_order(roots: Sequence[Node]) -> Iterator[Node]:
    """All expressions within these, each once, after those that it takes."""
    done: set[Node] = set()
    waiting = [(root, False) for root in reversed(roots)]
    while waiting:
        node, are_arguments_done = waiting.pop()
        if node in done:
            continue
        if are_arguments_done:
            done.add(node)
            yield node
        else:
            waiting.append((node, True))
            waiting.extend((x, False) for x in reversed(node.arguments))
