"""What `lion_array_api.step` refuses, by the text of the refusal."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import lion_array_api
import lion_ref

ONE = np.ones(1, np.float32)
NAN = float("nan")

REFUSED: dict[str, tuple[tuple[Any, Any, Any], dict[str, Any]]] = {
    "negative lr": ((ONE, ONE, ONE), {"lr": -0.1}),
    "NaN lr": ((ONE, ONE, ONE), {"lr": NAN}),
    "lr beyond float32": ((ONE, ONE, ONE), {"lr": 1e39}),
    "lr no number": ((ONE, ONE, ONE), {"lr": "0.1"}),
    "lr with axes": ((ONE, ONE, ONE), {"lr": ONE}),
    "beta1": ((ONE, ONE, ONE), {"lr": 0.1, "beta1": 1.0}),
    "beta2": ((ONE, ONE, ONE), {"lr": 0.1, "beta2": -0.1}),
    "weight decay": ((ONE, ONE, ONE), {"lr": 0.1, "weight_decay": np.inf}),
    "momentum's shape": ((ONE, np.ones(2, np.float32), ONE), {"lr": 0.1}),
    "grad's shape": ((ONE, ONE, np.ones((), np.float32)), {"lr": 0.1}),
    "integers": ((ONE, ONE, np.ones(1, np.int32)), {"lr": 0.1}),
    "complex": ((np.ones(1, np.complex64), ONE, ONE), {"lr": 0.1}),
    "a mask": ((ONE, ONE, np.ma.ones(1, "f4")), {"lr": 0.1}),
    "wide momentum": ((ONE, np.ones(1), ONE), {"lr": 0.1}),
}


@pytest.mark.clause("C2", "C3", "C13", "C14")
@pytest.mark.parametrize(("arrays", "scalars"), REFUSED.values(), ids=REFUSED)
def test_refused_in_the_reference_s_words(arrays: Any, scalars: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as reference:
        lion_ref.step(*arrays, **scalars)
    with pytest.raises(reference.type, match=f"^{re.escape(str(reference.value))}$"):
        lion_array_api.step(*arrays, **scalars)


@pytest.mark.clause("C2", "C3", "C13")
def test_torch_dtypes_and_shapes_are_named_alike() -> None:
    torch = pytest.importorskip("torch")
    one = torch.ones(1)
    with pytest.raises(
        TypeError, match=r"^grad has dtype int64; legal: float16, bfloat16, float32"
    ):
        lion_array_api.step(one, one, torch.ones(1, dtype=torch.int64), lr=0.1)
    with pytest.raises(
        TypeError, match=r"^momentum has dtype float64, wider than float32, the com"
    ):
        lion_array_api.step(one, one.double(), one, lr=0.1)
    message = r"^grad has shape \(2, 1\), but param has shape \(1,\); legal: param, momentum and"
    with pytest.raises(ValueError, match=message):
        lion_array_api.step(one, one, torch.ones(2, 1), lr=0.1)


LEGAL = "legal: param, momentum and grad of one array-API namespace$"


@pytest.mark.clause("C13")
def test_what_is_no_array() -> None:
    with pytest.raises(TypeError, match=f"^grad is of type list, which has no namespace; {LEGAL}"):
        lion_array_api.step(ONE, ONE, [1.0], lr=0.1)
    with pytest.raises(TypeError, match=f"^param is of type float, which has no name.*; {LEGAL}"):
        lion_array_api.step(1.0, ONE, ONE, lr=0.1)


@pytest.mark.clause("C13")
def test_arrays_of_two_namespaces() -> None:
    torch = pytest.importorskip("torch")
    message = f"^grad is of type torch.Tensor, but param of type numpy.ndarray; {LEGAL}"
    with pytest.raises(TypeError, match=message):
        lion_array_api.step(ONE, ONE, torch.ones(1), lr=0.1)


@pytest.mark.clause("C5")
def test_traced_arrays() -> None:
    jax = pytest.importorskip("jax")

    def step(theta: Any, m: Any, g: Any) -> Any:
        return lion_array_api.step(theta, m, g, lr=0.1)

    one = jax.numpy.ones(1)
    message = (
        r"^param is traced by JAX, whose compiler contracts β·m \+ \(1-β\)·g into other bits; "
        r"legal: concrete arrays, outside jit, vmap and grad\. Inside, use lion_jax"
    )
    for transformed in (jax.jit(step), jax.vmap(step)):
        with pytest.raises(TypeError, match=message):
            transformed(one, one, one)
    with pytest.raises(TypeError, match=r"^array is traced by JAX"):
        jax.jit(lion_array_api.declared_semantics)(one)
    step(one, one, one)  # outside


def test_no_array_has_no_declared_semantics() -> None:
    with pytest.raises(TypeError, match=r"^array is of type int, which has no namespace"):
        lion_array_api.declared_semantics(3)
    with pytest.raises(TypeError, match=r"^param has dtype int32; legal: "):
        lion_array_api.declared_semantics(np.ones(1, np.int32))
