"""The fixed cases: every one of these ports once passed as bit-exact on random cases alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import PortError, Verdict, verify
from lion_conformance.port import from_callable, run_once
from lion_conformance.preamble import FEW_SIZES, SIZES, preamble
from lion_ref import legal_triples

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.clause("C12")

step = lion_ref.step
FLOAT32 = [("float32", "float32", "float32")]


def last_of_an_even_size(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.size and param.size % 2 == 0:
        new_param.reshape(-1)[-1] = param.reshape(-1)[-1]
    return new_param, new_momentum


def last_of_a_full_block(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.size and param.size % 1024 == 0:
        new_param.reshape(-1)[-1] = param.reshape(-1)[-1]
    return new_param, new_momentum


def sixteen_bit_counter(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    new_param.reshape(-1)[65_536:] = param.reshape(-1)[65_536:]
    return new_param, new_momentum


def strides_ignored(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    plain = np.empty(grad.shape, grad.dtype).strides
    return step(param, momentum, np.lib.stride_tricks.as_strided(grad, strides=plain), **scalars)


def more_than_two_axes_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    if param.ndim > 2:
        return param.copy(), momentum.copy()
    return step(param, momentum, grad, **scalars)


def learning_rate_doubled_in_between(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    if 1e-3 < scalars["lr"] < 0.05:
        scalars["lr"] *= 2
    return step(param, momentum, grad, **scalars)


def small_decay_lost(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    if 0.02 < scalars["weight_decay"] < 0.09:
        scalars["weight_decay"] = 0.0
    return step(param, momentum, grad, **scalars)


def decay_truncated(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    if 1 < scalars["weight_decay"] < 1e9:
        scalars["weight_decay"] = float(int(scalars["weight_decay"]))
    return step(param, momentum, grad, **scalars)


def beta2_clamped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, momentum, grad, **scalars | {"beta2": min(scalars["beta2"], 0.99)})


def falsy_beta1(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return step(param, momentum, grad, **scalars | {"beta1": scalars["beta1"] or 0.9})


class OneBuffer:
    """Returns the same arrays at every call of a shape."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        results = step(param, momentum, grad, **scalars)
        key = (param.shape, param.dtype, momentum.dtype)
        buffers = self.kept.setdefault(key, tuple(np.empty_like(x) for x in results))
        for buffer, result in zip(buffers, results, strict=True):
            buffer[...] = result
        return buffers


@pytest.mark.parametrize(
    "wrong",
    [
        last_of_an_even_size,
        last_of_a_full_block,
        sixteen_bit_counter,
        strides_ignored,
        more_than_two_axes_left_out,
        learning_rate_doubled_in_between,
        small_decay_lost,
        decay_truncated,
        beta2_clamped,
        falsy_beta1,
        OneBuffer(),
    ],
    ids=lambda port: getattr(port, "__name__", type(port).__name__),
)
def test_it_is_rejected(wrong: Callable[..., Any]) -> None:
    assert verify(wrong, dtypes=["float32"], max_examples=1).verdict is Verdict.REJECTED


def test_a_dtype_triple_that_is_left_out_is_seen() -> None:
    left_out = ("float64", "bfloat16", "float16")

    def port(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if (param.dtype.name, momentum.dtype.name, grad.dtype.name) == left_out:
            return param.copy(), momentum.copy()
        return step(param, momentum, grad, **scalars)

    assert verify(port, dtypes=["float64"], max_examples=1).verdict is Verdict.REJECTED


def test_a_port_that_exits_is_rejected_and_does_not_end_the_judging() -> None:
    def exits(*_: Any, **__: Any) -> Any:
        raise SystemExit(0)

    one = np.ones(1, np.float32)
    with pytest.raises(PortError, match=r"^the port raised SystemExit: 0$"):
        run_once(
            from_callable(exits), one, one, one, lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.0
        )


def test_every_triple_and_size_is_there() -> None:
    assert {case.triple for case in preamble(legal_triples(), compiles=False)} == set(
        legal_triples()
    )
    for compiles, sizes in ((False, SIZES), (True, FEW_SIZES)):
        found = {case.param.size for case in preamble(FLOAT32, compiles=compiles)}
        assert set(sizes) < found


def test_layouts_reach_the_port() -> None:
    seen = set()

    def spy(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        seen.add((param.ndim, param.flags.c_contiguous, param.flags.f_contiguous))
        return step(param, momentum, grad, **scalars)

    verify(spy, dtypes=["float32"], max_examples=1)
    assert {(1, False, False), (2, False, True), (4, True, False)} < seen
