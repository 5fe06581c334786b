"""What is refused, in which words, and that nothing has happened then."""

from __future__ import annotations

from functools import partial
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


SCALARS = ("learning_rate", "b1", "b2", "weight_decay")
REAL = f"{DTYPES}, an integer dtype"


def step_with(name: str, value: Any) -> Any:
    """One step that is given a scalar, and 0.1 for the learning rate unless that is it."""
    tx = lion_jax.lion(**{"learning_rate": 0.1, name: value})
    params = jnp.ones(2)
    return tx.step(params, tx.init(params), params)[0]


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize(
    "value", [jnp.ones(2), np.ones((1,)), np.zeros((50, 50))], ids=lambda x: str(x.shape)
)
@pytest.mark.clause("C13")
def test_an_array_with_axes_is_no_scalar(name: str, value: Any) -> None:
    expected = f"TypeError: {name} is an array of shape {value.shape}; legal: a scalar"
    assert failed(partial(step_with, name, value)) == expected
    assert failed(partial(jax.jit(partial(step_with, name)), value)) == expected


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (jnp.array(True), "bool"),
        (jnp.complex64(0.5), "complex64"),
        (jnp.float8_e4m3fn(0.5), "float8_e4m3fn"),
        (jax.random.key(0), "key<fry>"),
    ],
    ids=["bool", "complex", "float8", "key"],
)
@pytest.mark.clause("C13")
def test_an_array_of_no_real_number(name: str, value: Any, dtype: str) -> None:
    """A bool is a flag in the place of a number, traced or not."""
    expected = f"TypeError: {name} has dtype {dtype}; legal: {REAL}"
    assert failed(partial(step_with, name, value)) == expected
    assert failed(partial(jax.jit(partial(step_with, name)), value)) == expected


@pytest.mark.parametrize("flag", [True, np.True_, np.array(True)], ids=["bool", "bool_", "array"])
@pytest.mark.clause("C13")
def test_a_flag_is_no_number(flag: Any) -> None:
    for name in SCALARS:
        assert failed(partial(step_with, name, flag)).startswith(f"TypeError: {name}=")
        expected = f"TypeError: {name} has dtype bool; legal: {REAL}"
        assert failed(partial(jax.jit(partial(step_with, name)), flag)) == expected


@pytest.mark.parametrize("integer", [1, np.int8(1), jnp.uint16(1)], ids=["int", "int8", "uint16"])
@pytest.mark.clause("C4", "C13")
def test_an_integer_is_a_number(integer: Any) -> None:
    for rate in (integer, lambda _: integer):
        assert (step_with("learning_rate", rate) == step_with("learning_rate", 1.0)).all()
    traced = jax.jit(partial(step_with, "learning_rate"))(integer)
    assert (traced == step_with("learning_rate", 1.0)).all()


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
@pytest.mark.clause("C13")
def test_a_schedule_of_no_scalars(name: str) -> None:
    for schedule, expected in (
        (lambda count: jnp.ones(2) * count, f"{name} is an array of shape (2,); legal: a scalar"),
        (lambda count: count >= 0, f"{name} has dtype bool; legal: {REAL}"),
    ):
        assert failed(partial(step_with, name, schedule)) == f"TypeError: {expected}"
        # The count is an argument of the jitted function, as it is in training.
        tx = lion_jax.lion(**{"learning_rate": 0.1, name: schedule})
        x = jnp.ones(2)
        train = partial(jax.jit(tx.step), x, tx.init(x), x)
        assert failed(train) == f"TypeError: {expected}"


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


with jax.enable_x64(True):
    WIDE = jnp.ones(2, jnp.float64)

NARROWED = (
    "has dtype float64, which JAX narrows to float32 while jax_enable_x64 is off; "
    "legal: float16, bfloat16, float32"
)


@pytest.mark.parametrize("argument", ["param", "momentum", "grad"])
@pytest.mark.parametrize(
    "wide", [np.ones(2), np.float64(1.0), WIDE], ids=["array", "scalar", "jax"]
)
@pytest.mark.clause("C3", "C14")
def test_what_jax_would_narrow_is_refused(argument: str, wide: Any) -> None:
    narrow = np.ones_like(wide, np.float32)
    arrays = {"param": narrow, "momentum": narrow, "grad": narrow} | {argument: wide}
    state = lion_jax.LionState(jnp.int32(0), {"w": arrays["momentum"]})
    params, grads = {"w": arrays["param"]}, {"w": arrays["grad"]}
    tx = lion_jax.lion(0.1)
    for door in (tx.update, tx.step):
        # A jitted function without arguments has them as its constants.
        for train in (
            partial(door, grads, state, params),
            jax.jit(partial(door, grads, state, params)),
        ):
            assert failed(train) == f"TypeError: at params['w']: {argument} {NARROWED}"
    if argument == "param":
        assert failed(lambda: tx.init(params)) == f"TypeError: at params['w']: param {NARROWED}"
    with jax.enable_x64(True):
        if argument == "param":
            assert tx.step(grads, state, params)[0]["w"].dtype == np.float64
        else:
            assert "wider than float32" in failed(lambda: tx.step(grads, state, params))


@pytest.mark.clause("C3")
def test_what_a_jitted_function_is_given_is_narrowed_before_anyone_sees_it() -> None:
    """JAX's own doing, documented: nothing is left of the float64 inside."""
    tx = lion_jax.lion(0.1)
    params, state = jax.jit(tx.step)(np.ones(2), tx.init(jnp.ones(2)), np.ones(2))
    assert params.dtype == state.mu.dtype == np.float32


@pytest.mark.clause("C2")
def test_python_numbers_have_the_width_that_jax_gives_them(x64: bool) -> None:
    tx = lion_jax.lion(0.1)
    params, state = tx.step([1.0], tx.init([1.0]), [1.0])
    assert params[0].dtype == state.mu[0].dtype == ("float64" if x64 else "float32")


@pytest.mark.clause("C2")
def test_bytes_in_the_other_order() -> None:
    swapped = np.ones(2, np.dtype(np.float32).newbyteorder())
    assert failed(lambda: lion_jax.lion(0.1).init(swapped)) == (
        f"TypeError: at params: param has dtype {swapped.dtype.str}, bytes that JAX cannot read; "
        "legal: float32 in this machine's byte order"
    )


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
    masked = lion_jax.lion(0.1, mask=np.ones((50, 50), bool))
    assert failed(lambda: masked.update(params, masked.init(params), params)) == (
        "TypeError: at params: mask has a leaf of shape (50, 50); legal: True, False"
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
    for leaf, dtype in (
        (jnp.ones(2, jnp.int32), "int32"),
        (np.ones(2, np.int64), "int64"),
        (jax.random.key(0), "key<fry>"),
        (np.zeros(2, jax.dtypes.float0), "void"),
    ):
        assert failed(partial(lion_jax.lion(0.1).init, {"w": [leaf]})) == (
            f"TypeError: at params['w'][0]: param has dtype {dtype}; legal: {DTYPES}"
        )
    with jax.enable_x64(True):
        wide = lion_jax.lion(0.1, mu_dtype="float64")
        message = failed(lambda: wide.init(jnp.ones(2, jnp.float32)))
    assert message.startswith(
        "TypeError: at params: momentum has dtype float64, wider than float32"
    )
