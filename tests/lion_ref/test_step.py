"""The contract of `lion_ref.step`: SPEC Part I, apart from the bits that test_oracle.py holds."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lion_ref import STORAGE_DTYPES, Semantics, legal_triples, oracle, step
from lion_ref.arithmetic import Array, bits, same_bits
from lion_ref.rational import FORMATS
from lion_ref.update import BLOCK
from tests.adversarial import elements

Triple = tuple[str, str, str]

SCALARS: dict[str, Any] = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}
ALL_TRIPLES = list(itertools.product(STORAGE_DTYPES, repeat=3))
REFUSED_TRIPLES = [triple for triple in ALL_TRIPLES if triple not in legal_triples()]
TRIPLES = pytest.mark.parametrize("triple", legal_triples(), ids="-".join)


def f32(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


def case(triple: Triple, size: int, seed: int = 0) -> tuple[Array, Array, Array]:
    return elements(np.random.default_rng(seed), triple, size, beta1=0.9, beta2=0.99)


def equal(first: tuple[Array, Array], second: tuple[Array, Array]) -> bool:
    return all(bool(same_bits(a, b).all()) for a, b in zip(first, second, strict=True))


# --- dtypes (C2, C3) -------------------------------------------------------------------------


@pytest.mark.clause("C2", "C3")
@TRIPLES
def test_results_have_the_dtypes_and_shapes_of_param_and_momentum(triple: Triple) -> None:
    theta, m, g = (x.reshape(3, 5) for x in case(triple, 15))
    new_theta, new_m = step(theta, m, g, **SCALARS)
    assert (new_theta.dtype, new_m.dtype) == (theta.dtype, m.dtype)
    assert new_theta.shape == new_m.shape == (3, 5)
    assert new_theta.flags.c_contiguous
    assert not any(np.shares_memory(a, b) for a in (new_theta, new_m) for b in (theta, m, g))


@pytest.mark.clause("C3")
def test_forty_three_triples_are_legal() -> None:
    assert len(legal_triples()) == len(set(legal_triples())) == 43
    assert len(REFUSED_TRIPLES) == 64 - 43
    assert sum(param == "float64" for param, _, _ in legal_triples()) == 16


@pytest.mark.clause("C3")
@pytest.mark.parametrize("triple", REFUSED_TRIPLES, ids="-".join)
def test_a_dtype_wider_than_the_compute_dtype_is_refused(triple: Triple) -> None:
    arrays = [np.zeros(2, STORAGE_DTYPES[name]) for name in triple]
    culprit = "momentum" if triple[1] == "float64" else "grad"
    with pytest.raises(TypeError) as error:
        step(*arrays, lr=0.1)
    assert str(error.value) == (
        f"{culprit} has dtype float64, wider than float32, the compute dtype for a {triple[0]} "
        "param; legal: float16, bfloat16, float32"
    )


NO_STORAGE = [
    *("int8", "int32", "int64", "uint8", "bool", "complex64", "complex128", "longdouble"),
    *("object", "U3", "S3", "datetime64[s]", ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2),
]


@pytest.mark.clause("C2")
@pytest.mark.parametrize("dtype", NO_STORAGE, ids=str)
@pytest.mark.parametrize("argument", ["param", "momentum", "grad"])
def test_every_other_dtype_is_refused(dtype: Any, argument: str) -> None:
    arrays: dict[str, Any] = {
        name: np.zeros(1, np.float64) for name in ("param", "momentum", "grad")
    }
    arrays[argument] = np.zeros(1, np.int8).astype(dtype)
    with pytest.raises(TypeError) as error:
        step(**arrays, lr=0.1)
    name = arrays[argument].dtype.name
    assert (
        str(error.value)
        == f"{argument} has dtype {name}; legal: float16, bfloat16, float32, float64"
    )


@pytest.mark.clause("C2")
def test_a_structured_dtype_is_refused() -> None:
    record = np.zeros(1, [("x", np.float32)])
    with pytest.raises(TypeError, match="param has dtype void32; legal: float16"):
        step(record, f32(0.0), f32(0.0), lr=0.1)


@pytest.mark.clause("C2")
@TRIPLES
def test_either_byte_order_is_kept_and_changes_no_bit(triple: Triple) -> None:
    arrays = case(triple, 200)
    expected = step(*arrays, **SCALARS)
    swappable = [x.dtype.name != "bfloat16" for x in arrays]  # ml_dtypes has one byte order
    swapped = [
        x.astype(x.dtype.newbyteorder(">")) if swap else x
        for x, swap in zip(arrays, swappable, strict=True)
    ]
    got = step(*swapped, **SCALARS)
    assert [x.dtype for x in got] == [x.dtype for x in swapped[:2]]
    native = tuple(x.astype(x.dtype.newbyteorder("=")) for x in got)
    assert equal((native[0], native[1]), expected)


# --- elementwise (C12) -----------------------------------------------------------------------


def _unaligned(array: Array) -> Array:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view: Array = raw[1:].view(array.dtype)
    view[...] = array
    assert not view.flags.aligned
    return view


def _read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "reversed": lambda x: x[::-1],
    "every third": lambda x: np.repeat(x, 3)[::3],
    "Fortran": lambda x: np.asfortranarray(x.reshape(-1, 5)),
    "transposed": lambda x: x.reshape(5, -1).T,
    "a slice of rows": lambda x: np.tile(x.reshape(-1, 5), (1, 2))[:, :5],
    "3-d, axes moved": lambda x: np.moveaxis(x.reshape(5, 3, -1), 0, 2),
    "unaligned": _unaligned,
    "read-only": _read_only,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.clause("C12", "C14")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "triple",
    [("float32",) * 3, ("float64", "float32", "bfloat16"), ("bfloat16",) * 3],
    ids="-".join,
)
def test_no_layout_changes_a_bit(layout: str, triple: Triple) -> None:
    arrays = [LAYOUTS[layout](x) for x in case(triple, 15 * 20)]
    before = [bits(x) for x in arrays]
    got = step(*arrays, **SCALARS)
    flat = [np.array(x.reshape(-1)) for x in arrays]  # C order, contiguous, aligned
    one_by_one = [step(*(x[i : i + 1] for x in flat), **SCALARS) for i in range(flat[0].size)]
    for array, parts in zip(got, zip(*one_by_one, strict=True), strict=True):
        assert array.shape == arrays[0].shape
        assert same_bits(array.reshape(-1), np.concatenate(parts)).all()
    assert all((bits(x) == kept).all() for x, kept in zip(arrays, before, strict=True))


@pytest.mark.clause("C12")
def test_the_comparison_of_layouts_can_fail() -> None:
    """A step whose sign looks at a neighbour is what it must find."""
    theta, m, g = case(("float32",) * 3, 40)
    assert not equal(step(theta, np.roll(m, 1), g, **SCALARS), step(theta, m, g, **SCALARS))


@pytest.mark.clause("C12")
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_blocks_leave_no_seam(size: int) -> None:
    theta, m, g = (np.resize(x, size) for x in case(("float32", "bfloat16", "float16"), 997))
    got = step(theta, m, g, **SCALARS)
    period = step(*(np.resize(x, 997) for x in (theta, m, g)), **SCALARS) if size else got
    assert equal(got, (np.resize(period[0], size), np.resize(period[1], size)))


@pytest.mark.clause("C12")
@TRIPLES
def test_empty_and_zero_dimensional_arrays_are_legal(triple: Triple) -> None:
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    for shape in ((0,), (3, 0), ()):
        new = step(*(np.ones(shape, dtype) for dtype in dtypes), lr=0.5)
        assert [(x.shape, x.dtype) for x in new] == [(shape, dtype) for dtype in dtypes[:2]]
        assert all(isinstance(x, np.ndarray) for x in new)
        assert np.all(new[0] == 0.5)


def _extra_memory(function: Any, layout: Callable[[Array], Array], size: int) -> int:
    """Bytes at the peak, beyond the results."""
    theta, m, g = (layout(np.ones(size, np.float32)) for _ in range(3))
    tracemalloc.start()
    try:
        new = function(theta, m, g, **SCALARS)
        peak: int = tracemalloc.get_traced_memory()[1] - sum(x.nbytes for x in new)
        return peak
    finally:
        tracemalloc.stop()


def _copies_first(theta: Array, m: Array, g: Array, **scalars: Any) -> tuple[Array, Array]:
    return step(np.array(theta), m, g, **scalars)


@pytest.mark.clause("C12")
@pytest.mark.parametrize("stride", [1, -1, 2])
def test_extra_memory_is_bounded_whatever_the_size(stride: int) -> None:
    def growth(function: Any) -> int:
        small, large = (_extra_memory(function, lambda x: x[::stride], n * BLOCK) for n in (8, 32))
        assert small < 24 * BLOCK * 8  # what update.BLOCK promises
        return large - small

    assert growth(step) < BLOCK
    assert growth(_copies_first) > BLOCK


# --- the update by hand (C1 to C11): the variant of the name gives other bits ----------------

BY_HAND: list[tuple[str, tuple[float, float, float], dict[str, float], tuple[str, str]]] = [
    # clause and what it tells apart; θ, m, g; scalars; θ' and m' in hexadecimal float32
    ("C1 decay is scaled by lr", (1, 0, 0.5), {"lr": 0.25, "weight_decay": 0.5}, ("3f200000", "")),
    ("C1 decoupled", (1, -1, 8), {"lr": 0.25, "weight_decay": 3}, ("3f000000", "")),
    ("C5 no contraction", (1, 1.00000012, -9.000001), {"lr": 0.5}, ("3f800000", "")),
    ("C6 subnormals", (1, 1e-45, 0), {"lr": 0.5}, ("3f000000", "00000001")),
    ("C7 sign(0) is 0", (1, 0, 0), {"lr": 0.5}, ("3f800000", "00000000")),
    ("C7 sign(-0) is +0", (-0.0, -0.0, -0.0), {"lr": 0.5}, ("80000000", "80000000")),
    ("C8 old momentum", (0, 1, -5), {"lr": 1, "beta2": 0.5}, ("bf800000", "c0000000")),
    ("C10 decay at 0", (float("inf"), 0, 1), {"lr": 0.5}, ("nan", "3c23d70a")),
    ("C11 inf - inf", (1, float("inf"), float("-inf")), {"lr": 0.5}, ("nan", "nan")),
]


@pytest.mark.clause("C1", "C5", "C6", "C7", "C8", "C10", "C11")
@pytest.mark.parametrize(("name", "inputs", "scalars", "expected"), BY_HAND, ids=str)
def test_the_update_by_hand(
    name: str,
    inputs: tuple[float, float, float],
    scalars: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    for function in (step, oracle.step):
        got = function(*(f32(x) for x in inputs), **scalars)
        for array, pattern in zip(got, expected, strict=True):
            if pattern == "nan":
                assert np.isnan(array).all()
            elif pattern:
                assert bits(array)[0] == int(pattern, 16), name


@pytest.mark.clause("C4")
def test_complements_are_formed_in_binary64() -> None:
    zero, one = f32(0.0), f32(1.0)
    canonical = step(zero, zero, one, lr=0.0, beta2=0.99)[1]
    assert bits(canonical)[0] == bits(f32(0.01))[0]
    in_float32 = step(zero, zero, one, lr=0.0, semantics=Semantics(momentum_complement="compute"))[
        1
    ]
    assert bits(in_float32)[0] != bits(canonical)[0]


@pytest.mark.clause("C9")
def test_a_float64_result_is_rounded_once_to_bfloat16() -> None:
    momentum = np.zeros(1, ml_dtypes.bfloat16)
    g = np.array([2 * (1 + 2**-8 + 2**-40)])
    stored = step(np.zeros(1), momentum, g, lr=0.0, beta2=0.5)[1]
    twice = (g / 2).astype(np.float32).astype(ml_dtypes.bfloat16)
    assert bits(stored)[0] == bits(twice)[0] + 1


@pytest.mark.clause("C9")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_storing_overflows_to_infinity_and_underflows_gradually(dtype: str) -> None:
    form = FORMATS[dtype]
    largest = 2.0**form.max_exponent * (2 - 2.0 ** (1 - form.precision))
    theta = np.array([largest, -largest], STORAGE_DTYPES[dtype])
    momentum = np.zeros(2, np.float32)
    new = step(theta, momentum, f32(-1.0, 1.0), lr=largest * 0.5)[0]
    assert new.astype(np.float64).tolist() == [np.inf, -np.inf]
    smallest = float(form.smallest_subnormal)
    m = np.array([smallest, -smallest], STORAGE_DTYPES[dtype])
    kept, lost = (step(0 * m, m, 0 * m, lr=0.0, beta2=b)[1] for b in (0.75, 0.25))
    assert bits(kept).tolist() == bits(m).tolist()
    assert bits(lost).tolist() == bits(0 * m).tolist()


@pytest.mark.clause("C15")
def test_a_changed_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """That step asks; test_arithmetic.py holds what require_default_environment finds."""

    def changed() -> None:
        raise FloatingPointError("this thread flushes subnormals")

    monkeypatch.setattr("lion_ref.update.require_default_environment", changed)
    with pytest.raises(FloatingPointError, match="flushes subnormals"):
        step(f32(1.0), f32(0.0), f32(1.0), lr=0.5)
