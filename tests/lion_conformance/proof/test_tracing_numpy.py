"""NumPy callables as expressions: what is traced, what is refused and in which words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import lion_cpu
import lion_ref
from lion_conformance import Port, from_callable
from lion_conformance.operations.expression import Node, leaf, made, scalar
from lion_conformance.operations.operation import Operation
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports import array_api
from lion_conformance.ports.recording.callables import traced_callable
from lion_conformance.proof.tracing import trace_of
from tests.lion_conformance.mutants.catalogue import Mutant, load
from tests.lion_conformance.proof import lions

Step = Callable[..., Any]
FLOAT32 = ("float32", "float32", "float32")
MIXED = ("bfloat16", "float32", "bfloat16")

pytestmark = pytest.mark.clause("C5")


def traced(step: Step | Port, triple: tuple[str, str, str] = FLOAT32) -> list[Traced]:
    return list(trace_of(step)(triple))


def operations_of(node: Node) -> set[Operation]:
    return {node.operation}.union(*map(operations_of, node.arguments))


def leaves_of(node: Node) -> set[Node]:
    if node.operation.name == "input":
        return {node}
    return set().union(*map(leaves_of, node.arguments))


def test_the_reference_is_one_operation_for_each_of_its_own() -> None:
    one, *_ = traced(lion_ref.step)

    def done(name: str, *arguments: Node) -> Node:
        return made(Operation(name, "f32"), *arguments)

    m, g = leaf("momentum", "f32", 0), leaf("grad", "f32", 0)
    x = done("mul", scalar("beta2", "f32"), m)
    y = done("mul", scalar("one_minus_beta2", "f32"), g)
    assert one.new_momentum == (done("add", x, y),)
    theta, e = one.new_param[0].arguments
    assert (one.new_param[0].operation.name, theta) == ("sub", leaf("param", "f32", 0))
    assert e.arguments[0] is scalar("lr", "f32")


@pytest.mark.parametrize("step", lions.RIGHT, ids=lambda x: getattr(x, "__name__", "partial"))
def test_every_way_to_write_it_is_traced(step: Step) -> None:
    one, two, many = traced(step)
    assert [x.size for x in (one, two, many)] == [1, 2, 17]
    assert leaves_of(many.new_param[16]) == {
        *(leaf(name, "f32", 16) for name in ("param", "momentum", "grad")),
        *(leaf(name, "f64") for name in ("lr", "beta1", "weight_decay")),
    }
    assert not one.findings
    assert not one.caveat


@pytest.mark.parametrize("step", [lions.plain, lions.checked, lions.RIGHT[-1]])
def test_what_is_written_as_the_reference_is_traced_to_the_same(step: Step) -> None:
    assert traced(step) == traced(lion_ref.step)


@pytest.mark.parametrize("step", lions.OTHER, ids=lambda x: str(x.__name__))
def test_what_computes_otherwise_is_traced_to_something_else(step: Step) -> None:
    assert traced(step) != traced(lion_ref.step)


@pytest.mark.parametrize("triple", lion_ref.legal_triples()[::6], ids="/".join)
def test_the_reference_is_traced_whatever_its_dtypes(triple: tuple[str, str, str]) -> None:
    assert len(traced(lion_ref.step, triple)) == 3


def test_sixteen_bits_are_computed_in_their_own_dtype() -> None:
    one, *_ = traced(lions.in_bfloat16, ("bfloat16",) * 3)
    assert {x.type for x in operations_of(one.new_momentum[0])} >= {"bf16"}
    assert Operation("add", "bf16") in operations_of(one.new_momentum[0])
    half, *_ = traced(lions.plain, ("float16",) * 3)
    assert half.new_momentum[0].operation == Operation("add", "f16")
    # ml_dtypes rounds binary64 by way of float32.
    assert Operation("convert", "bf16", source="f32") in operations_of(one.new_momentum[0])


def test_a_wider_scalar_widens_what_it_meets() -> None:
    one, *_ = traced(lions.in_binary64)
    assert Operation("add", "f64") in operations_of(one.new_momentum[0])
    assert one.new_momentum[0].operation == Operation("convert", "f32", source="f64")


def test_a_decision_by_a_scalar_selects_between_both() -> None:
    one, *_ = traced(lions.decayed_if)
    condition, decayed, plain = one.new_param[0].arguments
    assert one.new_param[0].operation == Operation("select", "f32")
    assert condition.operation.comparison == "neu"
    assert leaf("weight_decay", "f64") in leaves_of(condition)
    assert leaf("weight_decay", "f64") in leaves_of(decayed)
    assert leaf("weight_decay", "f64") not in leaves_of(plain)


def changes_its_input(param: Any, momentum: Any, grad: Any, *, lr: Any, **scalars: Any) -> Any:
    grad *= lr
    return param - grad, momentum.copy()


def returns_its_input(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return param, momentum.copy()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (changes_its_input, "the port changed its input grad; legal: inputs are only read"),
        (
            returns_its_input,
            "the port returned param in memory that an input or the other result lies in",
        ),
    ],
)
def test_what_no_port_may_do_is_a_finding(step: Step, words: str) -> None:
    one, *_ = traced(step)
    assert one.findings[0].startswith(words)


def looks_at_the_class(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    factor = 2 if param.__class__ is np.ndarray else 1
    return param * factor, momentum.copy()


class EveryThird:
    """Leaves θ alone at every third call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        self.calls += 1
        return param - (grad if self.calls % 3 else 0 * grad), momentum.copy()


