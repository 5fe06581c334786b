"""Which semantics the update has on a platform (SPEC C18, C31)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lion_jax.checks import UpdateDtype, check_update_dtype
from lion_ref import CANONICAL, Semantics

_KEEPING: Final = ("gpu", "cuda", "rocm")


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
