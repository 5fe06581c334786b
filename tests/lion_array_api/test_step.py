"""`lion_array_api.step` against `lion_ref.step`, bit for bit, in every namespace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lion_array_api
import lion_ref
from lion_array_api import checks, declared_semantics
from lion_ref import Semantics, legal_triples
from lion_ref.arithmetic import Array, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from tests.adversarial import elements, hyperparameters
from tests.lion_array_api.namespaces import Namespace, entered

Triple = tuple[str, str, str]


def difference(namespace: Namespace, triple: Triple, seed: int, size: int = 100) -> str:
    """The first element whose bits are not those of the declared semantics; "" if none."""
    rng = np.random.default_rng(seed)
    scalars: dict[str, Any] = hyperparameters(rng)
    arrays = elements(rng, triple, size, beta1=scalars["beta1"], beta2=scalars["beta2"])
    given = [namespace.of_numpy(array) for array in arrays]
    results = lion_array_api.step(*given, **scalars)
    semantics = declared_semantics(given[0])
    expected = lion_ref.step(*arrays, **scalars, semantics=semantics)
    for name, result, right in zip(("param", "momentum"), results, expected, strict=True):
        got = namespace.to_numpy(result)
        assert (got.dtype, got.shape) == (right.dtype, right.shape)
        wrong = np.flatnonzero(~same_bits(got, right))
        if wrong.size:
            i = wrong[0]
            values = [array[i] for array in arrays]
            return f"{name} of {values} at {scalars}: {got[i]!r}, expected {right[i]!r}"
    return ""


@pytest.mark.clause("C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C29")
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_the_bits_are_the_declared_ones(namespace: Namespace, triple: Triple) -> None:
    if not set(triple) <= set(namespace.dtypes):
        pytest.skip(f"{namespace.name} has no {' or '.join(set(triple) - set(namespace.dtypes))}")
    for seed in range(2):
        assert difference(namespace, triple, seed) == ""


@pytest.mark.slow
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_many_bits_are_the_declared_ones(namespace: Namespace, triple: Triple) -> None:
    if not set(triple) <= set(namespace.dtypes):
        pytest.skip(f"{namespace.name} has no {' or '.join(set(triple) - set(namespace.dtypes))}")
    for seed in range(20):
        assert difference(namespace, triple, seed, size=1000) == ""


@pytest.mark.clause("C9", "C18")
@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_float64_is_stored_with_one_rounding(namespace: Namespace, narrow: str) -> None:
    """Around every middle of two neighbours; with β2 = 0 and m = 0, m' is g in m's dtype."""
    if narrow not in namespace.dtypes:
        pytest.skip(f"{namespace.name} has no {narrow}")
    dtype = STORAGE_DTYPES[narrow]
    numbers = np.arange(0x7C00 if narrow == "float16" else 0x7F80).astype(np.uint16).view(dtype)
    lower = numbers.astype(np.float64)
    middle = lower + np.append(np.diff(lower), lower[-1] - lower[-2]) / 2
    smallest = 2.0**-126 * (1 - np.arange(16) * 2.0**-12)  # tiny numbers that round up or not
    positive = [middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf), lower, smallest]
    grad = np.concatenate([*positive, *(-x for x in positive), [1e300, -1e308, np.inf, np.nan]])
    zeros = np.zeros_like(grad), np.zeros(grad.shape, dtype)
    scalars: dict[str, Any] = {"lr": 0.0, "beta2": 0.0}
    given = [namespace.of_numpy(x) for x in (*zeros, grad)]
    _, stored = lion_array_api.step(*given, **scalars)
    semantics = declared_semantics(given[0])
    _, expected = lion_ref.step(*zeros, grad, **scalars, semantics=semantics)
    wrong = np.flatnonzero(~same_bits(namespace.to_numpy(stored), expected))
    assert grad[wrong].tolist() == []


# --- what the comparison rejects --------------------------------------------------------------


def _sign_of_the_namespace(xp: Any, c: Any) -> Any:
    return xp.sign(c)


def _sign_without_nan(xp: Any, c: Any) -> Any:
    return xp.astype(c > 0, c.dtype) - xp.astype(c < 0, c.dtype)


def _plain_cast(xp: Any, values: Any, dtype: Any) -> Any:
    return xp.astype(values, dtype)


def _complements_rounded_first(values: Any, dtype: Any, subnormals: Any) -> Any:
    scalars = lion_ref.hyperparameters.round_scalars(values, dtype, subnormals)
    return type(scalars)(
        lr=scalars.lr,
        beta1=scalars.beta1,
        one_minus_beta1=1 - scalars.beta1,
        beta2=scalars.beta2,
        one_minus_beta2=1 - scalars.beta2,
        weight_decay=scalars.weight_decay,
    ).as_floats()


def _in_the_storage_dtype(arrays: dict[str, Any]) -> str:
    return str(checks.dtype_name(arrays["param"].dtype))


@pytest.mark.parametrize(
    ("name", "place", "wrong", "triple"),
    [
        ("torch", "kernel._sign", _sign_without_nan, ("float32",) * 3),
        ("jax", "kernel._sign", _sign_of_the_namespace, ("float32",) * 3),
        ("torch", "function.stored", _plain_cast, ("float64", "bfloat16", "float64")),
        ("torch", "function.stored", _plain_cast, ("float64", "float16", "float64")),
        ("jax", "function.stored", _plain_cast, ("float64", "bfloat16", "float64")),
        ("numpy-strided", "function.stored", _plain_cast, ("float64", "bfloat16", "float64")),
        ("numpy-strided", "function.rounded_floats", _complements_rounded_first, ("float32",) * 3),
        ("numpy", "function.rounded_floats", _complements_rounded_first, ("float32",) * 3),
        ("torch", "function.compute_name", _in_the_storage_dtype, ("bfloat16",) * 3),
    ],
)
def test_a_wrong_step_is_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str, place: str, wrong: Any, triple: Triple
) -> None:
    with entered(name) as namespace:
        # What is declared is found by taking a step: before that is made wrong.
        declared = declared_semantics(namespace.of_numpy(np.ones(1, STORAGE_DTYPES[triple[0]])))
        monkeypatch.setitem(globals(), "declared_semantics", lambda _: declared)
        monkeypatch.setattr(f"lion_array_api.{place}", wrong)
        assert any(difference(namespace, triple, seed, size=500) for seed in range(40))


# --- arrays in, arrays out --------------------------------------------------------------------


@pytest.mark.clause("C2", "C12", "C14")
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (5, 4)])
def test_arrays_of_the_same_namespace_come_back(
    namespace: Namespace, shape: tuple[int, ...]
) -> None:
    from array_api_compat import array_namespace, device

    inputs = [np.full(shape, x, np.float32) for x in (1.5, -0.25, 3.0)]
    given = [namespace.of_numpy(x) for x in inputs]
    results = lion_array_api.step(*given, lr=0.1, weight_decay=0.5)
    expected = lion_ref.step(*inputs, lr=0.1, weight_decay=0.5)
    for result, one, right in zip(results, given, expected, strict=False):
        assert type(result) is type(one)
        assert array_namespace(result) is array_namespace(one)
        assert (result.dtype, result.shape) == (one.dtype, one.shape)
        assert device(result) == device(one)
        assert same_bits(namespace.to_numpy(result), right).all()
    for one, before in zip(given, inputs, strict=True):
        assert same_bits(namespace.to_numpy(one), before).all()


@pytest.mark.clause("C12")
def test_strides_do_not_matter(namespace: Namespace) -> None:
    whole = [x.reshape(6, 8) for x in np.random.default_rng(1).standard_normal((3, 48))]
    views = [namespace.of_numpy(x).T[::2, 1:] for x in whole]
    results = lion_array_api.step(*views, lr=0.1)
    expected = lion_ref.step(*(x.T[::2, 1:] for x in whole), lr=0.1)
    for result, right in zip(results, expected, strict=True):
        assert same_bits(namespace.to_numpy(result), right).all()


@pytest.mark.clause("C2", "C14")
def test_numpy_byte_orders_and_read_only_arrays() -> None:
    theta, m, g = (np.full(3, x, ">f4") for x in (1.5, -0.25, 3.0))
    for array in (theta, m, g):
        array.flags.writeable = False
    for result, right in zip(
        lion_array_api.step(theta, m, g, lr=0.1), lion_ref.step(theta, m, g, lr=0.1), strict=True
    ):
        assert result.dtype == right.dtype == np.dtype(">f4")
        assert same_bits(result, right).all()


def test_overflow_and_nan_are_no_accidents() -> None:
    """NumPy would warn, and warnings are errors here."""
    huge = np.full(1, 3e38, np.float32)
    param, momentum = lion_array_api.step(huge, huge, -huge, lr=3e38, weight_decay=3e38)
    assert np.isinf(param).all()
    assert np.isfinite(momentum).all()


def test_dask_stays_lazy() -> None:
    dask_array = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")

    def fail() -> Array:
        raise AssertionError("computed")

    lazy = dask_array.from_delayed(dask.delayed(fail)(), shape=(4,), dtype=np.float32)
    param, momentum = lion_array_api.step(lazy, lazy, lazy, lr=0.1)
    assert (param.shape, momentum.dtype) == ((4,), np.float32)
    with pytest.raises(AssertionError, match="computed"):
        param.compute(scheduler="synchronous")
    chunked = dask_array.ones((6, 4), chunks=(2, 3), dtype=np.float32)
    assert lion_array_api.step(chunked, chunked, chunked, lr=0.1)[0].chunks == chunked.chunks


# --- declared semantics -----------------------------------------------------------------------


@pytest.mark.clause("C18", "C29")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_jax_flushes_on_a_cpu_and_the_others_do_not(namespace: Namespace, dtype: str) -> None:
    if dtype not in namespace.dtypes:
        pytest.skip(f"{namespace.name} has no {dtype}")
    array = namespace.of_numpy(np.ones(3, dtype))
    declared = declared_semantics(array)
    if namespace.name == "jax":
        assert declared.subnormals in {"flush", "flush-before-rounding"}  # x86 and Arm
        assert set(declared.differences()) == {"subnormals"}
    else:
        assert declared == lion_ref.CANONICAL


@pytest.mark.clause("C18", "C29")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("subnormals", ["keep", "flush", "flush-before-rounding"])
def test_the_three_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, subnormals: Any, dtype: Any
) -> None:
    semantics = Semantics(subnormals=subnormals)

    def step(*arrays: Array, subnormals: str, **scalars: Any) -> Any:
        return lion_ref.step(*arrays, **scalars, semantics=semantics)

    monkeypatch.setattr("lion_array_api.declared.step", step)
    assert declared_semantics(np.ones(1, dtype)).subnormals == subnormals


@pytest.mark.clause("C5", "C29")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fused", ["momentum", "gradient"])
def test_a_namespace_that_contracts_cannot_be_declared(
    monkeypatch: pytest.MonkeyPatch, fused: Any, dtype: Any
) -> None:
    def step(*arrays: Array, subnormals: str, **scalars: Any) -> Any:
        return lion_ref.step(*arrays, **scalars, semantics=Semantics(sign_fused=fused))

    monkeypatch.setattr("lion_array_api.declared.step", step)
    with pytest.raises(
        RuntimeError,
        match=r"array_api_compat\.numpy on cpu has semantics that cannot be declared: θ' = \[.*"
        rf"legal: single IEEE 754 operations in {np.dtype(dtype)}, subnormals kept or flushed",
    ):
        declared_semantics(np.ones(1, dtype))
