"""The semantics of this adapter's bits: declared; probed where a platform decides (C18, C31)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from lion_ref import CANONICAL, Semantics

UpdateDtype = Literal["compute", "params"]
"""The dtype of what `update` returns: the compute dtype, or each parameter's own."""

_KEEPING: Final = ("gpu", "cuda", "rocm")


def check_update_dtype(value: object) -> None:
    """ValueError unless value is an UpdateDtype."""
    if not isinstance(value, str) or value not in get_args(UpdateDtype):
        legal = ", ".join(map(repr, get_args(UpdateDtype)))
        raise ValueError(f"update_dtype={value!r} is not legal; legal: {legal}")


def declared_semantics(
    platform: str | None = None, *, update_dtype: UpdateDtype = "compute"
) -> Semantics:
    """The Semantics that this adapter's bits have on a platform; the default backend's if omitted.

    XLA flushes subnormals on a CPU, operands and results alike, and keeps them on a GPU. On inputs
    whose every operation is normal the two are one. With update_dtype="params" it is that of the
    updates of such a `lion`, added by `optax.apply_updates`; `step` rounds θ' once all the same.

    >>> declared_semantics("cpu").describe()
    'subnormals flushed'
    >>> declared_semantics("cuda", update_dtype="params").describe()
    "η·(u + λ·θ) rounded to θ's storage dtype"
    """
    check_update_dtype(update_dtype)
    name = jax.default_backend() if platform is None else platform
    declared = CANONICAL if name in _KEEPING else Semantics(subnormals="flush")
    return replace(declared, step_stored=update_dtype == "params")


def probe_subnormals(device: Any = None) -> Literal["keep", "flush"]:
    """What compiled code really does on a device; the default device if omitted."""
    smallest = jax.device_put(np.float32(2.0**-149), device)
    doubled = jax.jit(lambda x: x * jnp.float32(2.0))(smallest)
    return "keep" if np.asarray(doubled).view(np.uint32) == 2 else "flush"