class Keeping:
    """Adds what it was given before."""

    last: Any = 0.0

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        before, self.last = self.last, grad[:1]
        return param + before, momentum.copy()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            lions.decides_by_an_element,
            r"line \d+ of lions\.py decides by the numbers: if grad\[0\] > 0:",
        ),
        (
            lions.skips_without_gradient,
            r"line \d+ of lions\.py decides by the numbers: if not np\.any\(grad\):",
        ),
        (lions.by_tanh, r"line \d+ of lions\.py np\.tanh is not known here: return np\.tanh"),
        (lions.hides_what_fails, r"np\.tanh is not known here"),
        (lions.by_reduction, r"np\.sum is not known here: return param / np\.sum\(param\)"),
        (lions.by_exponent, r"takes a number out, as float\(\) does: return param \* math\.exp"),
        (lions.takes_a_number_out, r"round"),
        (lions.larger_of_two, r"np\.maximum of -0 and \+0 is the processor's choice"),
        (lions.refuses_some, r"raises ValueError for some legal scalars: too fast: raise"),
        (lions.written_elsewhere, r"np\.add writes into an array that was made elsewhere"),
        (lions.unwritten, r"it reads an element that was never written"),
        (lions.of_another_dtype, r"it returns param as float64 of shape \(1,\); legal: float32"),
        (lions.one_result, r"it returns something else than \(param, momentum\)"),
        (looks_at_the_class, r"what runs computes otherwise than what was traced: param\[0\] is "),
        (EveryThird(), r"what runs computes otherwise than what was traced: param\[0\] is "),
        (Keeping(), r"it was traced, but cannot be run: "),
    ],
)
def test_what_cannot_be_traced_says_where_and_why(step: Step, words: str) -> None:
    with pytest.raises(NotTracedError, match=words) as caught:
        traced(step)
    assert "\n" not in str(caught.value)


def test_a_port_that_has_no_trace_says_so() -> None:
    port = Port(name="other", open=from_callable(lions.plain).open)
    with pytest.raises(NotTracedError, match="other cannot be traced"):
        traced(port)


