"""One rule for subnormals in every namespace: `lion_array_api.step(subnormals=...)` (SPEC C33)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest

import lion_array_api
import lion_ref
from lion_array_api import declared_semantics, native
from lion_array_api.kernel import Native
from lion_ref import CANONICAL, Semantics, hyperparameters, legal_triples
from lion_ref.arithmetic import Array
from tests.adversarial import Triple, around_underflow
from tests.adversarial import hyperparameters as scalars_from
from tests.comparison import compared
from tests.lion_array_api.namespaces import Namespace, entered
from tests.lion_cpu.environments import flushing

RULES = {"flush": Semantics(subnormals="flush"), "keep": CANONICAL}

pytestmark = pytest.mark.clause("C33")


def difference(
    namespace: Namespace,
    triple: Triple,
    seed: int,
    subnormals: Any = "flush",
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[str]:
    """Where the bits of a step, made in `around`, are not those of the rule."""
    rng = np.random.default_rng(seed)
    scalars = scalars_from(rng)
    factors = [*scalars.values(), *(1 - scalars[beta] for beta in ("beta1", "beta2"))]
    arrays = around_underflow(rng, triple, 300, *factors)
    given = [namespace.of_numpy(array) for array in arrays]
    with around():
        results = lion_array_api.step(*given, **scalars, subnormals=subnormals)
        got = [namespace.to_numpy(result) for result in results]
    expected = lion_ref.step(*arrays, **scalars, semantics=RULES[subnormals])
    found = []
    for name, *pair in zip(("θ'", "m'"), got, expected, strict=True):
        found += compared(f"{triple}, {scalars}, {name}", *pair)
    return found


def skip_without(namespace: Namespace, triple: Triple) -> None:
    if missing := set(triple) - set(namespace.dtypes):
        pytest.skip(f"{namespace.name} has no {' or '.join(missing)}")


@pytest.mark.clause("C18")
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_all_namespaces_flush_alike(namespace: Namespace, triple: Triple) -> None:
    skip_without(namespace, triple)
    for seed in range(3):
        assert difference(namespace, triple, seed) == []


@pytest.mark.slow
@pytest.mark.clause("C18")
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_all_namespaces_flush_alike_widely(namespace: Namespace, triple: Triple) -> None:
    skip_without(namespace, triple)
    for seed in np.random.SeedSequence().generate_state(20).tolist():
        assert difference(namespace, triple, seed) == []


@pytest.mark.clause("C6")
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_what_can_keep_them_keeps_them(namespace: Namespace, triple: Triple) -> None:
    skip_without(namespace, triple)
    if namespace.name != "jax":
        assert difference(namespace, triple, 0, "keep") == []
        return
    one = namespace.of_numpy(np.ones(1, triple[0]))
    with pytest.raises(ValueError, match=r"^subnormals='keep' is not legal for jax\.numpy on "):
        lion_array_api.step(one, one, one, lr=0.1, subnormals="keep")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jax_s_refusal_says_where_and_why(dtype: str) -> None:
    with entered("jax") as jax:
        one = jax.of_numpy(np.ones(1, dtype))
        for refused in (
            lambda: lion_array_api.step(one, one, one, lr=0.1, subnormals="keep"),
            lambda: declared_semantics(one, subnormals="keep"),
        ):
            with pytest.raises(ValueError, match="keep") as error:
                refused()
            assert str(error.value) == (
                f"subnormals='keep' is not legal for jax.numpy on {one.device}: those of {dtype} "
                "are flushed there; legal: 'native', 'flush'"
            )


def test_a_namespace_that_flushes_float32_alone_is_refused_beside_float64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As CuPy does, whose float64 is canonical."""
    monkeypatch.setattr("lion_array_api.checks._KEPT", {})
    monkeypatch.setattr("lion_array_api.checks._keeps", lambda _xp, _where, name: name != "float32")
    theta, m = np.ones(4)[::2], np.ones(4, np.float32)[::2]
    lion_array_api.step(theta, theta, theta, lr=0.1, subnormals="keep")
    for arrays in ((theta, m, theta), (theta, theta, m)):
        with pytest.raises(ValueError, match="on cpu: those of float32 are flushed there; legal"):
            lion_array_api.step(*arrays, lr=0.1, subnormals="keep")


