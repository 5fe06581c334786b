"""JAX functions as expressions: lion_jax's doors, and callables in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import from_callable
from lion_conformance.operations.expression import Node, leaf, scalar
from lion_conformance.operations.operation import Operation
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.proof.prove import prove
from lion_conformance.proof.tracing import trace_of

jax = pytest.importorskip("jax")
jnp = jax.numpy

from jax import lax  # noqa: E402

from lion_conformance.ports.jax import _programs, _traced, ports  # noqa: E402
from lion_conformance.ports.jaxprs.tracing import CAVEAT, traced_by_jax  # noqa: E402

Step = Callable[..., Any]
FLOAT32 = ("float32", "float32", "float32")
MIXED = ("bfloat16", "float32", "bfloat16")

pytestmark = pytest.mark.clause("C5")


def traced(step: Step, triple: tuple[str, str, str] = FLOAT32, **options: Any) -> Traced:
    return next(iter(traced_by_jax(step, triple, **options)))


def operations_of(node: Node) -> set[Operation]:
    return {node.operation}.union(*map(operations_of, node.arguments))


def plain(
    param: Any, momentum: Any, grad: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
) -> Any:
    theta, m, g = (jnp.asarray(x) for x in (param, momentum, grad))
    c = beta1 * m + (1 - beta1) * g
    new_theta = theta - lr * (jnp.sign(c) + weight_decay * theta)
    return np.asarray(new_theta), np.asarray(beta2 * m + (1 - beta2) * g)


@jax.jit
def _jitted(theta: Any, m: Any, g: Any, lr: Any, beta1: Any, beta2: Any, weight_decay: Any) -> Any:
    u = jnp.where(beta1 * m + (1 - beta1) * g > 0, 1.0, -1.0).astype(theta.dtype)
    return theta - lr * (u + weight_decay * theta), beta2 * m + (1 - beta2) * g


def jitted(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    results = _jitted(param, momentum, grad, **scalars)
    return np.asarray(results[0]), np.asarray(results[1])


def decides_by_a_scalar(
    param: Any, momentum: Any, grad: Any, *, weight_decay: Any, **scalars: Any
) -> Any:
    theta = jnp.asarray(param)
    if weight_decay:
        theta = theta * jnp.float32(weight_decay)
    return np.asarray(theta), np.asarray(jnp.asarray(momentum) + 0)


@pytest.mark.parametrize("step", [plain, decides_by_a_scalar])
def test_a_callable_in_jax_has_the_bits_of_its_expressions(step: Step) -> None:
    """`trace_of` runs it, on a CPU that flushes subnormals, as the expressions do."""
    found = list(trace_of(step)(FLOAT32))
    assert [x.size for x in found] == [1, 2, 17]
    assert {x.caveat for x in found} == {CAVEAT}
    assert all(x.ftz for x in operations_of(found[0].new_momentum[0]) if x.name == "add")


def test_a_proof_says_that_it_is_of_the_program_before_xla_has_it() -> None:
    declared = lion_ref.Semantics(subnormals="flush", zero_sign="kept")
    proof = prove(from_callable(plain, declared=declared), dtypes=["float32"])
    assert proof.verdict == "equals"
    assert "subnormals flushed" in proof.sentence
    assert CAVEAT in str(proof)


def test_a_python_number_is_rounded_before_jit_and_after_it_outside() -> None:
    """Under jit 1-β is formed in float32; outside it is formed by Python, in binary64."""
    formed_here = scalar("one_minus_beta2", "f32")
    outside, inside = traced(plain), traced(jitted)
    assert outside.new_momentum[0].arguments[1].arguments[0] is formed_here
    assert inside.new_momentum[0].arguments[1].arguments[0].operation == Operation(
        "sub", "f32", ftz=True
    )


def test_where_subnormals_are_kept_nothing_flushes() -> None:
    found = traced(plain, platform="gpu")
    assert not any(x.ftz for x in operations_of(found.new_param[0]))
    assert traced(plain, ("bfloat16",) * 3, platform="gpu").new_momentum[0].operation == Operation(
        "add", "bf16"
    )


@pytest.mark.parametrize("door", _programs("native"))
@pytest.mark.parametrize("triple", [FLOAT32, MIXED], ids="/".join)
def test_every_door_of_lion_jax_is_traced(door: str, triple: tuple[str, str, str]) -> None:
    """The fences are seen through, and the betas stay symbols, though jit would fix them."""
    one, *_ = _traced(_programs("native")[door], "cpu", triple)
    add = one.new_momentum[0]
    assert add.operation == Operation("add", "f32", ftz=True)
    x, y = add.arguments
    assert x.arguments == (scalar("beta2", "f32"), leaf("momentum", "f32", 0))
    assert y.arguments[0] is scalar("one_minus_beta2", "f32")
    assert not {"min", "max", "shl"} & {x.name for x in operations_of(one.new_param[0])}


def test_a_door_of_lion_jax_has_the_bits_of_its_expressions() -> None:
    for port in ports("cpu"):
        if port.door == "tx.update":
            assert len(list(trace_of(port)(MIXED))) == 3


def test_a_program_for_another_platform_has_that_platforms_branch() -> None:
    program = _programs("flush")["tx.step, jit"]
    (on_cpu, *_), (on_gpu, *_) = (_traced(program, x, FLOAT32) for x in ("cpu", "gpu"))
    assert on_cpu.new_momentum[0].operation == Operation("add", "f32", ftz=True)
    assert on_gpu.new_momentum[0].operation == Operation("select", "f32")


def _of(function: Callable[[Any, Any], Any]) -> Step:
    def step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return np.asarray(function(jnp.asarray(param), jnp.asarray(grad))), np.asarray(
            jnp.asarray(momentum) * 1
        )

    return step


BARRIER: Any = lax.optimization_barrier

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "divide": lambda x, y: x / y,
    "square root": lambda x, y: jnp.sqrt(x),
    "square": lambda x, y: x**2 + jnp.square(y),
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "clip": lambda x, y: jnp.clip(x, -1, 1),
    "comparisons": lambda x, y: jnp.where((x > y) | (x <= 1) & ~(y >= 2) ^ (x != y), x, y),
    "finite": lambda x, y: jnp.where(jnp.isfinite(x), x, jnp.where(jnp.isnan(x), 1, 2)),
    "sign": lambda x, y: jnp.sign(x) + (x > 0),
    "narrowed": lambda x, y: x.astype(jnp.bfloat16).astype(jnp.float32),
    "barrier": lambda x, y: BARRIER(x) - y,
    "reduced": lambda x, y: lax.reduce_precision(x, 8, 7),
    "bits": lambda x, y: lax.bitcast_convert_type(
        (lax.bitcast_convert_type(x, jnp.uint32) >> 16) << 16, jnp.float32
    ),
    "shapes": lambda x, y: jnp.concatenate([x[:1], x[1:]])[::-1].reshape(1, -1)[0][::-1],
    "a branch": lambda x, y: lax.cond(True, jnp.add, jnp.subtract, x, y),
    "called": jax.jit(jax.checkpoint(lambda x, y: x * y)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_the_bits_of_xla(name: str) -> None:
    assert list(trace_of(_of(OPERATIONS[name]))(FLOAT32))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x, y: jnp.tanh(x), "JAX's tanh is not known here"),
        (lambda x, y: x / jnp.sum(y), "JAX's reduce_sum is not known here"),
        (lambda x, y: x.astype(jnp.int32) * x, "what a NaN becomes is not said"),
        (lambda x, y: lax.reduce_precision(x, 5, 10), "reduce_precision to .* is not known here"),
        (lambda x, y: x.astype(jnp.bfloat16), "returns bfloat16 of shape .1,., float32 of shape"),
        (lambda x, y: x if x[0] > 0 else y, "TracerBoolConversionError"),
        (
            lambda x, y: lax.cond(x[0] > 0, lambda: x, lambda: y),
            "lax.cond decides by the numbers",
        ),
    ],
)
def test_what_is_not_known_is_named(function: Any, words: str) -> None:
    with pytest.raises(NotTracedError, match=words) as caught:
        traced(_of(function))
    assert "\n" not in str(caught.value)


def in_numpy_after_all(param: Any, momentum: Any, grad: Any, *, lr: Any, **scalars: Any) -> Any:
    """NumPy subtracts, as long as θ is no array of JAX's: subnormals are kept then."""
    return np.asarray(param - lr * jnp.float32(1)), np.asarray(momentum * np.float32(0.5))


def test_code_that_runs_otherwise_than_it_is_traced_is_refused() -> None:
    with pytest.raises(NotTracedError, match="what runs computes otherwise than what was traced"):
        list(trace_of(in_numpy_after_all)(FLOAT32))


def test_a_program_that_xla_contracts_is_refused() -> None:
    """If this machine has a fused multiply-add; elsewhere there is nothing to refuse."""
    try:
        found = list(trace_of(jitted)(FLOAT32))
    except NotTracedError as error:
        assert "than what was traced: momentum[" in str(error)  # noqa: PT017
    else:
        assert len(found) == 3
