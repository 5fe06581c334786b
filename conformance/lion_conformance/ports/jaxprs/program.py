"""A jaxpr, walked through with expressions in the place of its arrays' elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.operations.expression import Node
from lion_conformance.ports.jaxprs.primitives import (
    changed_dtype,
    chosen,
    meaning_of,
    same_bits,
)
from lion_conformance.ports.recording.conversions import (
    BOOL,
    Unrecorded,
    cast,
    kind_of,
)
from lion_conformance.ports.recording.recorded import Cells, cells_of, elementwise

RECORDED: Final = "recorded_scalar"
"""The name of the primitive that stands for a recorded number."""

_CALLS: Final = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}


class Program:
    """A walk through jaxprs as a platform runs them.

    Args:
        platform: "cpu", "gpu" or another of JAX's.
        flush: whether subnormals are flushed there.
    """

    def __init__(self, platform: str, *, flush: bool) -> None:
        self._platform, self._flush = platform, flush

    def run(self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Cells]) -> list[Cells]:
        """The outputs' elements."""
        values: dict[Any, Cells] = {}
        for var, number in zip(jaxpr.constvars, constants, strict=True):
            values[var] = cells_of(np.asarray(number), np.dtype(var.aval.dtype))
        values |= dict(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Cells:
            if hasattr(atom, "val"):
                return cells_of(np.asarray(atom.val, atom.aval.dtype), np.dtype(atom.aval.dtype))
            return values[atom]

        for equation in jaxpr.eqns:
            results = self._results(equation, [read(x) for x in equation.invars])
            for var, result in zip(equation.outvars, results, strict=True):
                values[var] = np.broadcast_to(result, var.aval.shape)
        return [read(x) for x in jaxpr.outvars]

    def _results(self, equation: Any, operands: list[Cells]) -> list[Cells]:
        name, params = equation.primitive.name, equation.params
        if name in _CALLS:
            return self._called(params[_CALLS[name]], operands)
        if name == "cond":
            return self._branch(params["branches"], operands)
        if name == "platform_index":
            return [self._platform_index(params["platforms"], equation.outvars[0].aval.dtype)]
        if name == "optimization_barrier":
            return operands
        if name == RECORDED:
            return [np.array(params["node"].value, object)]
        dtypes = [np.dtype(x.aval.dtype) for x in equation.invars]
        return [self._element(name, params, dtypes, operands)]

    def _called(self, jaxpr: Any, operands: list[Cells]) -> list[Cells]:
        inner = getattr(jaxpr, "jaxpr", jaxpr)
        return self.run(inner, getattr(jaxpr, "consts", ()), operands)

    def _branch(self, branches: Any, operands: list[Cells]) -> list[Cells]:
        index: Node = operands[0].item()
        if index.operation.name != "constant":
            raise Unrecorded("lax.cond decides by the numbers")
        return self._called(branches[min(index.operation.bits, len(branches) - 1)], operands[1:])

    def _platform_index(self, platforms: Any, dtype: Any) -> Cells:
        of_platform = [i for i, names in enumerate(platforms) if names and self._platform in names]
        default = [i for i, names in enumerate(platforms) if names is None]
        return cells_of((of_platform + default)[0], np.dtype(dtype))

    def _element(self, name: str, params: Any, dtypes: list[Any], operands: list[Cells]) -> Cells:
        if name in _SHAPES:
            return _SHAPES[name](params, *operands)
        known: Any = partial(meaning_of, dtype=dtypes[0], flush=self._flush)
        meaning: Any = known(name)
        if meaning is not None:
            return elementwise(meaning, *operands)
        if name == "convert_element_type":
            target = np.dtype(params["new_dtype"])
            meaning = partial(changed_dtype, dtypes[0], target, self._flush)
        elif name == "bitcast_convert_type":
            meaning = partial(same_bits, dtypes[0], np.dtype(params["new_dtype"]))
        elif name == "select_n" and len(operands) == 3 and dtypes[0] == BOOL:
            operands = [operands[0], operands[2], operands[1]]
            meaning = partial(chosen, kind=kind_of(dtypes[1]))
        elif name == "integer_pow" and params["y"] == 2:
            meaning = known("square")
        elif name == "reduce_precision" and kind_of(dtypes[0]) == "f32":
            return elementwise(partial(_reduced, params), *operands)
        elif name == "clamp":
            low, x, high = operands
            return elementwise(known("min"), elementwise(known("max"), low, x), high)
        else:
            raise Unrecorded(f"JAX's {name} is not known here")
        return elementwise(meaning, *operands)


def _reduced(params: Any, x: Node) -> Node:
    """float32 with fewer bits: all of them, or bfloat16's."""
    bits = params["exponent_bits"], params["mantissa_bits"]
    if bits == (8, 23):
        return x
    if bits != (8, 7):
        raise Unrecorded(f"JAX's reduce_precision to {bits} bits is not known here")
    return cast(cast(x, "f32", "bf16"), "bf16", "f32")


def _broadcast(params: Any, x: Cells, *_: Any) -> Cells:
    shape = [1] * len(params["shape"])
    for axis, length in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = length
    return np.broadcast_to(x.reshape(shape), params["shape"])


def _slice(params: Any, x: Cells) -> Cells:
    strides = params["strides"] or (1,) * x.ndim
    bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return x[tuple(slice(*each) for each in bounds)]


_SHAPES: Final[dict[str, Callable[..., Cells]]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": lambda params, x: x.reshape(params["new_sizes"]),
    "squeeze": lambda params, x: x.squeeze(tuple(params["dimensions"])),
    "expand_dims": lambda params, x: np.expand_dims(x, tuple(params["dimensions"])),
    "transpose": lambda params, x: x.transpose(params["permutation"]),
    "rev": lambda params, x: np.flip(x, params["dimensions"]),
    "slice": _slice,
    "concatenate": lambda params, *x: np.concatenate(x, params["dimension"]),
}