@pytest.mark.parametrize("value", ["kept", None])
def test_another_choice_is_refused(value: Any) -> None:
    one = np.ones(1)
    for refused in (
        lambda: lion_array_api.step(one, one, one, lr=0.1, subnormals=value),
        lambda: declared_semantics(one, subnormals=value),
    ):
        with pytest.raises(ValueError, match=r"is not legal; legal: 'native', 'flush', 'keep'$"):
            refused()


@pytest.mark.clause("C29")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rule_is_declared(namespace: Namespace, dtype: str) -> None:
    array = namespace.of_numpy(np.ones(3, dtype))
    assert declared_semantics(array, subnormals="flush") == RULES["flush"]
    assert declared_semantics(array, subnormals="native") == declared_semantics(array)
    if namespace.name != "jax":
        assert declared_semantics(array, subnormals="keep") == CANONICAL


@pytest.mark.clause("C15")
@pytest.mark.parametrize("name", ["numpy", "numpy-strided", "torch"])
@pytest.mark.parametrize("param", ["float32", "float64"])
def test_a_thread_that_flushes_has_the_same_bits(name: str, param: str) -> None:
    with entered(name) as namespace:
        for m in ("float16", "bfloat16", "float32"):
            assert difference(namespace, (param, m, param), 0, around=flushing) == []


@pytest.mark.clause("C15")
def test_nothing_is_kept_in_a_thread_that_flushes_but_by_the_kernel() -> None:
    with entered("numpy-strided") as strided:
        with pytest.raises(FloatingPointError, match=r"^this thread flushes subnormals"):
            difference(strided, ("float32",) * 3, 0, "keep", flushing)
        assert difference(strided, ("float32",) * 3, 0, "keep") == []
    if native.takes([np.ones(1)]):
        with entered("numpy") as numpy:
            assert difference(numpy, ("float32",) * 3, 0, "keep", flushing) == []


@pytest.mark.parametrize("subnormals", ["flush", "keep"])
def test_dask_stays_lazy(subnormals: Any) -> None:
    dask_array = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")

    def fail() -> Array:
        raise AssertionError("computed")

    lazy = dask_array.from_delayed(dask.delayed(fail)(), shape=(4,), dtype=np.float32)
    param, _ = lion_array_api.step(lazy, lazy, lazy, lr=0.1, subnormals=subnormals)
    with pytest.raises(AssertionError, match="computed"):
        param.compute(scheduler="synchronous")


@pytest.mark.filterwarnings("ignore:torch.asarray:UserWarning")
def test_torch_s_gradients_are_those_of_the_native_step() -> None:
    torch = pytest.importorskip("torch")

    def gradients(subnormals: Any) -> list[Any]:
        arrays = [torch.tensor(x, requires_grad=True) for x in ([1.0, 0.0], [0.5, 1.0], [0.25, 0])]
        new = lion_array_api.step(*arrays, lr=0.1, weight_decay=0.5, subnormals=subnormals)
        sum(new).sum().backward()
        return [x.grad.tolist() for x in arrays]

    assert gradients("flush") == gradients("native")


# --- what the comparison rejects --------------------------------------------------------------


def _scalars_kept(values: Any, compute: str, _subnormals: str) -> Any:
    return hyperparameters.rounded_floats(values, compute)


def _as_the_namespace_does(*_: Any, **__: Any) -> Native:
    return Native()


def _kept_by_the_kernel(*arrays: Any, flush: bool) -> Any:
    return native.step(*arrays, flush=False)


class _NativeStep:
    takes = staticmethod(native.takes)
    step = staticmethod(_kept_by_the_kernel)


@pytest.mark.parametrize(
    ("name", "place", "wrong"),
    [
        ("numpy", "native", _NativeStep),
        ("numpy-strided", "flushing", _as_the_namespace_does),
        ("torch", "flushing", _as_the_namespace_does),
        ("numpy-strided", "rounded_floats", _scalars_kept),
        ("torch", "rounded_floats", _scalars_kept),
    ],
)
def test_a_step_that_does_not_flush_is_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str, place: str, wrong: Any
) -> None:
    def drawn(_: Any) -> dict[str, float]:
        return {"lr": 2.0**-127, "beta1": 0.9, "beta2": 0.99, "weight_decay": 2.0**120}

    monkeypatch.setitem(globals(), "scalars_from", drawn)
    with entered(name) as namespace:
        assert difference(namespace, ("float32",) * 3, 0) == []
        monkeypatch.setattr(f"lion_array_api.function.{place}", wrong)
        assert difference(namespace, ("float32",) * 3, 0)