def test_names_are_as_before_even_after_an_error() -> None:
    before = dict(vars(lions))
    with pytest.raises(NotTracedError):
        list(traced_callable(lions.by_tanh, FLOAT32))
    assert vars(lions) == before
    assert vars(lions)["np"] is np
    assert "float" not in vars(lion_ref.hyperparameters)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "negative": lambda x, y: -x,
    "positive": lambda x, y: +x,
    "absolute": lambda x, y: abs(x),
    "fabs": lambda x, y: np.abs(x),
    "sqrt": lambda x, y: np.sqrt(x),
    "square": lambda x, y: x**2,
    "reciprocal": lambda x, y: np.reciprocal(x),
    "sign": lambda x, y: np.sign(x),
    "signbit": lambda x, y: np.signbit(x),
    "copysign": np.copysign,
    "heaviside": np.heaviside,
    "maximum": lambda x, y: np.maximum(x, -2),
    "minimum": lambda x, y: np.minimum(0.5, x),
    "fmax": lambda x, y: np.fmax(x, 1),
    "fmin": lambda x, y: np.fmin(x, 1),
    "clip": lambda x, y: np.clip(x, -1, 2),
    "comparisons": lambda x, y: (x > y) | (x < 0.5) & (y >= x) ^ (x <= -2),
    "equal": lambda x, y: ~(x == y) | (x != 0),
    "classes": lambda x, y: np.where(np.isfinite(x), 1, np.where(np.isnan(x), 2, np.isinf(x))),
    "logic": lambda x, y: np.logical_xor(np.logical_and(x, y), np.logical_not(np.logical_or(x, 0))),
    "whole numbers": lambda x, y: (x > 0).astype(np.int8) - (x < 0).astype(np.int8),
    "nan_to_num": lambda x, y: np.nan_to_num(x, nan=3, posinf=1, neginf=-1),
    "shapes": lambda x, y: np.concatenate([x[:1], x[1:]]).reshape(1, -1)[0][::-1][::-1],
    "by float64": lambda x, y: x.astype(np.float64) / 3,
    "by float16": lambda x, y: x.astype(np.float16),
    "by bfloat16": lambda x, y: x.astype(ml_dtypes.bfloat16),
    "python number": lambda x, y: x * 0.1 + 1,
    "numpy number": lambda x, y: x * np.float64(0.1),
    "0-d array": lambda x, y: x * np.array(0.1),
    "where and out": lambda x, y: np.divide(x, y, out=np.zeros_like(x), where=y != 0),
}
FEW = {
    "fabs": ("float32", "float64"),
    "nan_to_num": ("float32", "float16"),
    "heaviside": ("float32",),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_numpys_bits(name: str) -> None:
    """`trace_of` holds the expressions against NumPy itself."""

    def step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return np.asarray(OPERATIONS[name](param, momentum)).astype(param.dtype), momentum.copy()

    for dtype in FEW.get(name, ("float32", "float64", "float16", "bfloat16")):
        assert traced(step, (dtype,) * 3)


@pytest.mark.parametrize("triple", [FLOAT32, ("float64", "float32", "float64")], ids="/".join)
def test_the_array_api_step_is_traced_in_a_namespace_of_plain_operations(
    triple: tuple[str, str, str],
) -> None:
    native = traced(array_api._port("array_api_strict", "native"), triple)
    assert native[0].new_momentum == traced(lion_ref.step, triple)[0].new_momentum
    assert traced(array_api._port("array_api_strict", "flush"), triple) != native


def test_numpys_door_is_not_traced_where_the_compiled_kernel_takes_its_steps() -> None:
    port = array_api._port("numpy", "native")
    assert (port.trace is None) is not bool(lion_cpu.missing())


@pytest.mark.parametrize(
    "mutants", [load()[::5], pytest.param(load(), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_wrong_callable_is_traced_or_refused_in_words(mutants: tuple[Mutant, ...]) -> None:
    number, said = 0, []
    for mutant in mutants:
        made = mutant.make()
        if isinstance(made, Port):
            continue
        try:
            list(traced_callable(made, (mutant.dtype,) * 3))
            number += 1
        except NotTracedError as error:
            said.append(str(error))
    assert number > len(mutants) / 2
    assert all(re.match(r"(line \d+ of \S+\.py|it|the port) ", words) for words in said)


def test_infinities_do_not_decide_what_is_legal() -> None:
    """A legal lr is finite in the compute dtype; what a callable makes of it need not be."""

    def step(param: Any, momentum: Any, grad: Any, *, lr: Any, **scalars: Any) -> Any:
        if not math.isfinite(np.float32(lr)):
            raise ValueError(lr)
        return param - (lr if np.isfinite(np.float32(lr) * np.float32(2)) else 0), momentum.copy()

    one, *_ = traced(step)
    assert one.new_param[0].operation.name == "select"
