"""The fixed cases: every one of these ports once passed as bit-exact on random cases alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import PortError, verify
from lion_conformance.cases.fixed import FEW_SIZES, SIZES, TILES, fixed_cases
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.layouts import layout_of, like
from lion_conformance.ports.protocol import run_once
from lion_conformance.report.replay import laid_out
from lion_conformance.verdict.tally import Tally
from lion_ref import legal_triples
from lion_ref.arithmetic import same_bits
from tests.lion_conformance.mutants import (
    decay,
    dtypes,
    layout,
    memory,
    scalars,
    state,
    values,
)

pytestmark = pytest.mark.clause("C12")

step = lion_ref.step
FLOAT32 = [("float32", "float32", "float32")]


@pytest.mark.parametrize(
    "wrong",
    [
        memory.last_of_an_even_size,
        memory.last_of_a_full_block,
        memory.sixteen_bit_counter,
        memory.strides_ignored,
        memory.transposed_gradient,
        memory.more_than_two_axes,
        scalars.learning_rate_doubled_in_between,
        scalars.beta2_at_most_ninety_nine,
        scalars.falsy_beta1,
        decay.small_decay_lost,
        decay.decay_truncated_to_an_integer,
        state.CachedByContent(),
        layout.second_tile_left_out,
        layout.large_matrix_cut,
        layout.large_and_strided_cut,
        layout.rows_taken_for_adjoining,
        layout.permuted_axes_ignored,
        layout.stride_of_zero_ignored,
        layout.writable_buffers_alone,
        layout.far_and_strided_cut,
        layout.far_and_transposed_cut,
        layout.far_and_without_decay_cut,
        layout.gaps_without_decay,
        values.zero_momentum_is_a_first_step,
    ],
    ids=lambda port: getattr(port, "__name__", type(port).__name__),
)
def test_the_fixed_cases_alone_reject_it(wrong: Callable[..., Any]) -> None:
    port, tally = from_callable(wrong), Tally(None)
    assert not all(tally.add(port, case) for case in fixed_cases(FLOAT32, compiles=False))


@pytest.mark.parametrize("wrong", [dtypes.tail_of_one_triple, dtypes.one_triple_cut_where_large])
def test_the_fixed_cases_have_every_triple_at_every_kind_of_size(wrong: Callable[..., Any]) -> None:
    port, tally = from_callable(wrong), Tally(None)
    assert not all(tally.add(port, case) for case in fixed_cases(legal_triples(), compiles=False))


def test_a_right_port_passes_the_fixed_cases() -> None:
    port, tally = from_callable(step), Tally(None)
    assert all(tally.add(port, case) for case in fixed_cases(FLOAT32, compiles=False))


def test_a_port_that_exits_is_rejected_and_does_not_end_the_judging() -> None:
    def exits(*_: Any, **__: Any) -> Any:
        raise SystemExit(0)

    one = np.ones(1, np.float32)
    with pytest.raises(PortError, match=r"^the port raised SystemExit: 0$"):
        run_once(
            from_callable(exits), one, one, one, lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.0
        )


def test_every_triple_and_size_is_there() -> None:
    assert {case.triple for case in fixed_cases(legal_triples(), compiles=False)} == set(
        legal_triples()
    )
    for compiles, sizes in ((False, SIZES), (True, FEW_SIZES)):
        found = {case.param.size for case in fixed_cases(FLOAT32, compiles=compiles)}
        assert set(sizes) < found


def test_layouts_reach_the_port() -> None:
    seen = set()

    def spy(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        seen.add((param.ndim, param.flags.c_contiguous, param.flags.f_contiguous))
        return step(param, momentum, grad, **scalars)

    verify(spy, dtypes=["float32"], max_examples=1)
    assert {(1, False, False), (2, False, True), (4, True, False)} < seen


def test_a_port_that_compiles_gets_none_of_the_further_shapes() -> None:
    shapes = {case.param.shape for case in fixed_cases(FLOAT32, compiles=True)}
    assert TILES not in shapes
    assert all(
        case.grad.flags.writeable and 0 not in case.grad.strides
        for case in fixed_cases(FLOAT32, compiles=True)
    )


def test_a_copy_for_a_port_lies_in_memory_as_the_case_does() -> None:
    for case in fixed_cases(FLOAT32, compiles=False):
        for array in case.arrays:
            copy = like(array)
            assert (copy.strides, copy.flags.writeable) == (array.strides, array.flags.writeable)
            assert same_bits(copy, array).all()
            assert not np.shares_memory(copy, array)
            how, flat = layout_of(array).__name__, array.reshape(-1)
            assert laid_out(flat, array.shape, how).strides == array.strides
