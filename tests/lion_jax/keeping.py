"""A traced program run by NumPy: a platform that keeps subnormals, where there is no GPU.

NumPy contracts nothing, folds nothing and keeps subnormals, so what a program does about them is
all its own: on a CPU, XLA would flush whatever the program says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Array = Any


def run_by_numpy(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of JAX gives for these trees of arrays, as a tree of NumPy's."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    with np.errstate(all="ignore"):
        flat = evaluated(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
    return jax.tree.unflatten(jax.tree.structure(shape), flat)


def evaluated(jaxpr: Any, consts: Any, arguments: Any) -> list[Array]:
    """The results of a jaxpr, equation by equation."""
    known: dict[Any, Array] = {}

    def value(atom: Any) -> Array:
        return np.asarray(atom.val if hasattr(atom, "val") else known[atom])

    known.update(zip(jaxpr.constvars, consts, strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        operands = [value(atom) for atom in equation.invars]
        results = _applied(equation.primitive.name, equation.params, operands, equation.outvars)
        known.update(zip(equation.outvars, results, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _applied(name: str, params: Any, operands: list[Array], outvars: Any) -> list[Array]:
    if name == "cond":
        chosen, *others = operands
        branch = params["branches"][int(chosen)]
        return evaluated(branch.jaxpr, branch.consts, others)
    for inner in ("jaxpr", "call_jaxpr"):
        if inner in params:
            return evaluated(params[inner].jaxpr, params[inner].consts, operands)
    if name == "platform_index":  # of a platform that is none of those named
        default = [i for i, names in enumerate(params["platforms"]) if names is None]
        return [np.int32(default[0])]
    shape, dtype = outvars[0].aval.shape, outvars[0].aval.dtype
    return [np.asarray(PRIMITIVES[name](params, *operands), dtype).reshape(shape)]


def _reduced(params: Any, x: Array) -> Array:
    """float64 rounded to fewer bits, with its own range of exponents."""
    low = 52 - params["mantissa_bits"]
    assert (x.dtype, params["exponent_bits"]) == (np.float64, 11)
    bits = x.view(np.int64)
    half = (1 << (low - 1)) - 1 + ((bits >> low) & 1)
    rounded = ((bits + half) & ~np.int64((1 << low) - 1)).view(np.float64)
    return np.where(np.isnan(x), x, rounded)


PRIMITIVES: dict[str, Callable[..., Array]] = {
    "add": lambda _, a, b: a + b,
    "sub": lambda _, a, b: a - b,
    "mul": lambda _, a, b: a * b,
    "neg": lambda _, a: -a,
    "abs": lambda _, a: np.abs(a),
    "sign": lambda _, a: np.where(a == 0, a, np.sign(a)),
    "min": lambda _, a, b: np.minimum(a, b),
    "max": lambda _, a, b: np.maximum(a, b),
    "eq": lambda _, a, b: a == b,
    "ne": lambda _, a, b: a != b,
    "lt": lambda _, a, b: a < b,
    "and": lambda _, a, b: a & b,
    "or": lambda _, a, b: a | b,
    "xor": lambda _, a, b: a ^ b,
    "shift_left": lambda _, a, b: a << b,
    "shift_right_arithmetic": lambda _, a, b: a >> b,
    "select_n": lambda _, which, no, yes: np.where(which, yes, no),
    "bitcast_convert_type": lambda p, a: np.ascontiguousarray(a).view(p["new_dtype"]),
    "convert_element_type": lambda p, a: a.astype(p["new_dtype"]),
    "reduce_precision": _reduced,
    "broadcast_in_dim": lambda p, a: np.broadcast_to(a, p["shape"]) if not a.ndim else a,
    "reshape": lambda p, a: a.reshape(p["new_sizes"]),
    "squeeze": lambda p, a: np.squeeze(a, tuple(p["dimensions"])),
    "slice": lambda p, a: a[tuple(map(slice, p["start_indices"], p["limit_indices"]))],
    "dynamic_slice": lambda p, a, i: a[int(i) : int(i) + p["slice_sizes"][0]],
}
