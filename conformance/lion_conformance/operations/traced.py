"""An update as expressions, however it was come by: what a port can show of itself for a proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lion_conformance.operations.expression import Node


class NotTracedError(Exception):
    """The update cannot be had as expressions; one line that says why."""


@dataclass(frozen=True, slots=True)
class Traced:
    """θ' and m' of every element of one tensor as they are stored, in θ, m, g and the scalars.

    Of element i they are expressions in `leaf("param", type, i)`, `leaf("momentum", type, i)`,
    `leaf("grad", type, i)` and in what `scalar` makes; code on whole arrays has one element, 0.
    """

    size: int
    new_param: tuple[Node, ...]
    new_momentum: tuple[Node, ...]
    findings: tuple[str, ...] = ()
    """What is wrong whatever the numbers: an access outside an array, a race."""
    caveat: str = ""
    """What has to be said with any proof of it: that a compiler may yet change the program."""


Trace = Callable[[tuple[str, str, str]], Iterable[Traced]]
"""Takes the dtypes (θ, m, g), as "float32", and traces the update at some sizes."""
