"""What is refused, in which words, and that nothing has happened then."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax


def failed(call: Any) -> str:
    try:
        call()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("not refused")


RATE, UNIT = "a finite number >= 0", "a number in [0, 1)"
DTYPES = "float16, bfloat16, float32, float64"
ONE_SHAPE = "param, momentum and grad of one shape"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((-0.1,), f"ValueError: learning_rate=-0.1 is not legal; legal: {RATE}"),
        ((float("nan"),), f"ValueError: learning_rate=nan is not legal; legal: {RATE}"),
        ((np.inf,), f"ValueError: learning_rate=inf is not legal; legal: {RATE}"),
        ((0.1, 1.0), f"ValueError: b1=1.0 is not legal; legal: {UNIT}"),
        ((0.1, 0.9, -0.5), f"ValueError: b2=-0.5 is not legal; legal: {UNIT}"),
        ((0.1, 0.9, 0.9, None, -1), f"ValueError: weight_decay=-1 is not legal; legal: {RATE}"),
        (
            ("0.1",),
            f"TypeError: learning_rate='0.1' is not legal: it is of type str; legal: {RATE}",
        ),
        (
            (0.1, 0.9, 0.9, None, True),
            f"TypeError: weight_decay=True is not legal: it is of type bool; legal: {RATE}",
        ),
        ((0.1, 0.9, 0.9, "int32"), f"TypeError: mu_dtype has dtype int32; legal: {DTYPES}"),
    ],
)
@pytest.mark.clause("C13")
def test_arguments(arguments: tuple[Any, ...], expected: str) -> None:
    assert failed(lambda: lion_jax.lion(*arguments)) == expected


@pytest.mark.clause("C13")
def test_a_concrete_array_is_validated_like_a_number() -> None:
    assert failed(lambda: lion_jax.lion(jnp.float32(-0.5))).startswith(
        "ValueError: learning_rate=array(-0.5, dtype=float32) is not legal"
    )
    assert "learning_rate" in failed(lambda: lion_jax.lion(jnp.ones(2)))


@pytest.mark.clause("C13")
def test_a_traced_array_with_axes_is_refused() -> None:
    def step(lr: Any) -> Any:
        tx = lion_jax.lion(lr)
        params = jnp.ones(2)
        return tx.update(params, tx.init(params), params)

    assert failed(lambda: jax.jit(step)(jnp.ones(2))) == (
        "TypeError: learning_rate is a traced array of shape (2,); legal: a scalar"
    )


@pytest.mark.clause("C13", "C14")
def test_a_schedule_is_validated_when_its_value_is_known() -> None:
    tx = lion_jax.lion(lambda count: -1e-3 * count)
    params = jnp.ones(2)
    state = tx.init(params)
    _, state = tx.update(params, state, params)
    assert failed(lambda: tx.update(params, state, params)).startswith("ValueError: learning_rate=")
    assert int(state.count) == 1


LEAVES = [
    (
        {"grads": jnp.ones(2)},
        "ValueError: at params['w']: grad has shape (2,), but param has shape (3,); legal: "
        + ONE_SHAPE,
    ),
    (
        {"mu": jnp.ones((1, 3))},
        "ValueError: at params['w']: momentum has shape (1, 3), but param has shape (3,); legal: "
        + ONE_SHAPE,
    ),
    (
        {"grads": jnp.ones(3, jnp.int32)},
        f"TypeError: at params['w']: grad has dtype int32; legal: {DTYPES}",
    ),
    (
        {"params": jnp.ones(3, jnp.complex64)},
        f"TypeError: at params['w']: param has dtype complex64; legal: {DTYPES}",
    ),
]


@pytest.mark.parametrize(("change", "expected"), LEAVES)
@pytest.mark.parametrize("door", ["update", "step"])
@pytest.mark.clause("C2", "C13", "C14")
def test_leaves(change: dict[str, Any], expected: str, door: str) -> None:
    tx = lion_jax.lion(0.1)
    trees = {"grads": jnp.ones(3), "mu": jnp.zeros(3), "params": jnp.ones(3)} | change
    grads, mu, params = ({"a": jnp.ones(2), "w": trees[k]} for k in ("grads", "mu", "params"))
    mu["a"] = jnp.zeros(2)
    state = lion_jax.LionState(jnp.zeros([], jnp.int32), mu)
    assert failed(lambda: getattr(tx, door)(grads, state, params)) == expected
    assert int(state.count) == 0
    assert not mu["a"].any()


@pytest.mark.clause("C3")
def test_nothing_is_narrowed_silently() -> None:
    with jax.enable_x64(True):
        tx = lion_jax.lion(0.1)
        params, grads = jnp.ones(2, jnp.float32), jnp.ones(2, jnp.float64)
        message = failed(lambda: tx.update(grads, tx.init(params), params))
    assert message.startswith("TypeError: at params: grad has dtype float64, wider than float32")


@pytest.mark.clause("C13")
def test_no_params_a_foreign_state_a_mask_of_numbers() -> None:
    params = jnp.ones(2)
    tx = lion_jax.lion(0.1)
    assert failed(lambda: tx.update(params, tx.init(params))) == (
        "ValueError: params is None, but Lion needs them; legal: the parameters, as in "
        "update(grads, state, params)"
    )
    assert failed(lambda: tx.update(params, optax.adam(0.1).init(params), params)) == (
        "TypeError: state is of type tuple; legal: the state of lion_jax.lion or of optax.lion"
    )
    masked = lion_jax.lion(0.1, mask=1.0)
    assert failed(lambda: masked.update(params, masked.init(params), params)) == (
        "TypeError: at params: mask has the leaf 1.0; legal: True, False"
    )


@pytest.mark.clause("C13")
def test_a_rate_that_overflows_the_compute_dtype() -> None:
    params = jnp.ones(2)
    tx = lion_jax.lion(1e300)
    assert "finite also in float32" in failed(lambda: tx.update(params, tx.init(params), params))


def test_trees_of_another_structure() -> None:
    params = {"w": jnp.ones(2)}
    tx = lion_jax.lion(0.1)
    state = tx.init(params)
    message = failed(lambda: tx.update({"v": jnp.ones(2)}, state, params))
    assert message.startswith("ValueError: grads is no tree like params: ")
    masked = lion_jax.lion(0.1, mask={"v": True})
    message = failed(lambda: masked.step(params, state, params))
    assert message.startswith("ValueError: mask is no prefix of params: ")


@pytest.mark.clause("C2", "C3")
def test_dtypes_are_refused_when_the_state_is_made() -> None:
    integers = jnp.ones(2, jnp.int32)
    assert failed(lambda: lion_jax.lion(0.1).init(integers)) == (
        f"TypeError: param has dtype int32; legal: {DTYPES}"
    )
    with jax.enable_x64(True):
        wide = lion_jax.lion(0.1, mu_dtype="float64")
        message = failed(lambda: wide.init(jnp.ones(2, jnp.float32)))
    assert message.startswith("TypeError: momentum has dtype float64, wider than float32")
