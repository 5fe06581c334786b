"""Recorded numbers inside JAX: a primitive that stands for each, so that a jaxpr has it.

A Python number is weak in JAX as in NumPy: it is rounded to float32 (float64 where x64 is on), and
then takes the dtype of the array that it meets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive

from lion_conformance.operations.expression import Node
from lion_conformance.ports.jaxprs.program import RECORDED
from lion_conformance.ports.recording.conversions import FLOAT64, Dtype, cast, kind_of
from lion_conformance.ports.recording.names import PASSED
from lion_conformance.ports.recording.recorded import Number, Recorded, written


@dataclass(frozen=True)
class Held:
    """An expression as JAX holds one among a primitive's parameters: by identity."""

    value: Node


_primitive: Final[Any] = Primitive(RECORDED)


@_primitive.def_abstract_eval
def _abstract(*, node: Held, dtype: Dtype, weak: bool) -> Any:
    del node
    return jax.core.ShapedArray((), dtype, weak_type=weak)


def in_jax(value: Recorded) -> Any:
    """A recorded number as JAX's."""
    weak = isinstance(value, Number)
    dtype = value.plain
    node = written(value.cells.item())
    if weak:
        dtype = np.dtype(jnp.result_type(float))
        node = cast(node, kind_of(FLOAT64), kind_of(dtype))
    return _primitive.bind(node=Held(node), dtype=dtype, weak=weak)


def _flattened(value: Recorded) -> tuple[tuple[Any, ...], None]:
    """What jit is handed: a traced number, as of a Python number."""
    return (in_jax(value),), None


def _same(_: None, children: Any) -> Any:
    return children[0]


@cache
def teach_jax() -> None:
    """Make recorded numbers arguments of jit, and operands of what jnp has."""
    PASSED.append(jax.core.Tracer)
    kinds: tuple[Any, ...] = (Recorded, Number)
    for kind in kinds:
        jax.tree_util.register_pytree_node(kind, _flattened, _same)
        kind.__jax_array__ = in_jax
