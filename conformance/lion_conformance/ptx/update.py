"""What a port shows for a proof: a kernel's update as expressions, at the sizes that tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lion_conformance.operations.expression import Node, scalar
from lion_conformance.operations.operation import WIDTHS
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.protocol import Triple
from lion_conformance.ptx.arguments import SCALARS, SIZE, bits_of, float_type
from lion_conformance.ptx.host import LARGEST_ALIGNMENT, Kernel
from lion_conformance.ptx.symbols import SymbolicMemory
from lion_conformance.ptx.trace import launch_symbolically, traced

KINDS: Final = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}

_RESULTS: Final = ("new_param", "new_momentum")
_OFFSET: Final = (1, 5)
"""Sizes at which arrays begin elsewhere, too."""


def sizes(elements_per_program: int) -> tuple[int, ...]:
    """Sizes around every edge of a kernel's programs, and tails that no vector fills.

    >>> sizes(256)
    (0, 1, 2, 3, 5, 255, 256, 257, 513)
    """
    edges = (elements_per_program + x for x in (-1, 0, 1, elements_per_program + 1))
    return tuple(sorted({0, 1, 2, 3, 5, *edges}))


def updates(kernel: Kernel, triple: Triple) -> Iterator[Traced]:
    """The update at each of these sizes."""
    if len({x in kernel.arguments for x in _RESULTS}) > 1:
        raise NotTracedError("one of θ' and m' is written in place, the other elsewhere")
    for size in sizes(kernel.elements_per_program):
        if not size:  # a grid of no programs is no launch
            yield Traced(0, (), ())
            continue
        found = _update(kernel, triple, size, {})
        for offsets in _elsewhere(kernel, triple) if size in _OFFSET else ():
            other = _update(kernel, triple, size, offsets)
            if other.findings and not found.findings:
                found = other
            elif other != found:
                at = " and ".join(f"{name} {place}" for name, place in offsets.items())
                words = "what it does depends on where arrays begin: it is another with {} bytes"
                raise NotTracedError(f"{words.format(at)} past a multiple of {LARGEST_ALIGNMENT}")
        yield found


def _elsewhere(kernel: Kernel, triple: Triple) -> Iterator[dict[str, int]]:
    """Other places, no farther from usual ones than the host promises: of one array, and of all."""
    if kernel.aligned < LARGEST_ALIGNMENT:
        names = zip(("param", "momentum", "grad", *_RESULTS), (*triple, *triple), strict=False)
        beside = {
            name: max(kernel.aligned, WIDTHS[KINDS[dtype]] // 8)
            for name, dtype in names
            if name in kernel.arguments
        }
        yield from ({name: place} for name, place in beside.items())
        yield beside


def _update(kernel: Kernel, triple: Triple, size: int, offsets: dict[str, int]) -> Traced:
    def run(memory: SymbolicMemory, addresses: dict[str, int]) -> None:
        launch_symbolically(
            kernel.entry,
            memory,
            _arguments(kernel, {**addresses, SIZE: size}),
            grid=kernel.grid(size),
            threads=kernel.threads,
            contraction=kernel.contraction,
        )

    param, momentum, grad = (KINDS[name] for name in triple)
    elsewhere = _RESULTS[0] in kernel.arguments
    return traced((param, momentum, grad), size, run, elsewhere=elsewhere, offsets=offsets)


def _arguments(kernel: Kernel, known: dict[str, int]) -> list[int | Node]:
    """What each parameter is given: a scalar is the expression that a host hands over."""
    return [
        scalar(argument, float_type(param.type))
        if isinstance(argument, str) and argument in SCALARS
        else bits_of(known[argument] if isinstance(argument, str) else argument, param.type)
        for argument, param in zip(kernel.arguments, kernel.entry.params, strict=True)
    ]
