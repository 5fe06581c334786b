"""Ports in 16 bits: right ones, and wrong ones that a certificate must reject."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import lion_ref
from lion_conformance.ports.callable import from_callable
from lion_ref import Semantics
from lion_ref.arithmetic import Array, bits

Step = Callable[..., tuple[Array, Array]]

SLOW = "LION_TEST_SECONDS_A_BLOCK"


def slow(*arrays: Array, **scalars: Any) -> tuple[Array, Array]:
    """Right, and so slow that it can be killed in the middle."""
    time.sleep(float(os.environ.get(SLOW, "0")))
    return lion_ref.step(*arrays, **scalars)


def one_momentum(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """m' is wrong in its last bit for one pair (m, g) of 2**32."""
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    bits(new_momentum)[_pair(momentum, grad)] ^= 1
    return new_param, new_momentum


def one_sign(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """u has the other sign for one pair (m, g) of 2**32."""
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    bits(new_param)[_pair(momentum, grad)] ^= 0x8000
    return new_param, new_momentum


def one_parameter(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """θ' is wrong in its last bit for one θ."""
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    bits(new_param)[bits(param) == 0x3C01] ^= 1
    return new_param, new_momentum


def no_split(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """m' depends on θ: right at θ = -0, and wherever m = 0."""
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    wrong = (bits(param) % 64 == 1) & (bits(momentum) != 0) & ~np.isnan(new_momentum)
    bits(new_momentum)[wrong] ^= 1
    return new_param, new_momentum


def tail_left_out(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """m' is m in the last n mod 4 elements: no block has such a tail."""
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    whole = momentum.size // 4 * 4
    new_momentum[whole:] = momentum[whole:]
    return new_param, new_momentum


def ties_away(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """m' is rounded to bfloat16 by adding a half, so that ties go away from zero."""
    new_param, _ = lion_ref.step(param, momentum, grad, **scalars)
    beta2, one_minus_beta2 = np.float32(scalars["beta2"]), np.float32(1 - scalars["beta2"])
    wide = beta2 * momentum.astype(np.float32) + one_minus_beta2 * grad.astype(np.float32)
    rounded = ((bits(wide).astype(np.uint64) + 0x8000) >> 16).astype(np.uint16)
    nan = np.array(np.nan, np.float32).astype(momentum.dtype).view(np.uint16)
    return new_param, np.where(np.isnan(wide), nan, rounded).view(momentum.dtype)


def noisy_nans(*arrays: Array, **scalars: Any) -> Any:
    """Right: any NaN equals any NaN."""
    results = lion_ref.step(*arrays, **scalars)
    for result in results:
        bits(result)[np.isnan(result)] ^= 0x8003
    return results


def interrupted(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """Someone presses Ctrl-C in block 20."""
    if bits(momentum)[0] == 20:
        raise KeyboardInterrupt
    return lion_ref.step(param, momentum, grad, **scalars)


def raises(*arrays: Array, **scalars: Any) -> Any:
    """No result at all."""
    raise RuntimeError("no kernel for you")


def dies(*arrays: Array, **scalars: Any) -> Any:
    """Ends its process as if all were well."""
    os._exit(0)


def _pair(momentum: Array, grad: Array) -> Any:
    return (bits(momentum) == 0x3001) & (bits(grad) == 0xB123)


flushes: Step = partial(lion_ref.step, semantics=Semantics(subnormals="flush"))
nan_is_zero: Step = partial(lion_ref.step, semantics=Semantics(nan_sign="zero"))
zero_keeps_its_sign: Step = partial(lion_ref.step, semantics=Semantics(zero_sign="kept"))
coupled: Step = partial(lion_ref.step, semantics=Semantics(decay="coupled"))
fused: Step = partial(lion_ref.step, semantics=Semantics(momentum_fused="gradient"))
declared = from_callable(flushes, name="flushes", declared=Semantics(subnormals="flush"))
