"""Which semantics the update has on a platform (SPEC C18, C31)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from platform import machine
from typing import Any, Final, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lion_jax.checks import UpdateDtype, check_update_dtype
from lion_jax.kernel import step
from lion_jax.scalars import scalars_for
from lion_ref import CANONICAL, Semantics
from lion_ref.declared import telling, told
from lion_ref.subnormals import SubnormalsChoice, cannot_keep, check_subnormals

_KEEPING: Final = ("gpu", "cuda", "rocm")
_ARM: Final = ("arm64", "aarch64")
_FLUSH: Final = Semantics(subnormals="flush")


def declared_semantics(
    platform: str | None = None,
    *,
    update_dtype: UpdateDtype = "compute",
    subnormals: SubnormalsChoice = "native",
) -> Semantics:
    """The Semantics that this adapter's bits have on a platform; the default backend's if omitted.

    XLA flushes subnormals on a CPU, operands and results alike, and keeps them on a GPU. On inputs
    whose every operation is normal the two are one. With update_dtype="params" it is that of the
    updates of such a `lion`, added by `optax.apply_updates`; `step` rounds θ' once all the same.
    With subnormals it is that of a `lion` with that choice: "keep" is a ValueError on a CPU.

    An Arm processor flushes before it rounds (SPEC C18), if at all, so there a CPU's semantics is
    that of a step that is taken; it may be `flush-before-rounding`, with "flush" too (C33).

    >>> declared_semantics("cpu").describe()
    'subnormals flushed'
    >>> declared_semantics("cuda", update_dtype="params").describe()
    "η·(u + λ·θ) rounded to θ's storage dtype"
    >>> declared_semantics("cuda", subnormals="flush").describe()
    'subnormals flushed'
    """
    check_update_dtype(update_dtype)
    check_subnormals(subnormals)
    name = jax.default_backend() if platform is None else platform
    check_kept(subnormals, name)
    declared = _on_a_cpu() if name == "cpu" else CANONICAL if keeps(name) else _FLUSH
    if subnormals == "flush" and keeps(name):
        declared = _FLUSH
    return replace(declared, step_stored=update_dtype == "params")


@cache
def _on_a_cpu() -> Semantics:
    if machine().lower() not in _ARM:
        return _FLUSH
    inputs, given = telling("float32")
    with jax.default_device(jax.devices("cpu")[0]):
        lr, beta1, beta2, decay = (given[x] for x in ("lr", "beta1", "beta2", "weight_decay"))
        scalars = scalars_for(lr, beta1, beta2, decay, np.dtype(np.float32))
        results = step(*map(jnp.asarray, inputs), scalars, sharded=False, flush=False)
    found = told("float32", map(np.asarray, results))
    if found is None:
        raise RuntimeError(
            "a step on this CPU has the bits of no declared semantics; legal: x86-64"
        )
    return found


def keeps(platform: str) -> bool:
    """Whether XLA keeps subnormals on a platform."""
    return platform in _KEEPING


def check_kept(subnormals: SubnormalsChoice, platform: str) -> None:
    """ValueError for "keep" where XLA flushes."""
    if subnormals == "keep" and not keeps(platform):
        raise cannot_keep(
            f"lion_jax on platform {platform!r}", "XLA flushes them there, and has no option not to"
        )


def check_summed(subnormals: SubnormalsChoice, platform: str) -> None:
    """The same for θ plus the updates, a sum that the caller forms: nor can it be flushed here."""
    check_kept(subnormals, platform)
    if subnormals == "flush" and keeps(platform):
        raise ValueError(
            f"subnormals='flush' is not legal for update on platform {platform!r}: the caller "
            "forms θ', the sum of params and updates, and XLA keeps its subnormals there; "
            "legal: step, which forms θ' itself; for update, 'native', 'keep'"
        )


def platforms_of(arrays: Iterable[Any]) -> set[str]:
    """The platforms that arrays lie on; the default backend's of those that are still traced."""
    concrete = [x for x in arrays if not isinstance(x, jax.core.Tracer)]
    found = {device.platform for x in concrete for device in x.devices()}
    return found or {jax.default_backend()}


def probe_subnormals(device: Any = None) -> Literal["keep", "flush"]:
    """What compiled code really does on a device; the default device if omitted."""
    smallest = jax.device_put(np.float32(2.0**-149), device)
    doubled = jax.jit(lambda x: x * jnp.float32(2.0))(smallest)
    return "keep" if np.asarray(doubled).view(np.uint32) == 2 else "flush"
