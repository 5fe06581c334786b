"""What a port shows for a proof: a kernel's update as expressions, at the sizes that tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lion_conformance.operations.expression import Node, scalar
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.protocol import Triple
from lion_conformance.ptx.arguments import SCALARS, SIZE, bits_of, float_type
from lion_conformance.ptx.host import Kernel
from lion_conformance.ptx.symbols import SymbolicMemory
from lion_conformance.ptx.trace import launch_symbolically, traced

KINDS: Final = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}


def sizes(elements_per_program: int) -> tuple[int, ...]:
    """Sizes around every edge of a kernel's programs, and tails that no vector fills.

    >>> sizes(256)
    (0, 1, 2, 3, 5, 255, 256, 257, 513)
    """
    edges = (elements_per_program + x for x in (-1, 0, 1, elements_per_program + 1))
    return tuple(sorted({0, 1, 2, 3, 5, *edges}))


def updates(kernel: Kernel, triple: Triple) -> Iterator[Traced]:
    """The update at each of these sizes."""
    param, momentum, grad = (KINDS[name] for name in triple)
    elsewhere, *other = {x in kernel.arguments for x in ("new_param", "new_momentum")}
    if other:
        raise NotTracedError("one of θ' and m' is written in place, the other elsewhere")
    for size in sizes(kernel.elements_per_program):
        if not size:  # a grid of no programs is no launch
            yield Traced(0, (), ())
            continue

        def run(memory: SymbolicMemory, addresses: dict[str, int], size: int = size) -> None:
            launch_symbolically(
                kernel.entry,
                memory,
                _arguments(kernel, {**addresses, SIZE: size}),
                grid=kernel.grid(size),
                threads=kernel.threads,
                contraction=kernel.contraction,
            )

        yield traced((param, momentum, grad), size, run, elsewhere=elsewhere)


def _arguments(kernel: Kernel, known: dict[str, int]) -> list[int | Node]:
    """What each parameter is given: a scalar is the expression that a host hands over."""
    return [
        scalar(argument, float_type(param.type))
        if isinstance(argument, str) and argument in SCALARS
        else bits_of(known[argument] if isinstance(argument, str) else argument, param.type)
        for argument, param in zip(kernel.arguments, kernel.entry.params, strict=True)
    ]
