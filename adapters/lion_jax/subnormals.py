"""What the platform does with subnormals: declared, and probed (SPEC C6, C18, C29)."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lion_ref import CANONICAL, Semantics

_KEEPING = ("gpu", "cuda", "rocm")


def declared_semantics(platform: str | None = None) -> Semantics:
    """The Semantics that this adapter's bits have on a platform; the default backend's if omitted.

    XLA flushes subnormals on a CPU, operands and results alike, and keeps them on a GPU. On inputs
    whose every operation is normal the two are one.

    >>> declared_semantics("cpu").describe()
    'subnormals flushed'
    """
    name = jax.default_backend() if platform is None else platform
    return CANONICAL if name in _KEEPING else Semantics(subnormals="flush")


def probe_subnormals(device: Any = None) -> Literal["keep", "flush"]:
    """What compiled code really does on a device; the default device if omitted."""
    smallest = jax.device_put(np.float32(2.0**-149), device)
    doubled = jax.jit(lambda x: x * jnp.float32(2.0))(smallest)
    return "keep" if np.asarray(doubled).view(np.uint32) == 2 else "flush"
