"""A step of JAX's arrays, traced: its jaxpr as expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import jax
import numpy as np

from lion_conformance.operations.expression import Node, leaf
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.jaxprs.program import Program
from lion_conformance.ports.jaxprs.scalars import teach_jax
from lion_conformance.ports.recording.callables import SIZES, joined, located
from lion_conformance.ports.recording.conversions import Unrecorded, dtype_of, kind_of
from lion_conformance.ports.recording.names import recording, scopes_around
from lion_conformance.ports.recording.paths import conditions, on_every_way
from lion_conformance.ports.recording.recorded import Cells, Number, written
from lion_ref.dtypes import compute_dtype

CAVEAT: Final = (
    "what is traced is the program that JAX hands to XLA: XLA may contract a product and a sum, or "
    "leave a rounding to 16 bits out, unless the program keeps it from that"
)

_PARTS = ("param", "momentum", "grad")
_SCALARS = ("lr", "beta1", "beta2", "weight_decay")


def traced_by_jax(
    step: Callable[..., Any],
    triple: tuple[str, str, str],
    *,
    platform: str = "cpu",
    scopes: Callable[..., Any] | None = None,
) -> Iterator[Traced]:
    """What a step of JAX's arrays computes, before XLA optimizes it; NotTracedError if unknown.

    Args:
        step: takes JAX arrays θ, m and g, and recorded numbers by lion_ref.step's names.
        triple: their dtypes.
        platform: where it is to run; on a CPU XLA flushes subnormals.
        scopes: of which callable the module's names are bound to stand-ins; `step` if omitted.
    """
    teach_jax()
    compute = compute_dtype(triple[0])
    for size in SIZES:
        run = partial(_once, step, triple, size, platform)
        try:
            with recording(scopes_around(scopes or step)), jax.enable_x64("float64" in triple):
                found = on_every_way(run, joined, compute)
        except Unrecorded as error:
            raise NotTracedError(located(error)) from error
        yield found


def _once(
    step: Callable[..., Any], triple: tuple[str, str, str], size: int, platform: str
) -> Traced:
    dtypes = [dtype_of(name) for name in triple]
    scalars = {name: Number(leaf(name, "f64")) for name in _SCALARS}
    examples = [np.zeros(size, dtype) for dtype in dtypes]
    try:
        closed = jax.make_jaxpr(lambda *arrays: tuple(step(*arrays, **scalars)))(*examples)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise Unrecorded(f"raises {type(error).__name__}{conditions()}: {words}") from error
    inputs: list[Cells] = []
    for name, dtype in zip(_PARTS, dtypes, strict=True):
        cells = np.empty(size, object)
        cells[:] = [leaf(name, kind_of(dtype), i) for i in range(size)]
        inputs.append(cells)
    shapes_found = [(x.shape, x.dtype) for x in closed.out_avals]
    if shapes_found != [((size,), dtype) for dtype in dtypes[:2]]:
        found = ", ".join(f"{dtype} of shape {shape}" for shape, dtype in shapes_found)
        raise Unrecorded(f"returns {found}; legal: θ and m as they were given")
    program = Program(platform, flush=platform == "cpu")
    new_param, new_momentum = program.run(closed.jaxpr, closed.consts, inputs)
    return Traced(size, _nodes(new_param), _nodes(new_momentum), caveat=CAVEAT)


def _nodes(cells: Cells) -> tuple[Node, ...]:
    return tuple(written(x) for x in cells)
